"""Making sure that a namespace has a repository, and waiting for it to be Ready."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from prometheus_client import CollectorRegistry

from pkg.apis.meta import JsonObject
from pkg.apis.reasons import Reason
from pkg.apis.volumes import ResticRepository
from pkg.controllers.agent import VolumeFailure
from pkg.controllers.change_signal import ChangeSignal
from pkg.controllers.repositories import READY_WAIT_SECONDS, Repositories
from pkg.kube.refs import RESTIC_REPOSITORIES
from pkg.kube.stop import StopToken
from pkg.manager.controller import Controller
from pkg.manager.controller_metrics import ControllerMetrics
from pkg.manager.reconciler import Result, done
from pkg.objectstore.location import StorageLocation
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakes import FakeLister
from pkg.workqueue.delaying import Timer
from pkg.workqueue.key import Key
from pkg.workqueue.metrics import QueueMetrics

NAMESPACE = "heptio-ark"
LOCATION = StorageLocation(provider="local", bucket="b", restic_location="b/restic", config={"path": "/srv"})
LONG_SECONDS = 30.0
READY: JsonObject = {"phase": "Ready", "repositoryID": "id-1", "reason": "", "message": ""}


def not_ready(reason: str = "WrongPassword") -> JsonObject:
    return {"phase": "NotReady", "reason": reason, "message": "no"}


class World:
    """A server whose repository controller answers each look as `answer` says."""

    def __init__(self) -> None:
        self.api, self.clock, self.changes = FakeApi(), FakeClock(), ChangeSignal()
        self.lister: FakeLister[ResticRepository] = FakeLister()
        self.answer: Callable[[ResticRepository], JsonObject] = lambda repository: READY
        self.looks = 0
        self.asked = 0
        self.empty_bucket = True
        registry = CollectorRegistry()
        self.controller = Controller(
            "repositories",
            self,
            timer=Timer(self.clock),
            clock=self.clock,
            queue_metrics=QueueMetrics(registry),
            metrics=ControllerMetrics(registry),
        )
        self.use(self.changes)

    def use(self, changes: ChangeSignal) -> None:
        self.repositories = Repositories(
            client=self.api.client,
            namespace=NAMESPACE,
            lister=self.lister,
            controller=self.controller,
            changes=changes,
            clock=self.clock,
        )

    def reconcile(self, key: Key) -> Result:
        self.looks += 1
        found = self.stored(key.name)
        change: JsonObject = {**self.answer(found), "checkedAt": self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")}
        self.set_status(key.name, change)
        self.sync()
        return done()

    def set_status(self, name: str, change: JsonObject) -> None:
        self.api.client.patch_raw(RESTIC_REPOSITORIES, NAMESPACE, name, {"status": change}, subresource="status")

    def sync(self) -> None:
        found = self.api.client.list(RESTIC_REPOSITORIES, NAMESPACE, ResticRepository)
        self.lister.objects = {obj.metadata.key: obj for obj in found}
        self.changes.raise_()

    def may_initialize(self) -> bool:
        self.asked += 1
        self.sync()  # the informer sees the object some time after it was made
        return self.empty_bucket

    def ensure(self, stop: StopToken | None = None) -> ResticRepository:
        return self.repositories.ensure("shop", LOCATION, may_initialize=self.may_initialize, stop=stop or StopToken())

    def add(self, *, initialize: bool, status: JsonObject, at: str = "/srv/b/restic/shop") -> None:
        spec: JsonObject = {"volumeNamespace": "shop", "resticIdentifier": at, "initialize": initialize}
        metadata: JsonObject = {"name": "shop", "namespace": NAMESPACE}
        self.api.add(RESTIC_REPOSITORIES, {"metadata": metadata, "spec": spec, "status": status})
        self.sync()

    def stored(self, name: str = "shop") -> ResticRepository:
        return self.api.client.get(RESTIC_REPOSITORIES, NAMESPACE, name, ResticRepository)


class Informed(ChangeSignal):
    """The cache catches up whenever somebody waits, and the wait is over."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def wait(self, stop: StopToken, seen: int, timeout_seconds: float) -> None:
        self._world.sync()


