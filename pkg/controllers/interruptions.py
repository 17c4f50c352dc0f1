"""Whose fault it was that a run ended without a result, and how the next one counts (operators.md 10).

A run is counted before it begins, in the patch that claims its volume, so an agent that dies at any line has counted
it. Who finds the claim of a holder that is gone takes the count back, in the patch of its own claim, unless the
agent's container ran out of memory: an agent that was updated, killed, evicted or lost its node is not restic's fault.
Such interruptions have a bound of their own, or a volume that kills its agent each time would do so for ever; and long
before it each volume runs alone on its node, so that what ran beside that one is not given up with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pkg.apis.core import ContainerStateTerminated, Pod

MAX_ATTEMPTS = 3
MAX_INTERRUPTIONS = 10
ALONE_AFTER = 4  # interruptions; whoever ends its agent then ends only its own run
OUT_OF_MEMORY = "OOMKilled"
_CLOCK_SLACK_SECONDS = 2.0  # Kubernetes' times have no fractions


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCounts:
    """How often a volume was worked on.

    Attributes:
        attempts: Runs that ended by a fault of restic's, and the one that goes on.
        interruptions: Runs that ended with their agent, by no fault of restic's.
    """

    attempts: int = 0
    interruptions: int = 0

    @property
    def runs_alone(self) -> bool:
        """Whether nothing may run beside it, because it may be what ends its agent."""
        return self.interruptions > ALONE_AFTER

    @property
    def exhausted(self) -> str:
        """Why there is no further run, if these are its counts; empty where there is."""
        if self.attempts > MAX_ATTEMPTS:
            return f"it failed {MAX_ATTEMPTS} times with its agent out of memory; raise the agents' memory limit"
        if self.interruptions > MAX_INTERRUPTIONS:
            return (
                f"its agent ended {self.interruptions} times while it ran; the logs of this node's agents and the "
                "events of their pods say why"
            )
        return ""


def next_run(counts: RunCounts, *, holder: str, own_holder: str, own_pod: Pod | None) -> RunCounts:
    """The counts of the run that begins now.

    Args:
        counts: As they stand in status.
        holder: Who claimed it last.
        own_holder: This process; what it claimed and did not run, or ran and counted, is not counted again.
        own_pod: This agent's pod; its container's end before this one may be the holder's.
    """
    if counts.attempts == 0:
        return RunCounts(attempts=1, interruptions=counts.interruptions)
    if holder == own_holder:
        return counts
    if ran_out_of_memory(holder, own_pod):
        return RunCounts(attempts=counts.attempts + 1, interruptions=counts.interruptions)
    return RunCounts(attempts=counts.attempts, interruptions=counts.interruptions + 1)


def ran_out_of_memory(holder: str, own_pod: Pod | None) -> bool:
    """Whether that holder was the container of this pod that the kernel killed for want of memory."""
    uid, _, start = holder.partition("/")
    if own_pod is None or own_pod.metadata.uid != uid or not start.isdigit():
        return False
    started = int(start) / 1000
    for status in own_pod.status.container_statuses or ():
        ends = (status.state.terminated, status.last_state.terminated)
        if any(end is not None and end.reason == OUT_OF_MEMORY and _covers(end, started) for end in ends):
            return True
    return False


def _covers(end: ContainerStateTerminated, moment: float) -> bool:
    """Whether the container that ended was running at a moment; one without times is the last one there was."""
    if end.started_at is None or end.finished_at is None:
        return True
    first, last = end.started_at.timestamp(), end.finished_at.timestamp()
    return first - _CLOCK_SLACK_SECONDS <= moment <= last + _CLOCK_SLACK_SECONDS
