"""Jobs and the pods they leave behind, as far as maintenance reads them."""

from __future__ import annotations

import datetime

from pkg.apis.meta import ApiStruct, Condition, Object


class JobStatus(ApiStruct, frozen=True, kw_only=True):
    """How far a Job is; `ready` counts its pods whose containers run."""

    active: int = 0
    ready: int = 0
    start_time: datetime.datetime | None = None
    completion_time: datetime.datetime | None = None
    conditions: tuple[Condition, ...] | None = None


class Job(Object, frozen=True, kw_only=True):
    """A Job."""

    status: JobStatus = JobStatus()

    def ended_by(self) -> Condition | None:
        """The condition that ended it, Complete or Failed; None while it runs."""
        conditions = self.status.conditions or ()
        return next((one for one in conditions if one.type in ("Complete", "Failed") and one.status == "True"), None)


class Terminated(ApiStruct, frozen=True, kw_only=True):
    """How a container ended; `message` is what it wrote to its termination log."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""
    finished_at: datetime.datetime | None = None


class EndedState(ApiStruct, frozen=True, kw_only=True):
    """The state of a container that may have ended."""

    terminated: Terminated | None = None


class EndedContainer(ApiStruct, frozen=True, kw_only=True):
    """A container's status."""

    name: str = ""
    state: EndedState = EndedState()


class EndedPodStatus(ApiStruct, frozen=True, kw_only=True):
    """A pod's status."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    container_statuses: tuple[EndedContainer, ...] | None = None


class JobPod(Object, frozen=True, kw_only=True):
    """A pod of a Job."""

    status: EndedPodStatus = EndedPodStatus()

    @property
    def terminated(self) -> Terminated | None:
        """How its only container ended; None while it has not."""
        return next(
            (one.state.terminated for one in self.status.container_statuses or () if one.state.terminated), None
        )
