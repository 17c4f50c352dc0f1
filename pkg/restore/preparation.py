"""What a restore will do, settled before anything is created."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pkg.apis.ark import RestoreSpec
from pkg.apis.meta import JsonObject
from pkg.kube.discovery import Discovery
from pkg.restore.archive import Archive, Entry
from pkg.restore.captures import Captures, captures_of_list, captures_of_pods
from pkg.restore.errors import BackupDamagedError
from pkg.restore.filters import Resolve, Scope, resolver, scope_of
from pkg.restore.plan import NAMESPACES, PODS, PRIORITIES, Facts, gather_facts, in_order
from pkg.restore.reading import StoredBackup
from pkg.restore.refusals import refusal_of_resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The plan: which entries, in which order, and what is known about them."""

    archive: Archive
    entries: tuple[Entry, ...]
    scope: Scope
    facts: Facts
    captures: Captures

    def namespace_object(self, name: str) -> JsonObject:
        """The backed-up namespace, empty when the backup does not hold it."""
        found = next((entry for entry in self.archive.of(NAMESPACES) if entry.name == name), None)
        return (_reading(self.archive, found) or {}) if found else {}


def prepare(
    stored: StoredBackup, spec: RestoreSpec, discovery: Discovery, priorities: tuple[str, ...] | None
) -> Prepared:
    """Makes the plan; reads the tarball, changes nothing."""
    archive = stored.archive
    resolve = resolver(_discovered(discovery), {entry.group_resource for entry in archive.entries})
    scope = scope_of(spec, resolve)
    captures = _captures(stored, spec)
    facts = gather_facts(
        archive.entries,
        lambda entry: _reading(archive, entry),
        scope=scope,
        selector=spec.label_selector,
        captures=captures,
        namespace_mapping=spec.namespace_mapping or {},
    )
    wanted = (one for one in archive.entries if scope.takes(one) and not refusal_of_resource(one.group_resource))
    order = [resolve(name) or name for name in priorities] if priorities else PRIORITIES
    entries = tuple(in_order(wanted, order))
    return Prepared(archive=archive, entries=entries, scope=scope, facts=facts, captures=captures)


def _captures(stored: StoredBackup, spec: RestoreSpec) -> Captures:
    if spec.restore_pvs is False:
        return Captures()
    if stored.ledger is not None:
        return captures_of_list(stored.ledger)
    return captures_of_pods(_pods(stored.archive))


def _pods(archive: Archive) -> Iterator[JsonObject]:
    for entry in archive.of(PODS):
        if pod := _reading(archive, entry):
            yield pod


def _reading(archive: Archive, entry: Entry) -> JsonObject | None:
    """The object; None for one that does not decode, which is reported when its own turn comes."""
    try:
        return archive.read(entry)
    except BackupDamagedError:
        return None


def _discovered(discovery: Discovery) -> Resolve:
    def resolve(name: str) -> str | None:
        found = discovery.resolve(name)
        return found.ref.group_resource if found else None

    return resolve
