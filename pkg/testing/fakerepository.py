"""The controller of repositories with a local directory as its store, and restic and the API in memory."""

from __future__ import annotations

import base64
import datetime
import queue
from pathlib import Path

from pkg.apis.ark import Config, StorageProvider
from pkg.apis.meta import JsonObject, ObjectMeta
from pkg.apis.names import REPLACE_ANNOTATION
from pkg.apis.reasons import Reason
from pkg.apis.volumes import ResticRepository
from pkg.controllers.config import ConfigReconciler
from pkg.controllers.repository_identity import RepositoryFinding
from pkg.controllers.restic_repository import ResticRepositoryReconciler
from pkg.controllers.stores import Stores
from pkg.kube.refs import RESTIC_REPOSITORIES, SECRETS
from pkg.manager.operations import Operations
from pkg.manager.reconciler import Result, done
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakerestic import FakeRepository, FakeRestic
from pkg.testing.fakes import FakeLister
from pkg.workqueue.key import Key

NAMESPACE = "heptio-ark"
KEY = Key(NAMESPACE, "shop")
PLACE = "/backups/shop"
PASSWORD = "correct horse"
LONG_SECONDS = 10.0


class FakeRepositoryWorld:
    """A server with a local directory as its store and a restic in memory."""

    def __init__(
        self, tmp_path: Path, *, cluster_id: str = "cluster-1", password: str = PASSWORD, place: str = PLACE
    ) -> None:
        self.place = place
        self.told: list[Reason] = []
        self.doubted: datetime.datetime | None = None
        (tmp_path / "bucket").mkdir(exist_ok=True)
        self.api, self.clock, self.restic = FakeApi(), FakeClock(), FakeRestic()
        self.configs = FakeLister([config(tmp_path)])
        self.lister: FakeLister[ResticRepository] = FakeLister()
        self.ended: queue.SimpleQueue[Key] = queue.SimpleQueue()
        self.operations: Operations[RepositoryFinding] = Operations("r", clock=self.clock, on_finished=self.ended.put)
        stores = Stores(ConfigReconciler(self.configs, {}, NAMESPACE), cluster_id)
        self.reconciler = ResticRepositoryReconciler(
            self.api.client,
            NAMESPACE,
            self.lister,
            stores=stores,
            runner=self.restic,
            operations=self.operations,
            clock=self.clock,
            scratch_dir=tmp_path,
            doubted_at=lambda repository: self.doubted,
            tell=lambda repository, reason, message: self.told.append(reason),
        )
        if password:
            metadata: JsonObject = {"name": "ark-restic-credentials", "namespace": NAMESPACE}
            self.api.client.create_raw(SECRETS, NAMESPACE, {"metadata": metadata, "data": encoded(password)})

    def add(self, *, initialize: bool = False, status: JsonObject | None = None, give_up: str = "") -> None:
        """Adds the object; `give_up` is the id that somebody gave up."""
        spec: JsonObject = {"volumeNamespace": "shop", "resticIdentifier": self.place, "initialize": initialize}
        metadata: JsonObject = {"name": KEY.name, "namespace": NAMESPACE}
        if give_up:
            metadata["annotations"] = {REPLACE_ANNOTATION: give_up}
        self.api.add(RESTIC_REPOSITORIES, {"metadata": metadata, "spec": spec, "status": status or {}})

    def exists(self, identity: str = "id-1", password: str = PASSWORD) -> None:
        """Puts a repository there."""
        self.restic.repositories[self.place] = FakeRepository(id=identity, password=password)

    def reconcile(self) -> Result:
        """One step, with a cache that has caught up."""
        found = self.api.client.list(RESTIC_REPOSITORIES, NAMESPACE, ResticRepository)
        self.lister.objects = {obj.metadata.key: obj for obj in found}
        return self.reconciler.reconcile(KEY)

    def look(self) -> Result:
        """One whole look: start it, wait for its end, record it."""
        assert self.reconcile() == done()
        self.await_end()
        return self.reconcile()

    def await_end(self) -> None:
        """Waits for the end of the look."""
        assert self.ended.get(timeout=LONG_SECONDS) == KEY

    @property
    def verbs(self) -> list[str]:
        """What restic was asked."""
        return [command.verb for command in self.restic.commands]

    @property
    def stored(self) -> ResticRepository:
        """The object as the API has it."""
        return self.api.client.get(RESTIC_REPOSITORIES, NAMESPACE, KEY.name, ResticRepository)


def encoded(password: str) -> JsonObject:
    """The Secret's data."""
    return {"repository-password": base64.b64encode(password.encode()).decode()}


def config(tmp_path: Path, bucket: str = "bucket") -> Config:
    """A Config with a local directory as the store."""
    provider = StorageProvider(name="local", bucket=bucket, config={"path": str(tmp_path)})
    return Config(metadata=ObjectMeta(name="default", namespace=NAMESPACE, uid="c"), backup_storage_provider=provider)
