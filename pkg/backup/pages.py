"""The pages of a backup's lists, each asked for while the one before is still being stored.

One request is ahead and no more, so memory holds two pages; a page's size follows the size of the objects seen.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pkg.backup.selection import ListRequest
from pkg.backup.stopping import raise_if_stopped
from pkg.kube.backoff import retry_transient
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.pages import Page
from pkg.kube.stop import StopToken

FIRST_PAGE_OBJECTS = 50
MAX_PAGE_OBJECTS = 500
PAGE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """One page of one list."""

    request: ListRequest
    namespace: str
    token: str
    limit: int


def first_page(request: ListRequest, namespace: str) -> PageRequest:
    """A few objects, from which the size of the others is guessed."""
    return PageRequest(request=request, namespace=namespace, token="", limit=FIRST_PAGE_OBJECTS)


class PageReader:
    """Reads lists in the order that was announced; a context manager, at whose end nothing is asked any more.

    Args:
        lists: (request, namespace) of every list to come, so that the next one's first page can be asked for.
    """

    def __init__(
        self, client: Client, lists: Sequence[tuple[ListRequest, str]], *, stop: StopToken, clock: Clock
    ) -> None:
        self._client = client
        self._next = dict(itertools.pairwise(lists))
        self._stop = stop
        self._clock = clock
        self._ahead: tuple[PageRequest, Future[Page]] | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="backup-page")

    def pages(self, request: ListRequest, namespace: str) -> Iterator[Page]:
        """The pages of one list; raises what reading one raises."""
        wanted = first_page(request, namespace)
        while True:
            page = self._read(wanted)
            token = page.continue_token
            if token:
                wanted = PageRequest(request=request, namespace=namespace, token=token, limit=next_limit(page))
                self._ask(wanted)
            elif (request, namespace) in self._next:
                self._ask(first_page(*self._next[request, namespace]))
            yield page
            if not token:
                return
            raise_if_stopped(self._stop)

    def _ask(self, wanted: PageRequest) -> None:
        self._ahead = wanted, self._pool.submit(self._fetch, wanted)

    def _read(self, wanted: PageRequest) -> Page:
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == wanted:
            return ahead[1].result()
        return self._fetch(wanted)

    def _fetch(self, wanted: PageRequest) -> Page:
        return retry_transient(
            lambda: self._client.list_page(
                wanted.request.ref,
                wanted.namespace,
                label_selector=wanted.request.label_selector,
                limit=wanted.limit,
                continue_token=wanted.token,
            ),
            stop=self._stop,
            clock=self._clock,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def next_limit(page: Page) -> int:
    """How many objects the next page may have: as many as fit into its bytes if they are like these."""
    size = sum(memoryview(raw).nbytes for raw in page.items)
    average = max(1, size // max(1, len(page.items)))
    return max(1, min(MAX_PAGE_OBJECTS, PAGE_BYTES // average))
