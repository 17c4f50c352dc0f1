"""One informer per kind and selection for the whole process."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar, cast

from prometheus_client import CollectorRegistry

from pkg.apis.meta import Object
from pkg.informers.decode import Transform
from pkg.informers.informer import SharedInformer
from pkg.informers.listing import Selection
from pkg.informers.metrics import InformerCollector, InformerStatistics
from pkg.kube.client import Client
from pkg.kube.clock import REAL_CLOCK, Clock
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken

T = TypeVar("T", bound=Object)


class _AnyInformer(Protocol):
    """What a factory does with informers of whatever type."""

    @property
    def has_synced(self) -> bool: ...

    @property
    def statistics(self) -> InformerStatistics: ...

    def start(self, stop: StopToken) -> None: ...

    def stop(self, timeout_seconds: float = 5.0) -> bool: ...

    def wait_synced(self, stop: StopToken, timeout_seconds: float) -> bool: ...


@dataclass(frozen=True, slots=True)
class _Wanted:
    selection: Selection
    struct: type[Object]
    transform: object


class InformerFactory:
    """Makes informers, each once; thread-safe.

    Args:
        registry: Gets the informers' metrics.
        stream_lists: Whether wide lists are streamed where the server can; else they are read in pages.
    """

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock = REAL_CLOCK,
        registry: CollectorRegistry | None = None,
        stream_lists: bool = True,
    ) -> None:
        self._client = client
        self._clock = clock
        self._stream_lists = stream_lists
        self._lock = threading.Lock()
        self._informers: dict[_Wanted, _AnyInformer] = {}
        if registry is not None:
            registry.register(InformerCollector(lambda: [one.statistics for one in self._all().values()]))

    def informer(
        self,
        ref: ResourceRef,
        struct: type[T],
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        transform: Transform[T] | None = None,
        metadata_only: bool = False,
    ) -> SharedInformer[T]:
        """The informer for this selection, the same one for the same arguments; `start` starts it.

        With `metadata_only` the server sends metadata alone, and `struct` is `Object`. It is an informer of its own
        beside one for whole objects.
        """
        selection = Selection(
            ref=ref,
            namespace=namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            metadata_only=metadata_only,
        )
        wanted = _Wanted(selection, struct, transform)
        with self._lock:
            found = self._informers.get(wanted)
            if found is None:
                found = SharedInformer(
                    self._client,
                    selection,
                    struct,
                    transform=transform,
                    clock=self._clock,
                    stream_lists=self._stream_lists,
                )
                self._informers[wanted] = found
        return cast("SharedInformer[T]", found)  # the key holds the type

    def start(self, stop: StopToken) -> None:
        """Starts what is not started yet; may be called again after more informers were made."""
        for informer in self._all().values():
            informer.start(stop)

    def wait_for_sync(self, stop: StopToken, timeout_seconds: float) -> bool:
        """Blocks until every cache holds its first list, the token or the timeout; returns whether all do."""
        deadline = time.monotonic() + timeout_seconds
        waited = [
            informer.wait_synced(stop, max(0.0, deadline - time.monotonic())) for informer in self._all().values()
        ]
        return all(waited)

    def not_synced(self) -> tuple[str, ...]:
        """The names of the informers without a first list, for a readiness check."""
        return tuple(str(wanted.selection) for wanted, informer in self._all().items() if not informer.has_synced)

    def shutdown(self, timeout_seconds: float = 5.0) -> bool:
        """Ends all informers; returns whether all their threads ended in time."""
        deadline = time.monotonic() + timeout_seconds
        ended = [informer.stop(max(0.0, deadline - time.monotonic())) for informer in self._all().values()]
        return all(ended)

    def _all(self) -> Mapping[_Wanted, _AnyInformer]:
        with self._lock:
            return dict(self._informers)
