"""Whose a lock is, and whether it is dead."""

import datetime

import pytest

from pkg.apis.holders import HolderPod, HolderPodStatus, LockHolder, Ran, Runs, RunState, RunStatus
from pkg.controllers.lock_plan import FOR_GOOD, PodSighting, dead_before, describe, judge
from pkg.restic.locks import Lock, LockContent

NOW = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC)


def ago(seconds: float) -> datetime.datetime:
    return NOW - datetime.timedelta(seconds=seconds)


def lock(host: str = "restic-a", *, seconds: float = 60) -> LockContent:
    return LockContent(time=ago(seconds), hostname=host, pid=7)


def holder(pod: str = "restic-a", host: str = "restic-a") -> LockHolder:
    return LockHolder(pod=pod, node="node1", host=host, started_at=ago(3600))


def pod(phase: str, *statuses: RunStatus) -> HolderPod:
    return HolderPod(status=HolderPodStatus(phase=phase, container_statuses=statuses))


def running(seconds_ago: float) -> RunStatus:
    return RunStatus(state=RunState(running=Runs(started_at=ago(seconds_ago))))


def ended(seconds_ago: float) -> RunStatus:
    return RunStatus(state=RunState(terminated=Ran(finished_at=ago(seconds_ago))))


def waiting_after(seconds_ago: float) -> RunStatus:
    return RunStatus(last_state=RunState(terminated=Ran(finished_at=ago(seconds_ago))))


@pytest.mark.parametrize(
    ("sighting", "expected"),
    [
        pytest.param(PodSighting(pod=pod("Running", running(100))), ago(100), id="a container runs since then"),
        pytest.param(PodSighting(pod=pod("Running", waiting_after(50))), ago(50), id="it waits to be started again"),
        pytest.param(PodSighting(pod=pod("Running", ended(50))), ago(50), id="it ended and may be started again"),
        pytest.param(PodSighting(pod=pod("Running", RunStatus())), None, id="it was never started"),
        pytest.param(PodSighting(pod=pod("Pending")), None, id="nothing is known of containers"),
        pytest.param(
            PodSighting(pod=pod("Running", running(-600))), None, id="it began in the future, so a clock was set back"
        ),
        pytest.param(PodSighting(pod=pod("Succeeded", ended(9))), FOR_GOOD, id="a Job's pod has ended"),
        pytest.param(PodSighting(pod=pod("Failed", ended(9))), FOR_GOOD, id="a Job's pod has failed"),
        pytest.param(
            PodSighting(pod=pod("Failed", running(500))), ago(500), id="called failed by another than its kubelet"
        ),
        pytest.param(PodSighting(pod=pod("Failed")), None, id="called failed with no word about its containers"),
        pytest.param(
            PodSighting(pod=pod("Running", running(500), running(5))),
            ago(500),
            id="the oldest of two containers counts",
        ),
        pytest.param(
            PodSighting(pod=pod("Running", running(5), RunStatus())), None, id="one of two containers is unknown"
        ),
        pytest.param(PodSighting(gone_seconds=200, node_ready=True), FOR_GOOD, id="gone for long from a Ready node"),
        pytest.param(PodSighting(gone_seconds=100, node_ready=True), ago(1500), id="gone from a Ready node just now"),
        pytest.param(PodSighting(gone_seconds=9999), ago(1500), id="gone with its node"),
    ],
)
def test_a_pod_tells_whose_locks_are_dead(sighting: PodSighting, expected: datetime.datetime | None) -> None:
    assert dead_before(sighting, NOW) == expected


@pytest.mark.parametrize(
    ("content", "holders", "limits", "whose", "dead"),
    [
        pytest.param(lock(), {"u1": holder()}, {"u1": FOR_GOOD}, "u1", True, id="ours and dead"),
        pytest.param(lock(), {"u1": holder()}, {"u1": ago(61)}, "u1", False, id="refreshed after that moment"),
        pytest.param(lock(), {"u1": holder()}, {"u1": ago(60)}, "u1", False, id="refreshed in that very moment"),
        pytest.param(lock(), {"u1": holder()}, {"u1": None}, "u1", False, id="nothing is known of the pod"),
        pytest.param(lock(), {"u1": holder()}, {}, "u1", False, id="nobody looked at the pod"),
        pytest.param(lock("laptop"), {"u1": holder()}, {"u1": FOR_GOOD}, "", False, id="of a foreign host"),
        pytest.param(lock(""), {"u1": holder("", "")}, {"u1": FOR_GOOD}, "", False, id="of a host without a name"),
        pytest.param(
            lock("node1"),
            {"u1": holder("restic-a", "node1")},
            {"u1": FOR_GOOD},
            "",
            False,
            id="a host's name is shared",
        ),
        pytest.param(
            lock(),
            {"u1": holder(), "u2": holder()},
            {"u1": FOR_GOOD, "u2": None},
            "u1",
            False,
            id="a namesake may live",
        ),
        pytest.param(
            lock(), {"u1": holder(), "u2": holder()}, {"u1": FOR_GOOD, "u2": ago(9)}, "u1", True, id="both are dead"
        ),
    ],
)
def test_a_lock_is_dead_only_where_every_holder_of_its_name_is(
    content: LockContent,
    holders: dict[str, LockHolder],
    limits: dict[str, datetime.datetime | None],
    whose: str,
    dead: bool,
) -> None:
    verdict = judge(content, holders, limits)
    assert (verdict.holder, bool(verdict.why_dead)) == (whose, dead)


def test_a_lock_is_described_with_whose_it_is() -> None:
    own = describe(Lock(id="a" * 64, content=lock()), {"u1": holder()}, NOW)
    assert own == "aaaaaaaa: shared, restic-a pid 7, refreshed 60 s ago, Ark's pod restic-a on node node1"
    assert describe(Lock(id="a" * 64, content=lock("laptop")), {}, NOW).endswith("none of Ark's")
    assert describe(Lock(id="b" * 64), {}, NOW) == "bbbbbbbb (unreadable)"
