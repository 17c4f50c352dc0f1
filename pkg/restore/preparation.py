"""What a restore will do, settled before anything is created."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pkg.apis.ark import RestoreSpec
from pkg.apis.meta import JsonObject
from pkg.kube.discovery import Discovery
from pkg.restore.archive import Archive, Entry
from pkg.restore.captures import Captures, captures_of_list, captures_of_pods
from pkg.restore.errors import BackupDamagedError
from pkg.restore.filters import Resolve, Scope, resolver, scope_of
from pkg.restore.idle_words import idle_words
from pkg.restore.plan import CLAIMS, NAMESPACES, PODS, PRIORITIES, VOLUMES, Facts, gather_facts, in_order
from pkg.restore.reading import StoredBackup
from pkg.restore.refusals import refusal_of_resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed:
    """What has another name in this cluster: storage classes, and prefixes of images."""

    storage_classes: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The plan: which entries, in which order, and what is known about them.

    Attributes:
        held: Resources that wait for the end of all volumes.
        unknown: Resources that the Restore names and nothing here knows.
        idle: What the Restore says and means nothing in this backup, in sentences.
    """

    archive: Archive
    entries: tuple[Entry, ...]
    scope: Scope
    facts: Facts
    captures: Captures
    held: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()

    def namespace_object(self, name: str) -> JsonObject:
        """The backed-up namespace, empty when the backup does not hold it."""
        found = next((entry for entry in self.archive.of(NAMESPACES) if entry.name == name), None)
        return (_reading(self.archive, found) or {}) if found else {}


def prepare(
    stored: StoredBackup,
    spec: RestoreSpec,
    discovery: Discovery,
    priorities: tuple[str, ...] | None,
    renamed: Renamed | None = None,
) -> Prepared:
    """Makes the plan; reads the tarball, changes nothing."""
    archive = stored.archive
    resolve = resolver(_discovered(discovery), {entry.group_resource for entry in archive.entries})
    scope = scope_of(spec, resolve)
    captures = _captures(stored, spec, scope)
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
    held = {name: resolve(name) for name in spec.restore_last or ()}
    new = renamed or Renamed()
    return Prepared(
        archive=archive,
        entries=tuple(in_order(wanted, order)),
        scope=scope,
        facts=dataclasses.replace(facts, storage_classes=new.storage_classes, images=new.images),
        captures=captures,
        held=frozenset(resource for resource in held.values() if resource),
        unknown=(*scope.unknown, *(name for name, resource in held.items() if not resource)),
        idle=idle_words(spec, archive.entries, resolve),
    )


def _captures(stored: StoredBackup, spec: RestoreSpec, scope: Scope) -> Captures:
    if spec.restore_pvs is False:
        return Captures()
    found = captures_of_list(stored.ledger) if stored.ledger is not None else captures_of_pods(_pods(stored.archive))
    left_out = not scope.resources.takes(CLAIMS) or VOLUMES in scope.resources.excludes
    return dataclasses.replace(found, without_claims=left_out)


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
