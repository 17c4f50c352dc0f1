"""How a reflector lists where it does not stream: in pages, or in one body where that is small.

A server with a watch cache ignores the limit at resourceVersion "0" and sends everything at once, which in Python
costs memory that is never given back. So lists are read from etcd ("") in pages of 500; only a selector of one node
or one name makes the one body small enough. This is the one deviation from client-go's ladder. Wide lists are
streamed first (`pkg.informers.streaming`), and read in pages from a server that refuses that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pkg.apis.names import NODE_LABEL
from pkg.kube.client import Client
from pkg.kube.errors import ApiStatusError, ExpiredError
from pkg.kube.pages import PAGE_LIMIT, Page
from pkg.kube.resources import ResourceRef

_NARROW_FIELDS: Final = ("metadata.name", "spec.nodeName")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which objects an informer holds."""

    ref: ResourceRef
    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""
    metadata_only: bool = False

    @property
    def is_narrow(self) -> bool:
        """Whether it selects by one node or one name, so that few objects match in any cluster."""
        fields = (term.split("=", 1) for term in self.field_selector.split(",") if "!=" not in term and "=" in term)
        if any(field in _NARROW_FIELDS for field, _ in fields):
            return True
        return any(term.startswith(f"{NODE_LABEL}=") for term in self.label_selector.split(","))

    def __str__(self) -> str:
        parts = [str(self.ref), self.namespace, self.label_selector, self.field_selector]
        parts += ["metadata"] if self.metadata_only else []
        return " ".join(part for part in parts if part)


class Listing:
    """Reads whole lists of one selection and knows which version to ask for."""

    def __init__(self, client: Client, selection: Selection) -> None:
        self._client = client
        self._selection = selection
        self._version_refused = False

    def pages(self, last_version: str) -> Iterator[Page]:
        """The pages of one list; `last_version` is the newest that was seen, which a narrow list must not fall behind.

        Raises:
            ExpiredError: the server forgot the list's moment, also when asked for it in one body.
        """
        if not self._selection.is_narrow:
            yield from self._paged()
            return
        asked = "" if self._version_refused else last_version or "0"
        try:
            page = self._page(limit=0, resource_version=asked)
        except ApiStatusError as error:
            if not asked or not version_is_refused(error):
                raise
            self._version_refused = True
            page = self._page(limit=0)
        self._version_refused = False
        yield page

    def _paged(self) -> Iterator[Page]:
        token = ""
        while True:
            page = self._page(limit=PAGE_LIMIT, continue_token=token)
            yield page
            token = page.continue_token
            if not token:
                return

    def whole(self) -> Page:
        """The list in one body, for when its pages expired while they were read."""
        return self._page(limit=0)

    def _page(self, *, limit: int, continue_token: str = "", resource_version: str = "") -> Page:
        selection = self._selection
        return self._client.list_page(
            selection.ref,
            selection.namespace,
            label_selector=selection.label_selector,
            field_selector=selection.field_selector,
            limit=limit,
            continue_token=continue_token,
            resource_version=resource_version,
            metadata_only=selection.metadata_only,
        )


def version_is_refused(error: ApiStatusError) -> bool:
    """Expired, or newer than this server: either way only a consistent read helps."""
    too_large = any(reason == "ResourceVersionTooLarge" for reason, _, _ in error.causes)
    return isinstance(error, ExpiredError) or too_large