class Passing(ChangeSignal):
    """Nothing happens, and time passes."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, stop: StopToken, seen: int, timeout_seconds: float) -> None:
        assert timeout_seconds > 0
        self._clock.advance(timeout_seconds)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    made.controller.start()
    yield made
    made.controller.shut_down()
    assert made.controller.join(LONG_SECONDS) == []


def informed(world: World) -> World:
    world.use(Informed(world))
    return world


def test_the_first_backup_of_a_namespace_makes_the_object_and_waits_until_it_is_ready(world: World) -> None:
    ready = informed(world).ensure()
    assert ready.status.repository_id == "id-1"
    assert ready.metadata.labels == {"ark.heptio.com/volume-namespace": "shop"}
    assert (ready.spec.volume_namespace, ready.spec.initialize) == ("shop", True)
    assert ready.spec.restic_identifier == "/srv/b/restic/shop"


def test_where_the_bucket_knows_of_captures_it_may_not_be_initialized(world: World) -> None:
    world.empty_bucket = False
    assert not informed(world).ensure().spec.initialize


def test_a_ready_one_costs_no_look_no_write_and_no_question(world: World) -> None:
    world.add(initialize=True, status=READY)
    assert world.ensure().status.phase == "Ready"
    assert (world.looks, world.asked) == (0, 0)
    assert world.api.count("POST") == world.api.count("PATCH") == 0


def test_one_that_lies_elsewhere_than_the_config_says_is_not_written_to(world: World) -> None:
    world.add(initialize=True, status=READY, at="/srv/old-bucket/restic/shop")
    with pytest.raises(VolumeFailure, match="is at /srv/old-bucket/restic/shop, but by the Config") as failure:
        world.ensure()
    assert failure.value.reason is Reason.REPOSITORY_NOT_READY
    assert "kubectl -n heptio-ark delete resticrepository shop" in failure.value.message


def test_one_that_a_restore_made_may_be_initialized_by_a_backup(world: World) -> None:
    world.add(initialize=False, status=not_ready("RepositoryMissing"))
    world.answer = lambda found: READY if found.spec.initialize else not_ready("RepositoryMissing")
    assert informed(world).ensure().status.phase == "Ready"


def test_an_answer_to_the_older_spec_does_not_count(world: World) -> None:
    now = world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    world.add(initialize=False, status={**not_ready("RepositoryMissing"), "checkedAt": now})
    assert informed(world).ensure().status.phase == "Ready"


def test_a_pinned_one_is_never_asked_to_be_initialized(world: World) -> None:
    world.add(initialize=False, status={**not_ready("RepositoryMissing"), "repositoryID": "id-1"})
    world.answer = lambda found: not_ready("RepositoryMissing")
    with pytest.raises(VolumeFailure):
        informed(world).ensure()
    assert not world.stored().spec.initialize
    assert world.asked == 0


def test_one_that_0_9_opened_is_never_asked_to_be_initialized(world: World) -> None:
    status: JsonObject = {"phase": "NotReady", "lastMaintenanceTime": "2018-09-01T07:00:00Z", "message": "no"}
    world.add(initialize=False, status=status)
    world.ensure()
    assert (world.asked, world.stored().spec.initialize) == (0, False)


def test_an_old_failure_is_looked_at_again_before_it_counts(world: World) -> None:
    world.add(initialize=True, status={**not_ready(), "checkedAt": "2025-12-31T00:00:00Z"})
    assert informed(world).ensure().status.phase == "Ready"
    assert world.looks >= 1


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        pytest.param("WrongPassword", Reason.WRONG_PASSWORD, id="its own reason"),
        pytest.param("FromTheFuture", Reason.REPOSITORY_NOT_READY, id="a reason that this Ark does not know"),
    ],
)
def test_a_new_failure_is_the_failure_of_the_volumes(world: World, reason: str, expected: Reason) -> None:
    world.add(initialize=True, status={})
    world.answer = lambda found: not_ready(reason)
    with pytest.raises(VolumeFailure, match="shop is NotReady: no") as raised:
        informed(world).ensure()
    assert raised.value.reason is expected


def test_who_is_stopped_does_not_wait(world: World) -> None:
    world.add(initialize=True, status={})
    world.controller.shut_down()
    stop = StopToken()
    stop.cancel("shutdown")
    with pytest.raises(VolumeFailure):
        world.ensure(stop)


def test_the_wait_ends_after_five_minutes(world: World) -> None:
    world.add(initialize=True, status={})
    world.controller.shut_down()
    world.use(Passing(world.clock))
    with pytest.raises(VolumeFailure, match="5 minutes") as raised:
        world.ensure()
    assert raised.value.reason is Reason.REPOSITORY_NOT_READY
    assert world.clock.monotonic() == READY_WAIT_SECONDS


def test_a_change_after_the_look_ends_the_wait_at_once() -> None:
    changes = ChangeSignal()
    seen = changes.version
    changes.raise_()
    changes.wait(StopToken(), seen, 1e6)


def test_a_stop_ends_the_wait_at_once() -> None:
    stop = StopToken()
    stop.cancel()
    changes = ChangeSignal()
    changes.wait(stop, changes.version, 1e6)
