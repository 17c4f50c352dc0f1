"""Captures wait while maintenance has the repository, and nothing slips through."""

from __future__ import annotations

import threading

import pytest

from pkg.controllers.maintenance_gate import WANTED_SECONDS, MaintenanceGate
from pkg.kube.stop import StopToken
from pkg.testing.fakeclock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(automatic=True)


@pytest.fixture
def busy() -> set[str]:
    return set()


@pytest.fixture
def woken() -> list[str]:
    return []


@pytest.fixture
def gate(clock: FakeClock, busy: set[str], woken: list[str]) -> MaintenanceGate:
    return MaintenanceGate(clock, busy=busy.__contains__, changed=lambda: woken.append("woken"))


def enters(gate: MaintenanceGate, repository: str, *, anyway: bool = False) -> bool:
    with gate.entering(repository, anyway=anyway) as allowed:
        return allowed


def test_a_closed_repository_lets_nobody_in_and_others_do(gate: MaintenanceGate) -> None:
    gate.close("shop")
    assert (enters(gate, "shop"), enters(gate, "other")) == (False, True)
    gate.open("shop")
    assert enters(gate, "shop")


def test_a_server_that_starts_anew_knows_from_the_job_that_it_is_closed(gate: MaintenanceGate, busy: set[str]) -> None:
    busy.add("shop")
    assert gate.is_closed("shop")
    assert not enters(gate, "shop")


def test_the_rest_of_a_frozen_pod_is_let_in(gate: MaintenanceGate) -> None:
    gate.close("shop")
    assert enters(gate, "shop", anyway=True)


def test_who_waits_is_woken_once(gate: MaintenanceGate, woken: list[str]) -> None:
    gate.open("shop")
    gate.close("shop")
    gate.open("shop")
    gate.open("shop")
    assert woken == ["woken"]


def test_who_asked_in_vain_is_remembered_for_a_while(gate: MaintenanceGate, clock: FakeClock) -> None:
    gate.is_closed("shop")
    assert not gate.is_wanted("shop"), "it was open"
    gate.close("shop")
    gate.is_closed("shop")
    assert gate.is_wanted("shop")
    clock.advance(WANTED_SECONDS + 1)
    assert not gate.is_wanted("shop")


def test_it_is_quiet_only_when_no_capture_is_just_being_created(gate: MaintenanceGate) -> None:
    inside, leave = threading.Event(), threading.Event()

    def create() -> None:
        with gate.entering("shop"):
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=create)
    thread.start()
    assert inside.wait(30)
    gate.close("shop")
    assert not gate.wait_quiet("shop", StopToken(), 3)
    leave.set()
    thread.join(30)
    assert gate.wait_quiet("shop", StopToken(), 3)


def test_how_long_it_is_closed_counts_from_the_first_time(gate: MaintenanceGate, clock: FakeClock) -> None:
    gate.close("shop")
    clock.advance(10)
    gate.close("shop")
    assert gate.closed_seconds("shop") == pytest.approx(10)
    assert gate.closed_seconds("other") == 0
