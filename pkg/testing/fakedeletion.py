"""A server that deletes, on an API server and a bucket in memory; it can die before any call it makes.

`Calls` counts every request and every store call of the server together. After `die_before(n)` the n-th raises
`KilledError`, which nothing catches, and the test starts a new server on what the old one left.
"""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from pkg.apis.ark import Backup, Config, DeleteBackupRequest, Restore, Schedule
from pkg.apis.meta import JsonObject, Object
from pkg.apis.volumes import RootMetadata
from pkg.backup.claim import ClaimDocument
from pkg.controllers.config import ConfigReconciler, Settings
from pkg.controllers.deletion import DeletionReconciler
from pkg.controllers.deletion_gate import DeletionGate
from pkg.controllers.deletion_run import DeletionOutcome
from pkg.controllers.deletion_unlisted import unlisted_snapshots
from pkg.controllers.gc_reconciler import SCHEDULE_INDEX, GcReconciler, schedule_label
from pkg.controllers.stores import OpenStores, Stores
from pkg.kube.client import Client
from pkg.kube.errors import ConflictError
from pkg.kube.refs import (
    BACKUPS,
    CONFIGS,
    DELETE_BACKUP_REQUESTS,
    POD_VOLUME_BACKUPS,
    RESTIC_REPOSITORIES,
    RESTORES,
    SCHEDULES,
)
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken
from pkg.kube.wire import JSON_TYPE, REQUEST_SECONDS, ByteStream, Response
from pkg.manager.events import EventRecorder
from pkg.manager.operations import Operations
from pkg.objectstore.layout import backup_keys, restore_keys
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakerestic import FakeRestic
from pkg.testing.fakes import FakeLister
from pkg.testing.fakestore import FakeStore
from pkg.volumes.ledger import EntryState, Ledger, LedgerEntry, to_json_gz
from pkg.workqueue.key import Key

NAMESPACE = "heptio-ark"
CLUSTER = "cluster-1"
DAY = datetime.timedelta(days=1)
ROUNDS = 12

R = TypeVar("R")
T = TypeVar("T", bound=Object)


class KilledError(BaseException):
    """The process is dead."""


class Calls:
    """Counts calls and kills before one of them."""

    def __init__(self) -> None:
        self.made = 0
        self._fatal = 0

    def die_before(self, number: int) -> None:
        """Kills before that call, counted from now; 0 never."""
        self.made, self._fatal = 0, number

    def count(self) -> None:
        """One call begins."""
        self.made += 1
        if self.made == self._fatal:
            raise KilledError(f"before call {self.made}")


class CountedTransport:
    """A `Transport` that counts its requests."""

    def __init__(self, api: FakeApi, calls: Calls) -> None:
        self._api = api
        self._calls = calls

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON_TYPE,
        accept: str = JSON_TYPE,
        timeout_seconds: float = REQUEST_SECONDS,
    ) -> Response:
        """Counts, then asks."""
        self._calls.count()
        return self._api.request(method, path, query=query, body=body, content_type=content_type)

    def until(self, stop: StopToken) -> CountedTransport:
        """Itself."""
        return self

    def open_stream(
        self, path: str, *, query: Mapping[str, str] | None = None, read_timeout_seconds: float, accept: str = JSON_TYPE
    ) -> ByteStream:
        """Opens a watch."""
        return self._api.open_stream(path, query=query, read_timeout_seconds=read_timeout_seconds, accept=accept)


class InlineOperations(Operations[R]):
    """Operations whose work is done before `start` returns; death in the work is death of the caller."""

    def start(self, key: Key, work: Callable[[StopToken], R]) -> bool:
        """Does the work, and hands out its outcome as the real ones do."""
        if self.observe(key) is not None:
            return False
        result = work(StopToken())
        started = super().start(key, lambda stop: result)
        self.wait_all(10)
        return started


class StoresInMemory(Stores):
    """Stores that are always this cluster's; `trouble` is raised instead when a test sets it."""

    def __init__(self, config: ConfigReconciler, backups: FakeStore, restic: FakeStore) -> None:
        super().__init__(config, CLUSTER)
        self._backups = backups
        self._restic = restic
        self.trouble: Exception | None = None

    def settings(self) -> Settings:
        """What the Config says."""
        return self._config.settings()

    def owned(self) -> OpenStores:
        """The fake stores."""
        if self.trouble is not None:
            raise self.trouble
        return OpenStores(settings=self.settings(), backups=self._backups, restic=self._restic)


