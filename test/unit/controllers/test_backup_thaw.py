"""A Backup that is taken over is thawed before the store is even looked at."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from pkg.apis.ark import Backup
from pkg.apis.meta import JsonObject
from pkg.apis.reasons import Reason
from pkg.controllers.backup import BackupKindOfEngine
from pkg.controllers.metrics import ServerMetrics
from pkg.controllers.stores import OpenStores, StoreFailure, Stores
from pkg.kube import refs
from pkg.kube.errors import TransportError
from pkg.kube.stop import StopToken
from pkg.manager.events import EventRecorder
from pkg.testing.fakebackup import BackupWorld, FakeCapturer
from pkg.testing.fakeclock import FakeClock

POST = "post.hook.backup.ark.heptio.com/command"


class NoStores:
    """A store that answers nobody; what was done before it was asked is remembered."""

    def __init__(self, world: BackupWorld) -> None:
        self._world = world
        self.asked_after: list[str] | None = None

    def owned(self) -> OpenStores:
        self.asked_after = list(self._world.execute.commands)
        raise StoreFailure(Reason.BACKEND_UNREACHABLE, "no answer")


@pytest.fixture
def world(tmp_path: Path) -> BackupWorld:
    made = BackupWorld(tmp_path)
    made.clock = FakeClock(automatic=True)
    made.namespace("shop")
    made.pod("shop", "db-0", annotations={POST: "thaw"})
    hook: JsonObject = {"namespace": "shop", "pod": "db-0", "podUID": "db-0-uid", "since": "2026-01-01T00:00:00Z"}
    claim: JsonObject = {"holder": "server", "epoch": 2}
    made.raw["status"] = {"phase": "InProgress", "claim": claim, "openHooks": [hook]}
    made.backup = msgspec.convert(made.api.add(refs.BACKUPS, made.raw), Backup)
    return made


def kind_of(world: BackupWorld, stores: NoStores) -> BackupKindOfEngine:
    return BackupKindOfEngine(
        world.api.client,
        stores=cast(Stores, stores),
        capturer=lambda backup, location: FakeCapturer(),
        clock=world.clock,
        scratch_dir=Path("/nowhere"),
        metrics=ServerMetrics(CollectorRegistry()),
        events=EventRecorder(world.api.client, clock=world.clock, component="test"),
        execute=world.execute,
    )


def test_the_thaw_comes_before_the_store(world: BackupWorld) -> None:
    stores = NoStores(world)
    outcome = kind_of(world, stores).run(world.backup, StopToken())
    assert stores.asked_after == ["db-0 thaw"]
    assert outcome.status is not None
    assert outcome.status["reason"] == Reason.BACKEND_UNREACHABLE


def test_a_thaw_that_could_not_be_made_comes_first_the_next_time_too(world: BackupWorld) -> None:
    for _ in range(10):
        world.api.fail_next(TransportError("no route"), method="GET", ref=refs.PODS)
    stores = NoStores(world)
    outcome = kind_of(world, stores).run(world.backup, StopToken())
    assert (outcome.status, stores.asked_after) == (None, None)
