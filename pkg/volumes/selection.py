"""Which volumes of a pod are captured, and for each other one the reason why not.

Volumes are chosen by the pod's annotation, or all of them where the backup says so. Nothing is dropped in silence:
every volume of the pod, and every name that the annotation invents, gets an answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from pkg.apis.core import Container, Pod, Volume
from pkg.apis.names import (
    BACKUP_VOLUMES_ANNOTATION,
    BACKUP_VOLUMES_EXCLUDES_ANNOTATION,
    EXCLUDE_PATHS_ANNOTATION_PREFIX,
    MARKER_VOLUME,
    MIRROR_POD_ANNOTATION,
    RESTIC_WAIT_CONTAINER,
)
from pkg.apis.reasons import Reason

_FROM_API = ("secret", "config_map", "downward_api", "projected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """A volume to capture.

    Attributes:
        opted_in_by_name: The pod's annotation names it; otherwise it is taken by default.
    """

    volume: Volume
    opted_in_by_name: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A volume that is not captured, and why."""

    volume: str
    reason: Reason
    message: str
    opted_in_by_name: bool = False


def select_volumes(pod: Pod, *, default_all: bool) -> tuple[Selected | Rejected, ...]:
    """An answer for each volume in the pod's order, then for each name that the pod lacks.

    Args:
        pod: The pod as the cluster shows it.
        default_all: Volumes that nobody named are wanted too.
    """
    named = names_in(pod, BACKUP_VOLUMES_ANNOTATION)
    volumes = pod.spec.volumes or ()
    known = {volume.name for volume in volumes}
    answers = [_answer(pod, volume, by_name=volume.name in named, default_all=default_all) for volume in volumes]
    unknown = [_unknown(name) for name in named if name not in known]
    return (*answers, *unknown)


def names_in(pod: Pod, annotation: str) -> tuple[str, ...]:
    """The comma-separated names of an annotation, trimmed, each once, in their order."""
    parts = (part.strip() for part in pod.metadata.annotation(annotation).split(","))
    return tuple(dict.fromkeys(part for part in parts if part))


def excluded_paths(pod: Pod, volume: str) -> tuple[str, ...]:
    """The paths inside a volume that its annotation leaves out."""
    return names_in(pod, EXCLUDE_PATHS_ANNOTATION_PREFIX + volume)


def claim_of(pod: Pod, volume: Volume) -> str:
    """The name of the volume's PersistentVolumeClaim; empty where it has none."""
    if volume.persistent_volume_claim is not None:
        return volume.persistent_volume_claim.claim_name
    if volume.ephemeral is not None:
        return f"{pod.metadata.name}-{volume.name}"
    return ""


def waits_for_restore(pod: Pod) -> bool:
    """Whether the pod is still held back by restic-wait, so that its volumes may be half filled."""
    if pod.status.phase not in ("", "Pending"):
        return False
    if not any(one.name == RESTIC_WAIT_CONTAINER for one in pod.spec.init_containers or ()):
        return False
    statuses = pod.status.init_container_statuses or ()
    return not any(one.name == RESTIC_WAIT_CONTAINER and one.ready for one in statuses)


def is_running(pod: Pod) -> bool:
    """Whether the pod's containers have started and it is not on its way out."""
    return pod.status.phase == "Running" and pod.metadata.deletion_timestamp is None


def _answer(pod: Pod, volume: Volume, *, by_name: bool, default_all: bool) -> Selected | Rejected:
    if not by_name and not default_all:
        return Rejected(volume=volume.name, reason=Reason.NOT_SELECTED, message="no annotation names it")
    found = _excluded(pod, volume) or _wrong_kind(volume) or _not_usable(pod, volume) or _pod_state(pod)
    if found is None:
        return Selected(volume=volume, opted_in_by_name=by_name)
    reason, message = found
    return Rejected(volume=volume.name, reason=reason, message=message, opted_in_by_name=by_name)


def _unknown(name: str) -> Rejected:
    message = f'the annotation {BACKUP_VOLUMES_ANNOTATION} names "{name}", which the pod does not have'
    return Rejected(volume=name, reason=Reason.UNKNOWN_VOLUME, message=message, opted_in_by_name=True)


def _excluded(pod: Pod, volume: Volume) -> tuple[Reason, str] | None:
    if volume.name in names_in(pod, BACKUP_VOLUMES_EXCLUDES_ANNOTATION):
        return Reason.EXCLUDED, f"excluded by the annotation {BACKUP_VOLUMES_EXCLUDES_ANNOTATION}"
    if volume.name == MARKER_VOLUME:
        return Reason.EXCLUDED, "it holds the markers of a restore"
    return None


def _wrong_kind(volume: Volume) -> tuple[Reason, str] | None:
    if volume.host_path is not None:
        return Reason.HOST_PATH, "hostPath volumes are not captured: they belong to the node"
    if any(getattr(volume, kind) is not None for kind in _FROM_API):
        return Reason.FROM_API, "its contents are objects of the API and are backed up as such"
    return None


def _not_usable(pod: Pod, volume: Volume) -> tuple[Reason, str] | None:
    containers: tuple[Container, ...] = (*(pod.spec.init_containers or ()), *(pod.spec.containers or ()))
    if any(one.name == volume.name for container in containers for one in container.volume_devices or ()):
        return Reason.BLOCK_MODE, "raw block volumes are not captured"
    if not any(one.name == volume.name for container in containers for one in container.volume_mounts or ()):
        return Reason.NOT_MOUNTED, "no container mounts it, so it is not on the node"
    return None


def _pod_state(pod: Pod) -> tuple[Reason, str] | None:
    if pod.metadata.deletion_timestamp is not None:
        return Reason.POD_GONE, "the pod is being deleted"
    if pod.status.phase in ("Succeeded", "Failed"):
        return Reason.POD_FINISHED, f"the pod has ended ({pod.status.phase})"
    if waits_for_restore(pod):
        return Reason.RESTORE_IN_PROGRESS, "the pod still waits in restic-wait for a restore to fill its volumes"
    if pod.metadata.annotation(MIRROR_POD_ANNOTATION):
        return Reason.NOT_RUNNING, "a static pod's volumes lie in a directory that the API does not name"
    if not is_running(pod) or not pod.spec.node_name:
        return Reason.NOT_RUNNING, f"the pod does not run (phase {pod.status.phase or 'unknown'})"
    return None