class DeletionWorld:
    """Backups with everything that belongs to them, and a server that is started anew by `restart`."""

    def __init__(self) -> None:
        self.clock = FakeClock(automatic=True)
        self.api = FakeApi(clock=self.clock)
        self.store, self.restic, self.calls = FakeStore(), FakeStore(), Calls()
        self.runner = FakeRestic()
        provider: JsonObject = {"name": "local", "bucket": "backups", "config": {"path": "/backups"}}
        metadata: JsonObject = {"name": "default", "namespace": NAMESPACE}
        self.api.add(CONFIGS, {"metadata": metadata, "backupStorageProvider": provider})
        self.restart()

    def restart(self) -> None:
        """A new server process over what is there."""
        self.calls.die_before(0)
        self.store.before = lambda verb, key: self.calls.count()
        client = Client(CountedTransport(self.api, self.calls))
        self.backups: FakeLister[Backup] = FakeLister()
        self.backups.add_index(SCHEDULE_INDEX, schedule_label)
        self.requests: FakeLister[DeleteBackupRequest] = FakeLister()
        self.restores: FakeLister[Restore] = FakeLister()
        self.schedules: FakeLister[Schedule] = FakeLister()
        self.configs: FakeLister[Config] = FakeLister()
        self.stores = StoresInMemory(ConfigReconciler(self.configs, {}, NAMESPACE), self.store, self.restic)
        gate = DeletionGate(configs=self.configs, namespace=NAMESPACE, stores=self.stores)
        self.events = EventRecorder(client, "ark", self.clock)
        operations: InlineOperations[DeletionOutcome] = InlineOperations(
            "deletion", clock=self.clock, on_finished=lambda key: None
        )
        self.deletion = DeletionReconciler(
            client,
            requests=self.requests,
            backups=self.backups,
            restores=self.restores,
            stores=self.stores,
            gate=gate,
            operations=operations,
            unlisted=unlisted_snapshots(client, NAMESPACE, self.runner, Path(tempfile.gettempdir())),
            events=self.events,
            clock=self.clock,
        )
        self.gc = GcReconciler(
            client,
            backups=self.backups,
            schedules=self.schedules,
            requests=self.requests,
            restores=self.restores,
            gate=gate,
            cluster_id=CLUSTER,
            events=self.events,
            clock=self.clock,
        )

    def sync(self) -> None:
        """Brings the caches up to date."""
        self._fill(self.backups, BACKUPS, Backup)
        self._fill(self.requests, DELETE_BACKUP_REQUESTS, DeleteBackupRequest)
        self._fill(self.restores, RESTORES, Restore)
        self._fill(self.schedules, SCHEDULES, Schedule)
        self._fill(self.configs, CONFIGS, Config)

    def collect(self) -> None:
        """One look of deletion by age at every backup, the last one first."""
        self.sync()
        for key in sorted(self.backups.objects, reverse=True):
            self.gc.reconcile(Key.parse(key))

    def process(self) -> None:
        """Lets deletion by request go on until nothing changes any more, twice: an outcome waits for its reader."""
        quiet = 0
        for _ in range(ROUNDS):
            before = self.api.state.version
            self.sync()
            for key in sorted(self.requests.objects):
                try:
                    self.deletion.reconcile(Key.parse(key))
                except ConflictError:
                    continue  # the queue would bring the key again
            quiet = quiet + 1 if self.api.state.version == before else 0
            if quiet == 2:
                return

    def add_backup(self, name: str, *, age_days: float = 1, **fields: object) -> Backup:
        """A backup with one captured volume, one ended restore and all their files.

        Args:
            name: Its name.
            age_days: When it was begun.
            fields: `schedule`, `ttl_days` (None for ever), `phase`, `annotations`, `volumes` (status), `files`.
        """
        made = self.clock.now() - DAY * age_days
        schedule, ttl = fields.get("schedule", ""), fields.get("ttl_days", 30)
        status: JsonObject = {
            "phase": str(fields.get("phase", "Completed")),
            "clusterID": CLUSTER,
            "startTimestamp": text(made),
            "claim": {"holder": "h", "epoch": 1},
        }
        if isinstance(ttl, int | float):
            status["expiration"] = text(made + DAY * ttl)
        if volumes := fields.get("volumes"):
            status["volumes"] = msgspec.to_builtins(volumes)
        metadata: JsonObject = {
            "name": name,
            "namespace": NAMESPACE,
            "creationTimestamp": text(made),
            "annotations": msgspec.to_builtins(fields.get("annotations", {})),
            "labels": {"ark-schedule": str(schedule)} if schedule else {},
        }
        stored = self.api.add(BACKUPS, {"metadata": metadata, "spec": {}, "status": status})
        backup = msgspec.convert(stored, Backup)
        if fields.get("files", True):
            self.add_files(backup)
        return backup

    def add_files(self, backup: Backup, *, snapshot: str = "") -> None:
        """The files of a backup in the bucket, its capture, its repository and its restore."""
        name, uid = backup.metadata.name, backup.metadata.uid
        keys, snapshot = backup_keys(name), snapshot or snapshot_id(name)
        entry = LedgerEntry(
            namespace="shop",
            pod="web",
            volume="data",
            state=EntryState.CAPTURED,
            repository="shop",
            repository_id="r1",
            snapshot_id=snapshot,
            root=RootMetadata(),
        )
        ledger = Ledger(backup_name=name, backup_uid=uid, cluster_id=CLUSTER, entries=(entry,))
        claim = ClaimDocument(backup_uid=uid, cluster_uid=CLUSTER, epoch=1)
        self.store.objects |= {
            keys.claim: msgspec.json.encode(claim),
            keys.metadata: msgspec.json.encode(backup),
            keys.tarball: b"tarball",
            keys.log: b"log",
            keys.volumes: to_json_gz(ledger),
            restore_keys(name, f"{name}-r").log: b"log",
            restore_keys(name, f"{name}-r").results: b"results",
        }
        self.add_repository("shop", "r1")
        self.add_restore(f"{name}-r", name)
        labels: JsonObject = {"ark.heptio.com/backup-name": name, "ark.heptio.com/backup-uid": uid}
        self.api.add(
            POD_VOLUME_BACKUPS,
            {
                "metadata": {"name": f"{name}-data", "namespace": NAMESPACE, "labels": labels},
                "spec": {"pod": {"namespace": "shop", "name": "web"}, "volume": "data", "repository": "shop"},
                "status": {"phase": "Completed", "snapshotID": snapshot, "repositoryID": "r1"},
            },
        )

    def add_repository(self, namespace: str, identity: str, **status: object) -> None:
        """A ResticRepository, unless it is there, and the repository itself."""
        self.restic.objects[f"{namespace}/config"] = b"config"
        if self.api.get(RESTIC_REPOSITORIES, NAMESPACE, namespace) is None:
            metadata: JsonObject = {"name": namespace, "namespace": NAMESPACE}
            told: JsonObject = {"phase": "Ready", "repositoryID": identity, **msgspec.to_builtins(status)}
            self.api.add(
                RESTIC_REPOSITORIES, {"metadata": metadata, "spec": {"volumeNamespace": namespace}, "status": told}
            )

    def add_restore(self, name: str, backup: str, phase: str = "Completed") -> None:
        """A Restore of a backup."""
        metadata: JsonObject = {"name": name, "namespace": NAMESPACE}
        self.api.add(RESTORES, {"metadata": metadata, "spec": {"backupName": backup}, "status": {"phase": phase}})

    def ask(self, backup: str, *, name: str = "", **spec: object) -> str:
        """Creates a DeleteBackupRequest and returns its name."""
        name = name or f"{backup}-1"
        body: JsonObject = {"metadata": {"name": name}, "spec": {"backupName": backup, **msgspec.to_builtins(spec)}}
        self.api.client.create(DELETE_BACKUP_REQUESTS, NAMESPACE, body, DeleteBackupRequest)
        return name

    def request(self, name: str) -> DeleteBackupRequest:
        """A request as it is stored."""
        return self.api.client.get(DELETE_BACKUP_REQUESTS, NAMESPACE, name, DeleteBackupRequest)

    def backup(self, name: str) -> Backup:
        """A Backup as it is stored."""
        return self.api.client.get(BACKUPS, NAMESPACE, name, Backup)

    def names(self, ref: ResourceRef) -> list[str]:
        """Names of the objects of a kind."""
        return sorted(
            str(metadata["name"]) for one in self.api.list(ref) if isinstance(metadata := one["metadata"], dict)
        )

    def pending(self, repository: str = "shop") -> set[str]:
        """Snapshots that wait to be forgotten."""
        found = self.api.get(RESTIC_REPOSITORIES, NAMESPACE, repository) or {}
        status = found.get("status")
        ids = status.get("pendingForget") if isinstance(status, dict) else None
        return {str(one) for one in ids} if isinstance(ids, list) else set()

    def patch(self, ref: ResourceRef, name: str, change: JsonObject, *, subresource: str = "") -> None:
        """Changes an object as somebody else would."""
        self.api.client.patch_raw(ref, NAMESPACE, name, change, subresource=subresource)

    def deleted_keys(self) -> list[str]:
        """Every key whose deletion was asked for, in order."""
        return [key for verb, key in self.store.calls if verb == "delete"]

    def _fill(self, lister: FakeLister[T], ref: ResourceRef, struct: type[T]) -> None:
        found = [msgspec.convert(one, struct) for one in self.api.list(ref, NAMESPACE)]
        lister.objects = {one.metadata.key: one for one in found}


def known_keys(name: str) -> set[str]:
    """The keys of a backup's files and of those of its one restore."""
    return {*backup_keys(name).in_deletion_order, *restore_keys(name, f"{name}-r").in_deletion_order}


def snapshot_id(name: str) -> str:
    """A full snapshot id that belongs to a backup's name."""
    return name.encode().hex().ljust(64, "0")[:64]


def text(moment: datetime.datetime) -> str:
    """RFC 3339."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
