"""A pod's status as its kubelet would write it, as a pure function of how far the pod has come."""

import datetime
from dataclasses import dataclass, field
from enum import Enum

from pkg.apis.core import Container
from pkg.apis.meta import Json, JsonObject
from pkg.testing.standin_kinds import Pod

KILLED = 137


class Stage(Enum):
    """How far a pod has come."""

    WAITING = "volumes are missing, or the pod is held back"
    INITIALIZING = "an init container runs"
    BACKING_OFF = "an init container failed and will run again"
    RUNNING = "all containers run"
    ENDED = "all containers have ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """All that a pod's status follows from, besides its spec."""

    stage: Stage
    started: datetime.datetime
    init_done: int = 0
    """How many init containers have ended well."""
    restarts: int = 0
    """How often the current init container has failed."""
    exit_code: int = 0
    """Of the containers once they have ended, or of the init container that failed."""
    message: str = ""
    """What the containers left behind when they ended."""
    ready: bool = True
    address: str = field(default="127.0.0.1")


def status_of(pod: Pod, progress: Progress) -> JsonObject:
    """Return the status to be merged into the pod's."""
    initialized = progress.stage is Stage.RUNNING or (
        progress.stage is Stage.ENDED and progress.init_done == len(pod.spec.init_containers or ())
    )
    ready = progress.stage is Stage.RUNNING and progress.ready
    since = progress.started.isoformat().replace("+00:00", "Z")
    return {
        "phase": _phase(progress),
        "hostIP": progress.address,
        "startTime": since,
        "conditions": [
            _condition("PodReadyToStartContainers", progress.stage is not Stage.WAITING, since),
            _condition("Initialized", initialized, since),
            _condition("ContainersReady", ready, since),
            _condition("Ready", ready, since),
        ],
        "initContainerStatuses": _init_statuses(pod, progress, since),
        "containerStatuses": [
            _container(one, _state(progress, since), ready=ready, restarts=0) for one in pod.spec.containers or ()
        ],
    }


def _phase(progress: Progress) -> str:
    if progress.stage is Stage.RUNNING:
        return "Running"
    if progress.stage is Stage.ENDED:
        return "Failed" if progress.exit_code else "Succeeded"
    return "Pending"


def _condition(kind: str, holds: bool, since: str) -> JsonObject:
    return {"type": kind, "status": "True" if holds else "False", "lastTransitionTime": since}


def _state(progress: Progress, since: str) -> JsonObject:
    match progress.stage:
        case Stage.RUNNING:
            return {"running": {"startedAt": since}}
        case Stage.ENDED:
            return _terminated(progress.exit_code, since, progress.message)
        case Stage.WAITING:
            return {"waiting": {"reason": "ContainerCreating"}}
        case _:
            return {"waiting": {"reason": "PodInitializing"}}


def _init_statuses(pod: Pod, progress: Progress, since: str) -> list[Json]:
    done, current = progress.init_done, _init_state(progress, since)
    statuses: list[Json] = []
    for index, container in enumerate(pod.spec.init_containers or ()):
        if index < done:
            state, restarts = _terminated(0, since), 0
        elif index == done:
            state, restarts = current, progress.restarts
        else:
            state, restarts = {"waiting": {"reason": "PodInitializing"}}, 0
        statuses.append(_container(container, state, ready=index < done, restarts=restarts))
    return statuses


def _init_state(progress: Progress, since: str) -> JsonObject:
    match progress.stage:
        case Stage.INITIALIZING:
            return {"running": {"startedAt": since}}
        case Stage.BACKING_OFF:
            return {"waiting": {"reason": "CrashLoopBackOff"}}
        case Stage.ENDED:
            return _terminated(progress.exit_code, since)
        case _:
            return {"waiting": {"reason": "PodInitializing"}}


def _terminated(exit_code: int, since: str, message: str = "") -> JsonObject:
    reason = "Error" if exit_code else "Completed"
    said: JsonObject = {"message": message} if message else {}
    return {"terminated": {"exitCode": exit_code, "reason": reason, "startedAt": since, "finishedAt": since, **said}}


def _container(container: Container, state: JsonObject, *, ready: bool, restarts: int) -> JsonObject:
    return {
        "name": container.name,
        "image": container.image,
        "imageID": f"standin://{container.image}",
        "containerID": "" if "waiting" in state else f"standin://{container.name}",
        "ready": ready,
        "started": ready,
        "restartCount": restarts,
        "state": state,
    }
