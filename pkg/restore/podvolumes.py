"""The wait of a restored pod for its data, and the order to the node's agent to bring it.

A pod with volumes to fill gets the init container `restic-wait` before all others and an emptyDir of Ark's own for
the markers. The container mounts no volume of the user, passes Pod Security "restricted", and keeps the pod's
quality of service.
"""

from __future__ import annotations

from collections.abc import Sequence

from pkg.apis.meta import Json, JsonObject, ObjectReference
from pkg.apis.names import (
    MARKER_MOUNT_PATH,
    MARKER_VOLUME,
    NODE_LABEL,
    POD_UID_LABEL,
    RESTIC_WAIT_CONTAINER,
    RESTORE_NAME_LABEL,
    RESTORE_UID_LABEL,
)
from pkg.apis.volumes import PodVolumeRestoreSpec, VolumeSource
from pkg.restore.captures import PodVolume
from pkg.restore.fields import containers, object_at, objects_at, text_at
from pkg.volumes.naming import label_value

HELPER_COMMAND = "ark-restic-restore-helper"
NOBODY = 65534
_RESOURCES = {"cpu": "100m", "memory": "128Mi"}


def with_restic_wait(pod: JsonObject, volumes: Sequence[PodVolume], *, restore_uid: str, image: str) -> JsonObject:
    """The pod with restic-wait before its other init containers; without volumes to fill, the pod itself.

    The pod must not have one of an earlier restore (`pkg.restore.actions_pods.drop_restic_wait`).
    """
    if not volumes:
        return pod
    spec = object_at(pod, "spec")
    arguments: list[Json] = [restore_uid, *(volume.volume for volume in volumes)]
    container = _restic_wait(arguments, image=image, best_effort=is_best_effort(spec))
    marker: JsonObject = {"name": MARKER_VOLUME, "emptyDir": {}}
    init_containers: list[Json] = [container, *objects_at(spec, "initContainers")]
    pod_volumes: list[Json] = [*objects_at(spec, "volumes"), marker]
    return {**pod, "spec": {**spec, "initContainers": init_containers, "volumes": pod_volumes}}


def is_best_effort(spec: JsonObject) -> bool:
    """Whether no container of the pod names cpu or memory, so that naming some would change its class."""
    resources = [object_at(spec, "resources"), *(object_at(one, "resources") for one in containers(spec))]
    named = [object_at(one, field) for one in resources for field in ("requests", "limits")]
    return not any(values.keys() & _RESOURCES.keys() for values in named)


def restore_labels(restore_name: str, restore_uid: str, *, pod_uid: str, node: str) -> dict[str, str]:
    """The labels of a PodVolumeRestore."""
    return {
        RESTORE_NAME_LABEL: label_value(restore_name),
        RESTORE_UID_LABEL: restore_uid,
        POD_UID_LABEL: pod_uid,
        NODE_LABEL: label_value(node),
    }


def restore_spec(
    pod: ObjectReference,
    volume: PodVolume,
    source: VolumeSource,
    *,
    node: str,
    restore_uid: str,
    repo_identifier: str,
    repository: str,
    repository_id: str,
    marker_only: bool,
) -> PodVolumeRestoreSpec:
    """The order to fill one volume of one pod."""
    return PodVolumeRestoreSpec(
        pod=pod,
        volume=volume.volume,
        repo_identifier=repo_identifier,
        snapshot_id=volume.capture.snapshot_id,
        node=node,
        repository=repository,
        repository_id=volume.capture.repository_id or repository_id,
        source=source,
        root=volume.capture.root,
        restore_uid=restore_uid,
        marker_only=marker_only,
    )


def why_waiting(pod: JsonObject) -> str:
    """What a pod that makes no progress says about itself, in a sentence; empty when it says nothing."""
    for condition in objects_at(pod, "status", "conditions"):
        if condition.get("type") == "PodScheduled" and condition.get("status") != "True":
            return f"it is not scheduled: {text_at(condition, 'message') or text_at(condition, 'reason')}"
    for status in objects_at(pod, "status", "initContainerStatuses"):
        waiting = object_at(status, "state", "waiting")
        if text_at(status, "name") == RESTIC_WAIT_CONTAINER and waiting:
            return f"restic-wait does not run: {text_at(waiting, 'reason')} {text_at(waiting, 'message')}".rstrip()
    return ""


def _restic_wait(arguments: list[Json], *, image: str, best_effort: bool) -> JsonObject:
    security: JsonObject = {
        "runAsNonRoot": True,
        "runAsUser": NOBODY,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container: JsonObject = {
        "name": RESTIC_WAIT_CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [HELPER_COMMAND],
        "args": arguments,
        "volumeMounts": [{"name": MARKER_VOLUME, "mountPath": MARKER_MOUNT_PATH, "readOnly": True}],
        "securityContext": security,
    }
    if not best_effort:
        container["resources"] = {"requests": {**_RESOURCES}, "limits": {**_RESOURCES}}
    return container
