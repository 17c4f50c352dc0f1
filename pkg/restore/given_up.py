"""Tells a restored pod which of its volumes will not be filled, whatever the state of its node.

The agent's marker is the quick way; this annotation is the one that always arrives: restic-wait sees it through the
downward API, also where no agent runs or the pod is scheduled only after the Restore has ended. A pod that waits for
data that never comes would say nothing to anybody.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import structlog

from pkg.apis.meta import JsonObject
from pkg.apis.names import GIVEN_UP_ANNOTATION
from pkg.kube.errors import KubeError
from pkg.kube.refs import PODS
from pkg.restore.job import RestoreApi

log = structlog.get_logger()

_REASON_CHARACTERS = 500


def given_up_text(restore_uid: str, reasons: Mapping[str, str]) -> str:
    """The annotation's value: the Restore and, by volume, why it is not filled."""
    volumes = {volume: reason[:_REASON_CHARACTERS] for volume, reason in sorted(reasons.items())}
    return msgspec.json.encode({"restore": restore_uid, "volumes": volumes}).decode()


def tell_pod(api: RestoreApi, pod: tuple[str, str, str], restore_uid: str, reasons: Mapping[str, str]) -> None:
    """Writes the annotation; a pod that is gone, or another of its name, needs none.

    Args:
        api: The cluster; asked once, for the restore may be ending.
        pod: Namespace, name and UID.
        restore_uid: Whose restore it is.
        reasons: By volume, why it will not be filled.
    """
    namespace, name, uid = pod
    text = given_up_text(restore_uid, reasons)
    patch: JsonObject = {"metadata": {"uid": uid, "annotations": {GIVEN_UP_ANNOTATION: text}}}
    try:
        api.patch_raw(PODS, namespace, name, patch)
    except KubeError as error:
        log.info("Pod not told of volumes given up", key=f"{namespace}/{name}", error=str(error))
