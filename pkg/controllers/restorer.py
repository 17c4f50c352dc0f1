"""The restore engine's view of volumes: this restore's pods, its PodVolumeRestores, and the agents of their nodes."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import structlog

from pkg.apis.ark import Restore
from pkg.apis.core import Pod
from pkg.apis.meta import JsonObject
from pkg.apis.names import API_VERSION, RESTORE_UID_LABEL
from pkg.apis.reasons import Reason
from pkg.apis.volumes import PodVolumeRestore, PodVolumeRestoreSpec, PodVolumeRestoreStatus
from pkg.controllers.change_signal import ChangeSignal
from pkg.controllers.claim_fillings import ClaimFillings
from pkg.controllers.nodes import NodeAgents
from pkg.controllers.status import to_json
from pkg.informers.informer import SharedInformer
from pkg.informers.lister import Lister
from pkg.kube.client import Client
from pkg.kube.errors import AlreadyExistsError
from pkg.kube.refs import POD_VOLUME_RESTORES
from pkg.kube.stop import StopToken

log = structlog.get_logger()


class ServerRestorer:
    """pkg.restore.job.VolumeRestorer over the API.

    The pods come from an informer of this restore's label only, so memory does not grow with the cluster.
    """

    def __init__(
        self,
        restore: Restore,
        client: Client,
        lister: Lister[PodVolumeRestore],
        *,
        pods: SharedInformer[Pod],
        agents: NodeAgents,
        changes: ChangeSignal,
        claims: ClaimFillings,
        no_lock: bool = False,
        timeout: str = "",
    ) -> None:
        self._restore = restore
        self._no_lock = no_lock
        self._timeout = timeout
        self._namespace = restore.metadata.namespace
        self._client = client
        self._lister = lister
        self._pods = pods
        self._agents = agents
        self._changes = changes
        self._claims = claims
        self._version = changes.version

    def pods(self, restore_uid: str) -> list[Pod]:
        """The pods that carry this restore's label, as they are now."""
        self._version = self._changes.version
        return [pod for pod in self._pods.lister.list() if pod.metadata.label(RESTORE_UID_LABEL) == restore_uid]

    def start(self, name: str, spec: PodVolumeRestoreSpec, labels: Mapping[str, str]) -> str:
        """Creates a PodVolumeRestore, or adopts its own; returns why not, where another Restore fills the claim."""
        claim = "" if spec.marker_only else spec.source.claim_uid
        rival = self._claims.take(claim, self._restore) if claim else ""
        if rival:
            return f"Restore {rival} fills the same claim at the same time, so this one leaves it alone"
        try:
            spec = msgspec.structs.replace(spec, no_lock=self._no_lock, timeout=self._timeout)
            body = restore_object(self._restore, name, spec, labels)
            self._client.create(POD_VOLUME_RESTORES, self._namespace, body, PodVolumeRestore)
        except AlreadyExistsError:
            log.info("Volume restore adopted", name=name)
        else:
            log.info("Volume restore created", name=name, volume=spec.volume, node=spec.node)
        return ""

    def status(self) -> Mapping[str, PodVolumeRestoreStatus]:
        """The statuses of this restore's PodVolumeRestores by name."""
        own = self._restore.metadata.uid
        objects = self._lister.list(self._namespace)
        return {obj.metadata.name: obj.status for obj in objects if obj.metadata.label(RESTORE_UID_LABEL) == own}

    def wait_changed(self, stop: StopToken, seconds: float) -> bool:
        """Waits until a pod or a PodVolumeRestore changed, at most that long; whether the token is cancelled."""
        self._changes.wait(stop, self._version, seconds)
        return stop.cancelled

    def agent_verdict(self, node: str) -> tuple[Reason, str] | None:
        """Why no agent will serve that node, with a sentence."""
        found = self._agents.verdict(node)
        return (found.reason, found.message) if found.reason is not None else None


def restore_object(restore: Restore, name: str, spec: PodVolumeRestoreSpec, labels: Mapping[str, str]) -> JsonObject:
    """The PodVolumeRestore to create, owned by its Restore."""
    return {
        "apiVersion": API_VERSION,
        "kind": "PodVolumeRestore",
        "metadata": {
            "name": name,
            "namespace": restore.metadata.namespace,
            "labels": dict(labels),
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": "Restore",
                    "name": restore.metadata.name,
                    "uid": restore.metadata.uid,
                    "controller": True,
                }
            ],
        },
        "spec": to_json(spec),
    }
