"""Which snapshots and files no backup names, and which of them were known long enough to be removed.

The bucket's volume lists decide, not the API objects; everything in doubt protects: a list that cannot be read stops
the removal of anything, a backup without a list protects its namespaces, a claim or a Backup without a list all that
carries its UID. Only what this cluster tagged or claimed is looked at, and never what is younger than a day.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from pkg.apis.ark import Backup
from pkg.apis.names import BACKUP_UID_LABEL
from pkg.apis.volumes import PodVolumeBackup
from pkg.backup.claim import ClaimDocument
from pkg.controllers.capture_plan import TERMINAL
from pkg.controllers.deletion_facts import is_refused
from pkg.controllers.deletion_snapshots import Snapshots
from pkg.controllers.orphan_report import GRACE, LONGEST_REPORT, Orphan, OrphanKind, OrphanReport
from pkg.controllers.ownership import is_imported
from pkg.objectstore.layout import backup_keys
from pkg.restic.messages import Snapshot

YOUNG = datetime.timedelta(hours=24)
_FULL = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """A directory of the bucket.

    Attributes:
        keys: Its files.
        claim: Whose it is; None where nothing says so.
        metadata: What makes a backup exist; None where it does not.
        listed: Ids that its volume list names; None where there is no list.
    """

    name: str
    keys: tuple[str, ...] = ()
    claim: ClaimDocument | None = None
    metadata: Backup | None = None
    listed: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryFacts:
    """A repository of this cluster that was looked into."""

    name: str
    namespace: str
    repository_id: str
    snapshots: tuple[Snapshot, ...] = ()
    pending: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanFacts:
    """All that a sweep read.

    Attributes:
        unseen: Namespaces whose repository could not be looked into now, such as one that is not Ready.
        problem: What could not be read although it should; empty when all was.
    """

    repositories: Sequence[RepositoryFacts] = ()
    directories: Sequence[Directory] = ()
    backups: Sequence[Backup] = ()
    captures: Sequence[PodVolumeBackup] = ()
    unseen: frozenset[str] = frozenset()
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanRules:
    """What holds for a sweep.

    Attributes:
        place: That of the bucket.
        held: Why nothing may be removed now; empty when it may.
    """

    now: datetime.datetime
    cluster_id: str
    place: str = ""
    held: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueDirectory:
    """Files to be deleted, each by its key, the claim last."""

    name: str
    claim: ClaimDocument
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanPlan:
    """The new report, and what of it is due."""

    report: OrphanReport
    snapshots: tuple[Snapshots, ...] = ()
    directories: tuple[DueDirectory, ...] = ()


@dataclass(slots=True)
class _Protected:
    """What must stay: by the snapshot's id, by its tags, or by its namespace."""

    ids: set[str] = field(default_factory=set)
    backup_uids: set[str] = field(default_factory=set)
    capture_uids: set[str] = field(default_factory=set)
    namespaces: set[str] = field(default_factory=set)
    everything: bool = False

    def add_namespaces(self, backup: Backup) -> None:
        included = backup.spec.included_namespaces or ("*",)
        self.everything = self.everything or any("*" in name for name in included)
        self.namespaces.update(included)

    def covers(self, snapshot: Snapshot, namespace: str) -> bool:
        return (
            self.everything
            or namespace in self.namespaces
            or snapshot.id in self.ids
            or snapshot.tag("backup-uid") in self.backup_uids
            or snapshot.tag("pvb-uid") in self.capture_uids
            or any(snapshot.id.startswith(short) for short in self.ids if len(short) < _FULL)
        )


def plan_orphans(facts: OrphanFacts, earlier: OrphanReport, rules: OrphanRules) -> OrphanPlan:
    """Compares what there is with what is named.

    Args:
        facts: What was read.
        earlier: The last report; only what it names can be due.
        rules: What holds now.
    """
    known = earlier.orphans if earlier.place == rules.place else ()
    if facts.problem:
        return OrphanPlan(report=_report(known, rules, problem=facts.problem))
    first_seen = {(one.kind, one.namespace, one.id): one.first_seen for one in known}
    snapshots = [
        _orphan(OrphanKind.SNAPSHOT, repository.namespace, snapshot.id, first_seen, rules)
        for repository, snapshot in _orphan_snapshots(facts, rules)
    ]
    left = [one for one in known if one.kind is OrphanKind.SNAPSHOT and one.namespace in facts.unseen]
    directories = [*_orphan_directories(facts, rules.cluster_id)]
    files = [_orphan(OrphanKind.FILE, "", key, first_seen, rules) for one in directories for key in one.keys]
    report = _report([*snapshots, *left, *files], rules)
    due = set() if rules.held else {(one.kind, one.namespace, one.id) for one in report.orphans if _is_due(one, rules)}
    return OrphanPlan(
        report=report,
        snapshots=tuple(_due_snapshots(facts, due)),
        directories=tuple(
            one for one in directories if all((OrphanKind.FILE, "", key) in due for key in one.keys) and one.keys
        ),
    )


