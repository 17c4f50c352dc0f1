"""Who of ours may hold locks in a repository, told before the first one is taken.

A lock names its host and process and nothing more. With this record it can be told whose it is, and whether that
process can still be alive.
"""

from __future__ import annotations

import datetime

from pkg.apis.meta import ApiStruct, Object


class LockHolder(ApiStruct, frozen=True, kw_only=True):
    """A process of Ark's that takes locks in a repository.

    Attributes:
        pod: Name of its pod, whose UID is the key of the map.
        node: Where the pod runs.
        host: The name that restic writes into its locks; that of the pod, where nobody else can have it.
        started_at: When the process began; the pod's container may have had others before.
    """

    pod: str = ""
    node: str = ""
    host: str = ""
    started_at: datetime.datetime | None = None

    @property
    def is_unique(self) -> bool:
        """Whether no process of another pod can have that host's name: it is the pod's own, and whole."""
        return bool(self.host) and self.host == self.pod


class Ran(ApiStruct, frozen=True, kw_only=True):
    """A container that has ended."""

    finished_at: datetime.datetime | None = None


class Runs(ApiStruct, frozen=True, kw_only=True):
    """A container that runs."""

    started_at: datetime.datetime | None = None


class RunState(ApiStruct, frozen=True, kw_only=True):
    """One state of a container; neither while it waits to be started."""

    running: Runs | None = None
    terminated: Ran | None = None


class RunStatus(ApiStruct, frozen=True, kw_only=True):
    """What a container does, and what it did before it was restarted."""

    name: str = ""
    state: RunState = RunState()
    last_state: RunState = RunState()


class HolderPodStatus(ApiStruct, frozen=True, kw_only=True):
    """A pod's status."""

    phase: str = ""
    container_statuses: tuple[RunStatus, ...] | None = None


class HolderPod(Object, frozen=True, kw_only=True):
    """A pod of Ark's, as far as it tells which of its processes have ended."""

    status: HolderPodStatus = HolderPodStatus()
