"""Says in a volume's status whose lock it waits for, and takes that back when it goes on."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from pkg.apis.volumes import PodVolumeBackup, PodVolumeRestore
from pkg.controllers.status import patch_progress
from pkg.kube.client import Client
from pkg.kube.errors import KubeError
from pkg.kube.resources import ResourceRef

log = structlog.get_logger()


def lock_notice(client: Client, ref: ResourceRef, obj: PodVolumeBackup | PodVolumeRestore) -> Callable[[str], None]:
    """What is told about locks while restic waits for one; an empty text when it goes on."""

    def say(text: str) -> None:
        message = f"waiting for a lock: {text}" if text else ""
        try:
            patch_progress(client, ref, obj, {"message": message})
        except KubeError as error:
            log.debug("Wait for a lock not written", key=obj.metadata.key, error=str(error))
        if text:
            log.info("Waiting for a lock", key=obj.metadata.key, locks=text)

    return say
