"""Volumes of a node that is gone, ended by the server, because the agent that had them cannot (operators.md 13).

It does not matter whether a backup or restore still waits for them: nothing of a node that is gone stays open, and who
waits sees the failure at once. A volume whose node or agent may come back within its grace is left as it is.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import structlog

from pkg.apis.reasons import VolumePhase
from pkg.apis.volumes import PodVolumeBackup, PodVolumeRestore
from pkg.controllers.nodes import NodeAgents
from pkg.controllers.status import patch_status, timestamp
from pkg.controllers.volume_plan import is_open
from pkg.controllers.volume_reconciler import failed_status
from pkg.informers.lister import Lister
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.resources import ResourceRef
from pkg.manager.reconciler import Result, again_in, done
from pkg.workqueue.key import Key

LOOK_AGAIN_SECONDS = 10.0

log = structlog.get_logger()

V = TypeVar("V", PodVolumeBackup, PodVolumeRestore)


class StrandedReconciler(Generic[V]):
    """Fails the open volumes of one kind whose node has no agent and will have none."""

    def __init__(
        self, client: Client, ref: ResourceRef, lister: Lister[V], *, agents: NodeAgents, clock: Clock
    ) -> None:
        self._client = client
        self._ref = ref
        self._lister: Lister[V] = lister
        self._agents = agents
        self._clock = clock

    def reconcile(self, key: Key) -> Result:
        """Judges the node of one volume."""
        obj = self._lister.get(key.namespace, key.name)
        if obj is None or not is_open(obj.status.phase) or not obj.spec.node:
            return done()
        found = self._agents.verdict(obj.spec.node)
        if found.ready:
            return done()  # a change of the node or of its agent brings the key back
        if found.reason is None:
            return again_in(LOOK_AGAIN_SECONDS)
        doing = "while it ran" if obj.status.phase == VolumePhase.IN_PROGRESS else "before it began"
        change = failed_status(found.reason, f"{found.message}; {doing}", timestamp(self._clock.now()))
        patch_status(self._client, self._ref, obj, change)
        log.warning("Volume lost with its node", key=str(key), node=obj.spec.node, reason=found.reason.value)
        return done()
