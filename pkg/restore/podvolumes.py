"""The wait of a restored pod for its data, and the order to the node's agent to bring it.

A pod with volumes to fill gets the init container `restic-wait` before all others and an emptyDir of Ark's own for
the markers. The container mounts no volume of the user, passes Pod Security "restricted", and keeps the pod's
quality of service. What no agent can tell it (there is none, or the pod has no node) stands in an annotation of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pkg.apis.meta import Json, JsonObject, ObjectReference
from pkg.apis.names import (
    GIVEN_UP_ANNOTATION,
    GIVEN_UP_MOUNT_PATH,
    GIVEN_UP_VOLUME,
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
from pkg.restore.helper import Helper
from pkg.restore.quantities import resources_within
from pkg.volumes.naming import label_value

GIVEN_UP_FILE = "given-up"
TIMEOUT_VARIABLE = "ARK_RESTORE_TIMEOUT_SECONDS"
_CPU_AND_MEMORY = {"cpu", "memory"}


def with_restic_wait(pod: JsonObject, volumes: Sequence[PodVolume], *, restore_uid: str, helper: Helper) -> JsonObject:
    """The pod with restic-wait before its other init containers; without volumes to fill, the pod itself.

    The pod must not have one of an earlier restore (`pkg.restore.actions_pods.drop_restic_wait`).
    """
    if not volumes:
        return pod
    spec = object_at(pod, "spec")
    container = _restic_wait(spec, [restore_uid, *(volume.volume for volume in volumes)], helper)
    marker: JsonObject = {"name": MARKER_VOLUME, "emptyDir": {}}
    init_containers: list[Json] = [container, *objects_at(spec, "initContainers")]
    pod_volumes: list[Json] = [*objects_at(spec, "volumes"), marker, _given_up_volume()]
    return {**pod, "spec": {**spec, "initContainers": init_containers, "volumes": pod_volumes}}


def is_best_effort(spec: JsonObject) -> bool:
    """Whether no container of the pod names cpu or memory, so that naming some would change its class."""
    resources = [object_at(spec, "resources"), *(object_at(one, "resources") for one in containers(spec))]
    named = [object_at(one, field) for one in resources for field in ("requests", "limits")]
    return not any(values.keys() & _CPU_AND_MEMORY for values in named)


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
    strict_metadata: bool,
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
        size=volume.capture.size,
        restore_uid=restore_uid,
        strict_metadata=strict_metadata,
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


def _restic_wait(spec: JsonObject, arguments: list[Json], helper: Helper) -> JsonObject:
    container: JsonObject = {
        "name": RESTIC_WAIT_CONTAINER,
        "image": helper.image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(helper.command),
        "args": arguments,
        "volumeMounts": [
            {"name": MARKER_VOLUME, "mountPath": MARKER_MOUNT_PATH, "readOnly": True},
            {"name": GIVEN_UP_VOLUME, "mountPath": GIVEN_UP_MOUNT_PATH, "readOnly": True},
        ],
        "securityContext": {**helper.security},
    }
    if helper.timeout_seconds:
        container["env"] = [{"name": TIMEOUT_VARIABLE, "value": f"{helper.timeout_seconds:.0f}"}]
    if resources := resources_within(spec, helper.resources):
        container["resources"] = resources
    return container


def _given_up_volume() -> JsonObject:
    """Shows restic-wait an annotation of its pod, also where the node has no agent or the pod no node yet."""
    item: JsonObject = {
        "path": GIVEN_UP_FILE,
        "fieldRef": {"fieldPath": f"metadata.annotations['{GIVEN_UP_ANNOTATION}']"},
    }
    return {"name": GIVEN_UP_VOLUME, "downwardAPI": {"items": [item]}}
