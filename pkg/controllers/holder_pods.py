"""How the pods of holders stand, by asking the API server: what is proof must not come from a cache."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field

from pkg.apis.core import Node
from pkg.apis.holders import HolderPod, LockHolder
from pkg.apis.volumes import ResticRepository
from pkg.controllers.lock_plan import PodSighting, dead_before
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import NotFoundError
from pkg.kube.refs import NODES, PODS


@dataclass(slots=True, kw_only=True)
class HolderPods:
    """Looks at pods, and remembers since when one is known to be gone."""

    client: Client
    clock: Clock
    _gone_since: dict[str, float] = field(default_factory=dict, init=False)

    def see(self, repository: ResticRepository) -> dict[str, PodSighting]:
        """How each holder of a repository stands, by the UID of its pod.

        Raises:
            KubeError: one cannot be asked for.
        """
        namespace, holders = repository.metadata.namespace, repository.status.holders or {}
        return {uid: self._one(namespace, uid, holder) for uid, holder in holders.items()}

    def limits(self, sightings: Mapping[str, PodSighting]) -> dict[str, datetime.datetime | None]:
        """The moments before which their locks are dead."""
        now = self.clock.now()
        return {uid: dead_before(sighting, now) for uid, sighting in sightings.items()}

    def forget(self, uid: str) -> None:
        """Drops what is remembered of a pod that is on no record any more."""
        self._gone_since.pop(uid, None)

    def _one(self, namespace: str, uid: str, holder: LockHolder) -> PodSighting:
        pod = self._pod(namespace, holder.pod)
        if pod is not None and pod.metadata.uid == uid:
            return PodSighting(pod=pod)
        since = self._gone_since.setdefault(uid, self.clock.monotonic())
        return PodSighting(gone_seconds=self.clock.monotonic() - since, node_ready=self._is_ready(holder.node))

    def _pod(self, namespace: str, name: str) -> HolderPod | None:
        if not name:
            return None
        try:
            return self.client.get(PODS, namespace, name, HolderPod)
        except NotFoundError:
            return None

    def _is_ready(self, node: str) -> bool:
        if not node:
            return False
        try:
            found = self.client.get(NODES, "", node, Node)
        except NotFoundError:
            return False
        return any(one.type == "Ready" and one.status == "True" for one in found.status.conditions or ())
