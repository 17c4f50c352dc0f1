from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from pkg.apis.meta import Json, JsonObject
from pkg.kube.errors import KubeError, ServerError, TransportError, status_error
from pkg.kube.refs import LEASES
from pkg.kube.stop import StopToken
from pkg.manager.leader import LeaderElector, Lease, LeaseSettings
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock

LONG_SECONDS = 30.0


def wait_until(reached: Callable[[], bool]) -> None:
    for _ in range(1000):
        if reached():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it was not reached")


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.api = FakeApi()

    def elector(self, identity: str, clock: FakeClock | None = None) -> LeaderElector:
        settings = LeaseSettings(namespace="ns", name="ark", identity=identity)
        return LeaderElector(self.api.client, settings, clock or self.clock)

    @property
    def lease(self) -> Lease:
        return self.api.client.get(LEASES, "ns", "ark", Lease)

    def edit(self, **spec: Json) -> None:
        self.api.client.patch_raw(LEASES, "ns", "ark", {"spec": spec})


class Renewal:
    """An elector that renews in a thread."""

    def __init__(self, elector: LeaderElector) -> None:
        self.stop = StopToken()
        self.lost = threading.Event()
        self.losses = 0
        self.thread = threading.Thread(target=elector.renew, args=(self.stop, self._lose), daemon=True)
        self.thread.start()

    def _lose(self) -> None:
        self.losses += 1
        self.lost.set()

    def end(self) -> None:
        self.stop.cancel()
        self.thread.join(LONG_SECONDS)
        assert not self.thread.is_alive()


def test_the_first_one_makes_the_lease() -> None:
    world = World()
    elector = world.elector("one")
    assert elector.try_acquire_or_renew()
    spec = world.lease.spec
    assert (spec.holder_identity, spec.lease_duration_seconds, spec.lease_transitions) == ("one", 15, 0)
    assert spec.acquire_time == spec.renew_time == "2026-01-01T00:00:00.000000Z"
    assert elector.is_leader


def test_a_renewal_costs_one_request_and_keeps_when_it_was_acquired() -> None:
    world = World()
    elector = world.elector("one")
    elector.try_acquire_or_renew()
    world.clock.advance(2)
    before = len(world.api.requests)
    assert elector.try_acquire_or_renew()
    assert len(world.api.requests) - before == 1
    spec = world.lease.spec
    assert (spec.acquire_time, spec.renew_time) == ("2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:02.000000Z")


def test_a_second_one_waits_as_long_as_the_record_changes() -> None:
    world = World()
    one, two = world.elector("one"), world.elector("two")
    one.try_acquire_or_renew()
    for _ in range(20):
        assert not two.try_acquire_or_renew()
        world.clock.advance(5)
        assert one.try_acquire_or_renew()
    assert not two.is_leader
    assert two.leader == "one"


def test_a_second_one_takes_over_once_the_record_has_stood_still_for_its_duration() -> None:
    world = World()
    one, two = world.elector("one"), world.elector("two")
    one.try_acquire_or_renew()
    world.clock.advance(1000)
    assert not two.try_acquire_or_renew(), "it has not watched yet, however old the record is"
    world.clock.advance(14)
    assert not two.try_acquire_or_renew()
    world.clock.advance(1)
    assert two.try_acquire_or_renew()
    assert (world.lease.spec.holder_identity, world.lease.spec.lease_transitions) == ("two", 1)


def test_the_clock_of_the_other_does_not_matter() -> None:
    world = World()
    world.elector("one").try_acquire_or_renew()
    world.edit(renewTime="2001-01-01T00:00:00.000000Z", acquireTime="2001-01-01T00:00:00.000000Z")
    two = world.elector("two")
    assert not two.try_acquire_or_renew()
    world.edit(renewTime="2099-01-01T00:00:00.000000Z")
    world.clock.advance(14)
    assert not two.try_acquire_or_renew(), "it has changed since it was first seen"
    world.clock.advance(15)
    assert two.try_acquire_or_renew()


def test_the_duration_that_counts_is_the_one_in_the_record() -> None:
    world = World()
    world.elector("one").try_acquire_or_renew()
    world.edit(leaseDurationSeconds=60)
    two = world.elector("two")
    two.try_acquire_or_renew()
    world.clock.advance(59)
    assert not two.try_acquire_or_renew()
    world.clock.advance(1)
    assert two.try_acquire_or_renew()


def test_a_restarted_container_takes_its_own_lease_back_at_once() -> None:
    world = World()
    world.elector("pod-uid").try_acquire_or_renew()
    world.clock.advance(1)
    restarted = world.elector("pod-uid")
    assert restarted.try_acquire_or_renew()
    assert world.lease.spec.lease_transitions == 0


def test_a_released_lease_is_free_at_once() -> None:
    world = World()
    one, two = world.elector("one"), world.elector("two")
    one.try_acquire_or_renew()
    assert not two.try_acquire_or_renew()
    one.release()
    assert not one.is_leader
    assert (world.lease.spec.holder_identity, world.lease.spec.lease_duration_seconds) == ("", 1)
    assert two.try_acquire_or_renew()
    assert world.lease.spec.lease_duration_seconds == 15


