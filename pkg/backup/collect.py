"""Drains every list of a backup, page by page, before anything else happens.

An error of one resource does not end the backup: it is collected, and makes the phase PartiallyFailed. Objects that
are being deleted are left out, but not a claim that a stored pod still mounts: the restored pod would wait for it. A
list whose continue token expired is read again, and an object that came twice is kept once, by UID.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field

import msgspec
import structlog.typing

from pkg.backup.bindings import BINDINGS, ROLES
from pkg.backup.item import HeadMeta, read_head, with_kind
from pkg.backup.pages import PageReader
from pkg.backup.selection import ListRequest, Scope
from pkg.backup.spool import Item
from pkg.backup.stopping import raise_if_stopped
from pkg.backup.store_items import ItemStore
from pkg.kube.backoff import retry_transient
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import ExpiredError, KubeError, NotFoundError
from pkg.kube.refs import NAMESPACES, PVCS, PVS
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken

MAX_LISTINGS = 5

# Other objects bring these along, also where the backup's own lists have them already.
_NEEDED_BY_OTHERS = frozenset({PVCS.group_resource, PVS.group_resource, BINDINGS, ROLES})

OnItem = Callable[[Item], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What is the same for all objects of a resource, asked once and not of each of ten thousand.

    Attributes:
        takes: Whether an object passes, by namespace and name.
        is_noted: Somebody wants to see these objects.
    """

    ref: ResourceRef
    takes: Callable[[str, str], bool]
    is_noted: bool
    is_claim: bool
    is_namespace: bool
    is_needed_by_others: bool


@dataclass(slots=True, kw_only=True)
class Collector:
    """One run over the lists.

    Attributes:
        on_item: Called with each item of the `noted` resources that was kept, while its bytes are at hand.
        errors: One text per list or object that could not be read.
        used_namespaces: Namespaces of which something is stored.
    """

    client: Client
    scope: Scope
    items: ItemStore
    on_item: OnItem
    noted: Container[ResourceRef]
    stop: StopToken
    clock: Clock
    log: structlog.typing.FilteringBoundLogger
    errors: list[str] = field(default_factory=list)
    used_namespaces: set[str] = field(default_factory=set)
    _seen: set[tuple[ResourceRef, str, str]] = field(default_factory=set)

    def collect_all(self, requests: Sequence[ListRequest], on_list: Callable[[], None]) -> None:
        """Reads every list, calling `on_list` after each resource; what goes wrong is added to `errors`."""
        lists = [(request, namespace) for request in requests for namespace in request.namespaces]
        with PageReader(self.client, lists, stop=self.stop, clock=self.clock) as reader:
            for request in requests:
                before = self.items.count
                for namespace in request.namespaces:
                    raise_if_stopped(self.stop)
                    self._collect_list(reader, request, namespace)
                self.log.info("Resource listed", resource=request.ref.group_resource, items=self.items.count - before)
                on_list()

    def add(self, ref: ResourceRef, namespace: str, name: str) -> None:
        """Reads one object that a stored one needs, unless it is there already; a missing one is passed over."""
        if (ref, namespace, name) in self._seen or not self.scope.takes_object(ref, namespace, name):
            return
        try:
            body = retry_transient(
                lambda: self.client.get_bytes(ref, namespace, name), stop=self.stop, clock=self.clock
            )
        except NotFoundError:
            self.log.debug("Needed object is gone", resource=ref.group_resource, namespace=namespace, name=name)
        except KubeError as error:
            self._failed(ref, f"{namespace}/{name}".lstrip("/"), error)
        else:
            self._take(self._listed(ref), body, needed=True)

    def _collect_list(self, reader: PageReader, request: ListRequest, namespace: str) -> None:
        uids: set[str] = set()
        listed = self._listed(request.ref)
        for attempt in range(1, MAX_LISTINGS + 1):
            try:
                for page in reader.pages(request, namespace):
                    for raw in page.items:
                        self._take(listed, bytes(raw), uids)
            except ExpiredError as error:
                self.log.warning("List expired", resource=request.ref.group_resource, attempt=attempt)
                if attempt == MAX_LISTINGS:
                    self._failed(request.ref, namespace, error)
            except NotFoundError:
                self.log.warning("Resource is served no more", resource=request.ref.group_resource)
                return
            except KubeError as error:
                self._failed(request.ref, namespace, error)
                return
            else:
                return

    def _listed(self, ref: ResourceRef) -> Listed:
        return Listed(
            ref=ref,
            takes=self.scope.filter_of(ref),
            is_noted=ref in self.noted,
            is_claim=ref == PVCS,
            is_namespace=ref == NAMESPACES,
            is_needed_by_others=ref.group_resource in _NEEDED_BY_OTHERS,
        )

    def _take(self, listed: Listed, body: bytes, uids: set[str] | None = None, *, needed: bool = False) -> None:
        try:
            head = read_head(body)
        except msgspec.DecodeError as error:
            self._failed(listed.ref, "", error)
            return
        meta = head.metadata
        is_leaving = meta.deletion_timestamp is not None and not (needed and listed.is_claim)
        if is_leaving or not self._is_wanted(listed, meta):
            return
        if uids is not None:
            if meta.uid in uids:
                return
            uids.add(meta.uid)
        item = Item(ref=listed.ref, namespace=meta.namespace, name=meta.name, body=with_kind(listed.ref, head, body))
        self.items.append(item)
        if listed.is_needed_by_others:
            self._seen.add((listed.ref, meta.namespace, meta.name))
        if meta.namespace:
            self.used_namespaces.add(meta.namespace)
        if listed.is_noted:
            self.on_item(item)

    def _is_wanted(self, listed: Listed, meta: HeadMeta) -> bool:
        if not listed.takes(meta.namespace, meta.name):
            return False
        return not listed.is_namespace or self.scope.takes_namespace_object(
            meta.name, meta.labels or {}, self.used_namespaces
        )

    def _failed(self, ref: ResourceRef, where: str, error: Exception) -> None:
        text = f"{ref.group_resource}{' ' + where if where else ''}: {error}"
        self.errors.append(text)
        self.log.error("Item not stored", resource=ref.group_resource, where=where, error=str(error))
