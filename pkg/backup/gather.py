"""The first half of a backup: every list is read, and from what was seen comes the ledger of what to capture."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import structlog.typing

from pkg.apis.core import Namespace, PersistentVolume, PersistentVolumeClaim
from pkg.backup.bindings import BINDINGS, ROLES, BoundRole, bound_role
from pkg.backup.collect import Collector
from pkg.backup.errors import SpecInvalidError
from pkg.backup.hooks import HookedPod
from pkg.backup.job import BackupJob
from pkg.backup.selection import Scope, plan_lists, scope_of
from pkg.backup.spool import Item
from pkg.backup.store_items import ItemStore
from pkg.backup.survey import NOTED, Survey, ledger_entries
from pkg.kube.backoff import retry_transient
from pkg.kube.discovery import Discovery
from pkg.kube.errors import KubeError, NotFoundError
from pkg.kube.refs import NAMESPACES, PVCS, PVS
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken
from pkg.volumes.ledger import LedgerEntry

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What the volumes' part of a backup begins with.

    Attributes:
        entries: The ledger.
        hooked: The running pods with hooks, by UID.
        errors: One text per list or object that could not be stored.
    """

    entries: tuple[LedgerEntry, ...]
    hooked: Mapping[str, HookedPod]
    errors: tuple[str, ...]


class Gathering:
    """One pass over the cluster.

    Attributes:
        errors: One text per list or object that could not be stored.
    """

    def __init__(
        self, job: BackupJob, items: ItemStore, stop: StopToken, log: structlog.typing.FilteringBoundLogger
    ) -> None:
        self._job = job
        self._log = log
        self._items = items
        self._stop = stop
        spec = job.backup.spec
        self._survey = Survey(default_all=bool(spec.default_volumes_to_restic), hooks=spec.hooks)
        self.errors: list[str] = []

    def run(self, discovery: Discovery) -> Gathered:
        """Takes all objects in and says what is to be captured.

        Raises:
            SpecInvalidError: the spec names what the server does not have.
            BackupError: the run was stopped.
        """
        scope = self._scope(discovery)
        collector = self._collector(scope)
        requests = plan_lists(scope, discovery)
        collector.collect_all(requests, lambda: self._job.on_progress(self._items.count, self._items.stored, None))
        self._add_needed(collector)
        listed = {request.ref.group_resource for request in requests}
        self._add_roles(collector, scope, discovery, listed)
        self._tell_missing_namespaces(collector, scope)
        self._read_missing()
        return Gathered(
            entries=ledger_entries(self._survey), hooked=self._survey.hooked_pods, errors=tuple(self.errors)
        )

    def _scope(self, discovery: Discovery) -> Scope:
        backup = self._job.backup
        try:
            return scope_of(backup.spec, discovery, own_namespace=backup.metadata.namespace)
        except ValueError as error:
            raise SpecInvalidError(str(error)) from error

    def _collector(self, scope: Scope) -> Collector:
        return Collector(
            client=self._job.client,
            scope=scope,
            items=self._items,
            on_item=self._see,
            noted=NOTED,
            stop=self._stop,
            clock=self._job.clock,
            log=self._log,
            errors=self.errors,
        )

    def _see(self, item: Item) -> None:
        try:
            self._survey.see(item)
        except msgspec.DecodeError as error:
            self.errors.append(f"{item.ref.group_resource} {item.namespace}/{item.name}: {error}")

    def _add_needed(self, collector: Collector) -> None:
        """0.9's item actions: a pod brings its claims, a bound claim its persistent volume."""
        for namespace, name in sorted(self._survey.mounted_claims()):
            collector.add(PVCS, namespace, name)
        for name in sorted(self._survey.bound_volumes()):
            collector.add(PVS, "", name)

    def _add_roles(self, collector: Collector, scope: Scope, discovery: Discovery, listed: Set[str]) -> None:
        """0.9's item action of service accounts: the cluster roles that are bound to them, and the bindings."""
        bindings, roles = discovery.resolve(BINDINGS), discovery.resolve(ROLES)
        whole = {BINDINGS, ROLES} <= listed and scope.selector is None
        if bindings is None or roles is None or whole or not self._survey.accounts:
            return
        if scope.cluster_resources is False or not scope.takes_resource(bindings.ref):
            return
        try:
            found = retry_transient(lambda: self._bound_roles(bindings.ref), stop=self._stop, clock=self._job.clock)
        except (KubeError, msgspec.DecodeError) as error:
            self.errors.append(f"{BINDINGS}: {error}")
            return
        for one in sorted(found, key=lambda bound: bound.binding):
            collector.add(bindings.ref, "", one.binding)
        for role in sorted({one.role for one in found}):
            collector.add(roles.ref, "", role)

    def _tell_missing_namespaces(self, collector: Collector, scope: Scope) -> None:
        """A namespace that the backup names and that is gone is an error, for its contents are in no backup."""
        for name in sorted(scope.namespaces.included - collector.used_namespaces):
            problem = self._problem_of_namespace(name)
            if problem:
                self.errors.append(problem)
                self._log.error("Namespace not backed up", namespace=name, error=problem)

    def _problem_of_namespace(self, name: str) -> str:
        client = self._job.client
        try:
            retry_transient(lambda: client.get(NAMESPACES, "", name, Namespace), stop=self._stop, clock=self._job.clock)
        except NotFoundError:
            return f'there is no namespace "{name}"'
        except KubeError as error:
            return f"namespaces {name}: {error}"
        return ""

    def _bound_roles(self, bindings: ResourceRef) -> list[BoundRole]:
        pages = self._job.client.list_pages(bindings)
        found = (bound_role(raw, self._survey.accounts) for page in pages for raw in page.items)
        return [one for one in found if one is not None]

    def _read_missing(self) -> None:
        """Reads what the ledger needs and the filters keep out of the tarball; without it the volume is told lost."""
        for namespace, name in sorted(self._survey.wanted_claims() - self._survey.claims.keys()):
            claim = self._read(PVCS, namespace, name, PersistentVolumeClaim)
            if claim is not None:
                self._survey.claims[namespace, name] = claim
        for name in sorted(self._survey.bound_volumes() - self._survey.volumes.keys()):
            volume = self._read(PVS, "", name, PersistentVolume)
            if volume is not None:
                self._survey.volumes[name] = volume

    def _read(self, ref: ResourceRef, namespace: str, name: str, struct: type[T]) -> T | None:
        try:
            return retry_transient(
                lambda: self._job.client.get(ref, namespace, name, struct), stop=self._stop, clock=self._job.clock
            )
        except KubeError as error:
            self._log.warning("Not readable", kind=ref.kind, namespace=namespace, name=name, error=str(error))
            return None