def without(report: OrphanReport, removed: set[tuple[OrphanKind, str]]) -> OrphanReport:
    """The report without what was removed, each by its kind and id."""
    left = tuple(one for one in report.orphans if (one.kind, one.id) not in removed)
    gone = [one.kind for one in report.orphans if (one.kind, one.id) in removed]
    return msgspec.structs.replace(
        report,
        snapshots=report.snapshots - gone.count(OrphanKind.SNAPSHOT),
        files=report.files - gone.count(OrphanKind.FILE),
        orphans=left,
    )


def _report(orphans: Sequence[Orphan], rules: OrphanRules, *, problem: str = "") -> OrphanReport:
    """The oldest first, because they are due first."""
    ordered = sorted(orphans, key=lambda one: (one.first_seen, one.kind, one.namespace, one.id))
    snapshots = sum(one.kind is OrphanKind.SNAPSHOT for one in ordered)
    return OrphanReport(
        place=rules.place,
        at=rules.now,
        problem=problem,
        held=rules.held,
        snapshots=snapshots,
        files=len(ordered) - snapshots,
        unlisted=max(0, len(ordered) - LONGEST_REPORT),
        orphans=tuple(ordered[:LONGEST_REPORT]),
    )


def _orphan(
    kind: OrphanKind,
    namespace: str,
    identity: str,
    first_seen: Mapping[tuple[OrphanKind, str, str], datetime.datetime],
    rules: OrphanRules,
) -> Orphan:
    since = first_seen.get((kind, namespace, identity), rules.now)
    return Orphan(kind=kind, namespace=namespace, id=identity, first_seen=min(since, rules.now))


def _is_due(orphan: Orphan, rules: OrphanRules) -> bool:
    return rules.now - orphan.first_seen >= GRACE


def _orphan_snapshots(facts: OrphanFacts, rules: OrphanRules) -> Iterator[tuple[RepositoryFacts, Snapshot]]:
    protected = _protected(facts)
    for repository in facts.repositories:
        for snapshot in repository.snapshots:
            ours = snapshot.tag("cluster") == rules.cluster_id and snapshot.tag("ns") == repository.namespace
            settled = snapshot.id not in repository.pending and _is_old(snapshot, rules.now)
            if ours and settled and not snapshot.original and not protected.covers(snapshot, repository.namespace):
                yield repository, snapshot


def _is_old(snapshot: Snapshot, now: datetime.datetime) -> bool:
    try:
        made = datetime.datetime.fromisoformat(snapshot.time)
    except ValueError:
        return False
    return made.tzinfo is not None and now - made >= YOUNG


def _protected(facts: OrphanFacts) -> _Protected:
    found = _Protected()
    with_list: set[str] = set()  # names and UIDs of backups whose volume list was read
    for one in facts.directories:
        found.ids |= one.listed or frozenset()
        if one.metadata is None:
            if one.claim is not None:
                found.backup_uids.add(one.claim.backup_uid)
        elif one.listed is None:
            found.add_namespaces(one.metadata)
        else:
            with_list |= {f"name {one.name}", one.metadata.metadata.uid}
    for backup in facts.backups:
        _protect_object(backup, with_list, found)
    _protect_captures(facts, found)
    found.ids.discard("")
    found.backup_uids.discard("")
    return found


def _protect_object(backup: Backup, with_list: set[str], found: _Protected) -> None:
    """A Backup whose list was not read: it goes on, failed before its commit, or lost its files."""
    if is_imported(backup):
        if f"name {backup.metadata.name}" not in with_list:
            found.add_namespaces(backup)
    elif backup.metadata.uid not in with_list and not is_refused(backup):
        found.backup_uids.add(backup.metadata.uid)


def _protect_captures(facts: OrphanFacts, found: _Protected) -> None:
    """Captures that go on, and those of a Backup that is there: the deletion of it reads them."""
    existing = {backup.metadata.uid for backup in facts.backups}
    for capture in facts.captures:
        if capture.status.phase not in TERMINAL or capture.metadata.label(BACKUP_UID_LABEL) in existing:
            found.ids.add(capture.status.snapshot_id)
            found.capture_uids.add(capture.metadata.uid)


def _orphan_directories(facts: OrphanFacts, cluster_id: str) -> Iterator[DueDirectory]:
    names = {backup.metadata.name for backup in facts.backups}
    uids = {backup.metadata.uid for backup in facts.backups}
    for one in facts.directories:
        claim, keys = one.claim, backup_keys(one.name)
        if claim is None or one.metadata is not None or keys.metadata in one.keys:
            continue
        if claim.cluster_uid != cluster_id or not claim.backup_uid or claim.backup_uid in uids or one.name in names:
            continue
        there = tuple(key for key in keys.in_deletion_order if key in one.keys)
        yield DueDirectory(name=one.name, claim=claim, keys=there)


def _due_snapshots(facts: OrphanFacts, due: set[tuple[OrphanKind, str, str]]) -> Iterator[Snapshots]:
    for one in facts.repositories:
        ids = tuple(
            snapshot.id for snapshot in one.snapshots if (OrphanKind.SNAPSHOT, one.namespace, snapshot.id) in due
        )
        if ids:
            yield Snapshots(namespace=one.namespace, repository=one.name, repository_id=one.repository_id, ids=ids)
