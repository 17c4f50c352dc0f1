"""DownloadRequest: two ways to one file, or a reason."""

from __future__ import annotations

import datetime
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from pkg.apis.ark import Backup, Config, DownloadRequest, Restore, RestoreSpec, StorageProvider
from pkg.apis.meta import JsonObject, Object, ObjectMeta
from pkg.controllers.config import ConfigReconciler
from pkg.controllers.download_events import OFFERED, READ, DownloadEvents
from pkg.controllers.download_listener import DownloadListener
from pkg.controllers.download_request import LIFETIME_SECONDS, DownloadRequestReconciler, presigned
from pkg.controllers.stores import Stores
from pkg.kube.errors import ConflictError
from pkg.kube.refs import DOWNLOAD_REQUESTS
from pkg.kube.stop import StopToken
from pkg.manager.reconciler import Result, again_in, done
from pkg.objectstore.errors import StoreError
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakes import FakeLister
from pkg.testing.fakestore import FakeStore
from pkg.workqueue.key import Key

NAMESPACE = "heptio-ark"
KEY = Key(NAMESPACE, "request")


class World:
    """A bucket in a directory, with one backup and one restore in it."""

    def __init__(self, tmp_path: Path) -> None:
        self.bucket = tmp_path / "bucket"
        for name in ("nightly-logs.gz", "nightly.tar.gz", "nightly-volumes.json.gz"):
            self.write(f"nightly/{name}")
        for name in ("restore-back-logs.gz", "restore-back-results.gz"):
            self.write(f"nightly/{name}")
        self.api, self.clock = FakeApi(), FakeClock()
        self.lister: FakeLister[DownloadRequest] = FakeLister()
        provider = StorageProvider(name="local", bucket="bucket", config={"path": str(tmp_path)})
        metadata = ObjectMeta(name="default", namespace=NAMESPACE, uid="c")
        self.configs = FakeLister([Config(metadata=metadata, backup_storage_provider=provider)])
        restore = Restore(
            metadata=ObjectMeta(name="back", namespace=NAMESPACE), spec=RestoreSpec(backup_name="nightly")
        )
        self.listener = DownloadListener(self.clock, tmp_path)
        self.events: list[tuple[str, str, str, str]] = []
        restores = FakeLister([restore])
        backup = Backup(metadata=ObjectMeta(name="nightly", namespace=NAMESPACE))
        self.backups = FakeLister([backup])
        self.reconciler = DownloadRequestReconciler(
            self.api.client,
            self.lister,
            restores,
            stores=Stores(ConfigReconciler(self.configs, {}, NAMESPACE), "cluster-1"),
            listener=self.listener,
            events=DownloadEvents(self, self.backups, restores),
            server_pod="ark-1",
            clock=self.clock,
        )

    def event(self, obj: Object, reason: str, message: str) -> None:
        self.events.append((type(obj).__name__, obj.metadata.name, reason, message))

    def write(self, key: str) -> None:
        path = self.bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(key.encode())

    def ask(self, kind: str, name: str) -> DownloadRequest:
        target: JsonObject = {"kind": kind, "name": name}
        metadata: JsonObject = {"name": KEY.name, "namespace": NAMESPACE}
        self.api.add(DOWNLOAD_REQUESTS, {"metadata": metadata, "spec": {"target": target}})
        assert self.reconcile() == again_in(LIFETIME_SECONDS)
        return self.stored

    def reconcile(self) -> Result:
        found = self.api.client.list(DOWNLOAD_REQUESTS, NAMESPACE, DownloadRequest)
        self.lister.objects = {obj.metadata.key: obj for obj in found}
        return self.reconciler.reconcile(KEY)

    @property
    def stored(self) -> DownloadRequest:
        return self.api.client.get(DOWNLOAD_REQUESTS, NAMESPACE, KEY.name, DownloadRequest)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    stop = StopToken()
    stop.cancel()
    made.listener.run(stop)  # closes its socket


@pytest.mark.parametrize(
    ("kind", "name", "key"),
    [
        pytest.param("BackupLog", "nightly", "nightly/nightly-logs.gz", id="the log of a backup"),
        pytest.param("BackupContents", "nightly", "nightly/nightly.tar.gz", id="the tarball of a backup"),
        pytest.param("BackupVolumes", "nightly", "nightly/nightly-volumes.json.gz", id="the volume list of a backup"),
        pytest.param("RestoreLog", "back", "nightly/restore-back-logs.gz", id="the log of a restore"),
        pytest.param("RestoreResults", "back", "nightly/restore-back-results.gz", id="the results of a restore"),
    ],
)
def test_each_kind_of_file_can_be_read_with_the_token(world: World, kind: str, name: str, key: str) -> None:
    status = world.ask(kind, name).status
    assert (status.phase, status.reason) == ("Processed", "")
    assert (status.server_pod, status.server_port) == ("ark-1", world.listener.port)
    assert status.expiration == world.clock.now() + datetime.timedelta(seconds=LIFETIME_SECONDS)
    grant = world.listener.take(KEY.name, status.token)
    assert grant is not None
    file = io.BytesIO()
    grant.fetch(file)
    assert file.getvalue() == key.encode()


