"""What changes in a pod that comes back: all that tied it to its old node, cluster or restore goes."""

from __future__ import annotations

from collections.abc import Callable

from pkg.apis.meta import Json, JsonObject
from pkg.apis.names import (
    GIVEN_UP_VOLUME,
    MARKER_VOLUME,
    RESTIC_WAIT_CONTAINER,
    RESTORE_ANNOTATION_PREFIX,
    SNAPSHOT_ANNOTATION_PREFIX,
)
from pkg.restore.archive import Entry
from pkg.restore.fields import containers, drop, drop_keys, object_at, objects_at, text_at
from pkg.restore.plan import Facts

# Computed by admission at creation; a value from another cluster would be refused.
_PLACEMENT = ("nodeName", "priority", "preemptionPolicy", "ephemeralContainers")


def drop_placement(obj: JsonObject, entry: Entry, facts: Facts) -> None:
    """Lets the scheduler and admission decide again."""
    for field in _PLACEMENT:
        drop(obj, "spec", field)


def drop_token_volumes(obj: JsonObject, entry: Entry, facts: Facts) -> None:
    """Takes away the service account's token volumes, of the old kind and the projected one, with their mounts."""
    account = text_at(obj, "spec", "serviceAccountName") or text_at(obj, "spec", "serviceAccount") or "default"
    names = {text_at(volume, "name") for volume in objects_at(obj, "spec", "volumes") if _is_token(volume, account)}
    _remove_volumes(obj, names)


def drop_restic_wait(obj: JsonObject, entry: Entry, facts: Facts) -> None:
    """Takes away the init container and volume that an earlier restore had added."""
    spec = object_at(obj, "spec")
    _keep(spec, "initContainers", lambda container: text_at(container, "name") != RESTIC_WAIT_CONTAINER)
    _remove_volumes(obj, {MARKER_VOLUME, GIVEN_UP_VOLUME})


def drop_own_annotations(obj: JsonObject, entry: Entry, facts: Facts) -> None:
    """Takes away the snapshot ids, stale in the next backup, and what an earlier restore told the pod."""
    annotations = object_at(obj, "metadata", "annotations")
    keys = [key for key in annotations if key.startswith((SNAPSHOT_ANNOTATION_PREFIX, RESTORE_ANNOTATION_PREFIX))]
    drop_keys(obj, ("metadata", "annotations"), keys)


def _is_token(volume: JsonObject, account: str) -> bool:
    name = text_at(volume, "name")
    if name.startswith("kube-api-access-"):
        return "projected" in volume
    return name.startswith(f"{account}-token-") and "secret" in volume


def _remove_volumes(obj: JsonObject, names: set[str]) -> None:
    if not names:
        return
    spec = object_at(obj, "spec")
    _keep(spec, "volumes", lambda volume: text_at(volume, "name") not in names)
    for container in containers(spec):
        _keep(container, "volumeMounts", lambda mount: text_at(mount, "name") not in names)


def _keep(parent: JsonObject, field: str, wanted: Callable[[JsonObject], bool]) -> None:
    """Leaves only the wanted items in a list, and no empty list behind."""
    items = parent.get(field)
    if not isinstance(items, list):
        return
    left: list[Json] = [item for item in items if not isinstance(item, dict) or wanted(item)]
    if left:
        parent[field] = left
    else:
        parent.pop(field)
