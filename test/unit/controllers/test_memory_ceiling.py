"""Fewer slots after the agent's container ran out of memory."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from pkg.apis.core import ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodStatus
from pkg.apis.meta import ObjectMeta
from pkg.controllers.memory_ceiling import FILE_NAME, MemoryCeiling, lowered

NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


def pod(*ends: tuple[str, int], uid: str = "agent-pod") -> Pod:
    """A pod whose containers ended like this the time before, each so many minutes after noon."""
    statuses = tuple(
        ContainerStatus(
            last_state=ContainerState(
                terminated=ContainerStateTerminated(
                    reason=reason, exit_code=137, finished_at=NOON + datetime.timedelta(minutes=minutes)
                )
            )
        )
        for reason, minutes in ends
    )
    return Pod(metadata=ObjectMeta(name="restic-x", uid=uid), status=PodStatus(container_statuses=statuses))


class Agent:
    """One agent's view of its own pod, over one start after the other."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pod: Pod | None = pod()
        self.told: list[int] = []
        self.start()

    def start(self) -> None:
        self.ceiling = MemoryCeiling(lambda: self.pod, self.directory, lambda pod, kills: self.told.append(kills))


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


@pytest.mark.parametrize(
    ("limit", "kills", "left"),
    [(4, 0, 4), (4, 1, 2), (4, 2, 1), (4, 3, 1), (5, 1, 2), (1, 1, 1), (0, 1, 0)],
)
def test_each_kill_halves_what_there_is(limit: int, kills: int, left: int) -> None:
    assert lowered(limit, kills) == left


def test_a_container_that_was_killed_for_want_of_memory_halves_the_slots_and_says_so_once(agent: Agent) -> None:
    assert agent.ceiling(4) == 4
    agent.pod = pod(("OOMKilled", 0))
    assert [agent.ceiling(4), agent.ceiling(8)] == [2, 4]
    assert agent.told == [1]


@pytest.mark.parametrize("reason", ["Completed", "Error", "ContainerStatusUnknown"])
def test_any_other_end_halves_nothing(agent: Agent, reason: str) -> None:
    agent.pod = pod((reason, 0))
    assert agent.ceiling(4) == 4
    assert agent.told == []


def test_a_second_kill_halves_again_and_the_same_one_does_not(agent: Agent) -> None:
    for minutes in (0, 0, 5):
        agent.pod = pod(("OOMKilled", minutes))
        agent.start()
        agent.ceiling(4)
    assert agent.ceiling(4) == 1
    assert agent.told == [1, 2]


def test_a_later_start_for_another_reason_forgets_nothing(agent: Agent) -> None:
    agent.pod = pod(("OOMKilled", 0))
    agent.ceiling(4)
    agent.pod = pod(("Completed", 5))
    agent.start()
    assert agent.ceiling(4) == 2


def test_a_new_pod_has_all_its_slots(agent: Agent) -> None:
    """Where the scratch volume outlives the pod."""
    agent.pod = pod(("OOMKilled", 0))
    agent.ceiling(4)
    agent.pod = pod(uid="another")
    agent.start()
    assert agent.ceiling(4) == 4
    assert agent.told == [1]


def test_while_the_pod_is_not_seen_what_is_known_counts(agent: Agent) -> None:
    agent.pod = pod(("OOMKilled", 0))
    agent.ceiling(4)
    agent.pod = None
    agent.start()
    assert agent.ceiling(4) == 2


def test_a_note_that_is_no_note_counts_as_none(agent: Agent) -> None:
    (agent.directory / FILE_NAME).write_text("half a no")
    agent.start()
    assert agent.ceiling(4) == 4


def test_a_note_that_cannot_be_written_lowers_the_slots_of_this_start(tmp_path: Path) -> None:
    agent = Agent(tmp_path / "missing")
    agent.pod = pod(("OOMKilled", 0))
    assert agent.ceiling(4) == 2