@pytest.mark.parametrize(
    ("kind", "name", "reason", "text"),
    [
        pytest.param("BackupLog", "none", "BackupNotFound", "none", id="a backup that is not in the bucket"),
        pytest.param("RestoreLog", "none", "InvalidSpec", "heptio-ark/none", id="a restore that does not exist"),
        pytest.param("Passwords", "nightly", "InvalidSpec", "Passwords", id="an unknown kind"),
        pytest.param("BackupLog", "../nightly", "InvalidSpec", "../nightly", id="a name that leaves its directory"),
        pytest.param("BackupLog", "", "InvalidSpec", "", id="no name"),
    ],
)
def test_what_cannot_be_had_is_answered_with_a_reason(
    world: World, kind: str, name: str, reason: str, text: str
) -> None:
    status = world.ask(kind, name).status
    assert (status.phase, status.reason) == ("Processed", reason)
    assert text in status.message
    assert status.token == status.download_url == ""


@pytest.mark.parametrize(
    ("kind", "name", "about"),
    [
        pytest.param("BackupContents", "nightly", ("Backup", "nightly"), id="a tarball, at its backup"),
        pytest.param("BackupLog", "nightly", ("Backup", "nightly"), id="a log, at its backup"),
        pytest.param("RestoreResults", "back", ("Restore", "back"), id="results, at their restore"),
    ],
)
def test_each_access_to_a_file_is_an_event(world: World, kind: str, name: str, about: tuple[str, str]) -> None:
    status = world.ask(kind, name).status
    assert [event[:3] for event in world.events] == [(*about, OFFERED)]
    grant = world.listener.take(KEY.name, status.token)
    assert grant is not None
    grant.fetch(io.BytesIO())
    assert [event[:3] for event in world.events] == [(*about, OFFERED), (*about, READ)]
    assert all(f"{kind} of {name}" in event[3] and "DownloadRequest request" in event[3] for event in world.events)


def test_a_file_of_a_backup_that_the_cluster_has_not_is_an_event_of_the_request(world: World) -> None:
    world.backups.remove(NAMESPACE, "nightly")
    world.ask("BackupContents", "nightly")
    assert world.events[0][:2] == ("DownloadRequest", KEY.name)


def test_what_is_refused_is_no_access(world: World) -> None:
    world.ask("BackupContents", "none")
    assert world.events == []


def test_without_settings_the_reason_is_theirs(world: World) -> None:
    world.configs.remove(NAMESPACE, "default")
    assert world.ask("BackupLog", "nightly").status.reason == "ConfigMissing"


def test_every_request_has_a_token_of_its_own(world: World) -> None:
    first = world.ask("BackupLog", "nightly").status.token
    world.api.remove(DOWNLOAD_REQUESTS, NAMESPACE, KEY.name)
    assert len(first) >= 43
    assert world.ask("BackupLog", "nightly").status.token != first


def test_no_log_line_shows_the_token(world: World) -> None:
    with capture_logs() as logs:
        token = world.ask("BackupLog", "nightly").status.token
    assert logs
    assert token not in str(logs)


def test_an_answered_request_is_kept_until_it_expires_and_then_deleted(world: World) -> None:
    world.ask("BackupLog", "nightly")
    writes = world.api.count("PATCH")
    world.clock.advance(LIFETIME_SECONDS - 1)
    assert world.reconcile() == again_in(1)
    world.clock.advance(1)
    assert world.reconcile() == done()
    assert world.api.list(DOWNLOAD_REQUESTS) == []
    assert world.api.count("PATCH") == writes
    assert world.reconcile() == done()


def test_one_that_is_gone_already_is_as_good_as_deleted(world: World) -> None:
    world.ask("BackupLog", "nightly")
    world.reconcile()
    world.api.remove(DOWNLOAD_REQUESTS, NAMESPACE, KEY.name)
    world.clock.advance(LIFETIME_SECONDS)
    assert world.reconciler.reconcile(KEY) == done()


def test_a_successor_of_the_same_name_is_not_deleted_for_it(world: World) -> None:
    world.ask("BackupLog", "nightly")
    world.reconcile()
    world.api.remove(DOWNLOAD_REQUESTS, NAMESPACE, KEY.name)
    world.api.add(DOWNLOAD_REQUESTS, {"metadata": {"name": KEY.name, "namespace": NAMESPACE}})
    world.clock.advance(LIFETIME_SECONDS)
    with pytest.raises(ConflictError):
        world.reconciler.reconcile(KEY)
    assert len(world.api.list(DOWNLOAD_REQUESTS)) == 1


def test_a_store_that_cannot_presign_still_has_the_listener(world: World) -> None:
    class NoPresign(FakeStore):
        def presign(self, key: str, seconds: int) -> str:
            raise StoreError("a directory has no addresses")

    assert presigned(NoPresign(), "k") == ""
    assert presigned(FakeStore(), "k") == f"http://fake.invalid/k?expires={LIFETIME_SECONDS}"