def test_who_does_not_lead_releases_nothing() -> None:
    world = World()
    world.elector("one").try_acquire_or_renew()
    two = world.elector("two")
    two.try_acquire_or_renew()
    two.release()
    assert world.lease.spec.holder_identity == "one"


def test_a_lease_that_was_taken_meanwhile_is_not_released() -> None:
    world = World()
    one = world.elector("one")
    one.try_acquire_or_renew()
    world.edit(holderIdentity="two")
    one.release()
    assert world.lease.spec.holder_identity == "two"


@pytest.mark.parametrize(
    "error",
    [
        TransportError("reset"),
        ServerError("no", code=503),
        status_error("forbidden", code=403),
        status_error("slow down", code=429),
        status_error("stale", code=409, reason="Conflict"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_goes_wrong_is_only_not_yet(error: KubeError) -> None:
    world = World()
    elector = world.elector("one")
    world.api.fail_next(error, ref=LEASES)
    assert not elector.try_acquire_or_renew()
    assert not elector.is_leader
    assert elector.try_acquire_or_renew()


def test_an_edit_of_the_lease_by_others_costs_a_read_and_no_renewal() -> None:
    world = World()
    elector = world.elector("one")
    elector.try_acquire_or_renew()
    world.api.client.patch_raw(LEASES, "ns", "ark", {"metadata": {"labels": {"seen": "yes"}}})
    assert elector.try_acquire_or_renew()


def test_a_deleted_lease_is_made_again() -> None:
    world = World()
    elector = world.elector("one")
    elector.try_acquire_or_renew()
    world.api.client.delete(LEASES, "ns", "ark")
    assert elector.try_acquire_or_renew()
    assert world.lease.spec.holder_identity == "one"


def test_acquiring_waits_between_attempts_and_ends_with_the_token() -> None:
    world, stop = World(), StopToken()
    world.elector("one").try_acquire_or_renew()
    two, got = world.elector("two"), []
    thread = threading.Thread(target=lambda: got.append(two.acquire(stop)), daemon=True)
    thread.start()
    for _ in range(3):
        world.clock.wait_for_waiters()
        world.clock.advance(2)
    world.clock.wait_for_waiters()
    stop.cancel()
    thread.join(LONG_SECONDS)
    assert got == [False]
    assert all(2.0 <= seconds <= 4.4 for seconds in world.clock.waits)


def test_renewing_goes_on_until_stopped_without_a_loss() -> None:
    world = World()
    elector = world.elector("one")
    elector.acquire(StopToken())
    renewal = Renewal(elector)
    for _ in range(10):
        world.clock.wait_for_waiters(2)
        world.clock.advance(2)
        wait_until(lambda: world.lease.spec.renew_time == world.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    renewal.end()
    assert renewal.losses == 0
    assert elector.is_leader


def test_the_lease_is_lost_when_no_renewal_gets_through_for_ten_seconds() -> None:
    world = World()
    elector = world.elector("one")
    elector.acquire(StopToken())
    for _ in range(20):
        world.api.fail_next(TransportError("down"), ref=LEASES)
    renewal = Renewal(elector)
    world.clock.wait_for_waiters(2)
    world.clock.advance(9.9)
    assert not renewal.lost.wait(0.05)
    world.clock.advance(0.1)
    assert renewal.lost.wait(LONG_SECONDS)
    renewal.thread.join(LONG_SECONDS)
    assert renewal.losses == 1
    assert not elector.is_leader


def test_the_lease_is_lost_at_once_when_another_holds_it() -> None:
    world = World()
    elector = world.elector("one")
    elector.acquire(StopToken())
    world.edit(holderIdentity="two")
    renewal = Renewal(elector)
    world.clock.wait_for_waiters(2)
    world.clock.advance(2)
    assert renewal.lost.wait(LONG_SECONDS)
    renewal.thread.join(LONG_SECONDS)
    assert renewal.losses == 1
    elector.release()
    assert world.lease.spec.holder_identity == "two"


def test_the_deadline_counts_while_a_request_hangs_and_a_late_answer_changes_nothing() -> None:
    world = World()
    elector = world.elector("one")
    elector.acquire(StopToken())
    hanging, answer = threading.Event(), threading.Event()
    real = elector._write

    def hang(lease: Lease, spec: JsonObject) -> Lease:
        hanging.set()
        answer.wait(LONG_SECONDS)
        return real(lease, spec)

    elector._write = hang  # type: ignore[method-assign]  # a request that does not end
    renewal = Renewal(elector)
    world.clock.wait_for_waiters(2)
    world.clock.advance(2)
    assert hanging.wait(LONG_SECONDS)
    world.clock.advance(8)
    assert renewal.lost.wait(LONG_SECONDS)
    answer.set()
    renewal.thread.join(LONG_SECONDS)
    assert not renewal.thread.is_alive()
    assert not elector.is_leader


def test_the_metric_says_who_leads() -> None:
    world, registry = World(), CollectorRegistry()
    settings = LeaseSettings(namespace="ns", name="ark", identity="one")
    elector = LeaderElector(world.api.client, settings, world.clock, registry)

    def status() -> float | None:
        return registry.get_sample_value("leader_election_master_status", {"name": "ark"})

    assert status() == 0
    elector.try_acquire_or_renew()
    assert status() == 1
    elector.release()
    assert status() == 0
