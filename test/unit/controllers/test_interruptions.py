"""Whose fault it was that a run ended without a result."""

import datetime

import pytest

from pkg.apis.core import ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodStatus
from pkg.apis.meta import ObjectMeta
from pkg.controllers.interruptions import RunCounts, next_run, ran_out_of_memory

STARTED = datetime.datetime(2026, 1, 1, 12, 0, 0, tzinfo=datetime.UTC)
ENDED = STARTED + datetime.timedelta(minutes=10)
DURING = STARTED + datetime.timedelta(milliseconds=1500)
HOLDER = f"agent-uid/{DURING.timestamp() * 1000:.0f}"


def ended(reason: str, *, now: bool = False, uid: str = "agent-uid") -> Pod:
    """An agent's pod whose container ended; `now` while the next one is only about to start."""
    end = ContainerState(terminated=ContainerStateTerminated(reason=reason, started_at=STARTED, finished_at=ENDED))
    status = ContainerStatus(name="restic", state=end) if now else ContainerStatus(name="restic", last_state=end)
    return Pod(metadata=ObjectMeta(name="restic-x", uid=uid), status=PodStatus(container_statuses=(status,)))


@pytest.mark.parametrize(
    ("holder", "pod", "expected"),
    [
        pytest.param(HOLDER, ended("OOMKilled"), True, id="the container before this one ran out of memory"),
        pytest.param(HOLDER, ended("OOMKilled", now=True), True, id="the kubelet has not told of this one yet"),
        pytest.param(HOLDER, ended("Error"), False, id="it was killed for something else"),
        pytest.param(HOLDER, ended("Completed"), False, id="it ended in order"),
        pytest.param(HOLDER, ended("OOMKilled", uid="new-uid"), False, id="that was the container of another pod"),
        pytest.param(HOLDER, None, False, id="nothing is known of this pod"),
        pytest.param("agent-uid/1", ended("OOMKilled"), False, id="that was a container before the last"),
        pytest.param("agent-uid", ended("OOMKilled"), False, id="a holder that says no time"),
        pytest.param("", ended("OOMKilled"), False, id="no holder at all"),
    ],
)
def test_only_a_container_without_memory_is_restics_fault(holder: str, pod: Pod | None, expected: bool) -> None:
    assert ran_out_of_memory(holder, pod) is expected


@pytest.mark.parametrize(
    ("before", "holder", "pod", "after"),
    [
        pytest.param(RunCounts(), "", None, RunCounts(attempts=1), id="the first run"),
        pytest.param(
            RunCounts(attempts=1), HOLDER, None, RunCounts(attempts=1, interruptions=1), id="an agent that is gone"
        ),
        pytest.param(
            RunCounts(attempts=2, interruptions=3),
            HOLDER,
            ended("Error"),
            RunCounts(attempts=2, interruptions=4),
            id="interruptions and attempts add up apart",
        ),
        pytest.param(
            RunCounts(attempts=1),
            HOLDER,
            ended("OOMKilled"),
            RunCounts(attempts=2),
            id="no memory costs an attempt",
        ),
        pytest.param(RunCounts(attempts=2), "me", None, RunCounts(attempts=2), id="what this process counted already"),
    ],
)
def test_how_the_next_run_counts(before: RunCounts, holder: str, pod: Pod | None, after: RunCounts) -> None:
    assert next_run(before, holder=holder, own_holder="me", own_pod=pod) == after
