"""Which repositories get a cheap key."""

from __future__ import annotations

import datetime
import hashlib
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from pkg.apis.ark import Config, StorageProvider
from pkg.apis.meta import JsonObject, ObjectMeta
from pkg.apis.names import CREDENTIALS_SECRET, GENERATED_ANNOTATION
from pkg.apis.volumes import ResticRepository, ResticRepositorySpec, ResticRepositoryStatus
from pkg.controllers.config import ConfigReconciler
from pkg.controllers.fast_keys import FastKeys
from pkg.controllers.stores import OpenStores, Stores, guarded
from pkg.kube.refs import SECRETS
from pkg.kube.stop import StopToken
from pkg.restic.command import Command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.finished import Finished
from pkg.restic.keyfile import MasterKey
from pkg.restic.password import Password
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakerestic import FakeRestic
from pkg.testing.fakes import FakeLister

NAMESPACE, CLUSTER = "heptio-ark", "cluster-1"
PASSWORD = Password("256 random bits")
NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)


class World:
    def __init__(self, tmp_path: Path, *, generated: bool) -> None:
        self.keys = tmp_path / "bucket" / "restic" / "shop" / "keys"
        self.keys.mkdir(parents=True)
        self.api, self.restic = FakeApi(), FakeRestic()
        annotations: JsonObject = {GENERATED_ANNOTATION: "true"} if generated else {}
        secret: JsonObject = {
            "metadata": {"name": CREDENTIALS_SECRET, "namespace": NAMESPACE, "annotations": annotations}
        }
        self.api.add(SECRETS, secret)
        provider = StorageProvider(name="local", bucket="bucket", config={"path": str(tmp_path)})
        config = Config(metadata=ObjectMeta(name="default", namespace=NAMESPACE), backup_storage_provider=provider)
        self.stores = Stores(ConfigReconciler(FakeLister([config]), {}, NAMESPACE), CLUSTER).current()
        self.keyring = FastKeys(client=self.api.client, namespace=NAMESPACE, runner=self.restic, clock=FakeClock())
        self.current = ""
        self.restic.script = self._key_list
        self.add_key(MasterKey(b"{}").sealed(PASSWORD, now=NOW))

    def add_key(self, data: bytes) -> None:
        self.current = hashlib.sha256(data).hexdigest()
        (self.keys / self.current).write_bytes(data)

    def _key_list(self, command: Command, environment: ResticEnvironment | None) -> Finished | None:
        assert environment is not None
        document = msgspec.json.encode([{"id": self.current, "current": True}])
        return Finished(verb=command.verb, repository=environment.repository, exit_code=0, stdout=document)

    def ensure(self, repository: ResticRepository, stores: OpenStores | None = None) -> str:
        environment = ResticEnvironment(
            repository=repository.spec.restic_identifier, password=PASSWORD, cache_dir="/cache"
        )
        return self.keyring.ensure(repository, stores or self.stores, environment, StopToken())


def repository(*, identifier: str = "/bucket/restic/shop", fast_key_id: str = "") -> ResticRepository:
    return ResticRepository(
        metadata=ObjectMeta(name="shop", namespace=NAMESPACE, uid="r-1"),
        spec=ResticRepositorySpec(volume_namespace="shop", restic_identifier=identifier),
        status=ResticRepositoryStatus(fast_key_id=fast_key_id),
    )


def test_a_password_of_ours_gets_a_cheap_key_that_restic_has_opened(tmp_path: Path) -> None:
    world = World(tmp_path, generated=True)
    assert world.ensure(repository()) == world.current
    assert [command.verb for command in world.restic.commands] == ["key list"]


def test_a_password_that_a_person_chose_gets_none(tmp_path: Path) -> None:
    world = World(tmp_path, generated=False)
    assert world.ensure(repository()) == ""
    assert world.restic.commands == []


def test_nothing_is_written_where_nothing_may_be(tmp_path: Path) -> None:
    world = World(tmp_path, generated=True)
    assert world.ensure(repository(), guarded(world.stores)) == ""


def test_a_repository_somewhere_else_gets_none(tmp_path: Path) -> None:
    assert World(tmp_path, generated=True).ensure(repository(identifier="/elsewhere/blog")) == ""


@pytest.mark.parametrize("current", ["", "another"])
def test_a_key_that_restic_does_not_open_does_not_count(tmp_path: Path, current: str) -> None:
    world = World(tmp_path, generated=True)
    world.current = current
    with capture_logs() as logs:
        assert world.ensure(repository()) == ""
    assert [log["event"] for log in logs] == ["No cheap key; restic starts slower"]


def test_it_is_tried_once_in_the_life_of_a_process(tmp_path: Path) -> None:
    world = World(tmp_path, generated=False)
    assert world.keyring.wanted(repository())
    world.ensure(repository())
    assert not world.keyring.wanted(repository())


def test_a_repository_that_has_one_wants_none(tmp_path: Path) -> None:
    assert not World(tmp_path, generated=True).keyring.wanted(repository(fast_key_id="k"))
