"""The agents of all nodes as the server's caches show them, and how long each missing one was waited for."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from pkg.apis.core import DaemonSet, Node, Pod
from pkg.apis.names import RESTIC_DAEMONSET
from pkg.controllers.agents import AgentVerdict, verdict
from pkg.informers.lister import Lister
from pkg.kube.clock import Clock

FORGOTTEN_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wait:
    """For how long a node has had no agent, as far as anybody asked."""

    since: float
    asked_at: float


class NodeAgents:
    """Answers whether a node can take work.

    The wait for an agent starts with the first question that found none, and anew when nobody asked for a minute.
    """

    def __init__(
        self,
        namespace: str,
        *,
        nodes: Lister[Node],
        daemon_sets: Lister[DaemonSet],
        agent_pods: Lister[Pod],
        clock: Clock,
    ) -> None:
        self._namespace = namespace
        self._nodes = nodes
        self._daemon_sets = daemon_sets
        self._agent_pods = agent_pods
        self._clock = clock
        self._lock = threading.Lock()
        self._missing: dict[str, _Wait] = {}

    def verdict(self, node_name: str) -> AgentVerdict:
        """Whether that node has an agent, will have one, or never will."""
        found = verdict(
            node_name,
            node=self._nodes.get("", node_name),
            daemon_set=self._daemon_sets.get(self._namespace, RESTIC_DAEMONSET),
            agent_pods=self._agent_pods.list(self._namespace),
            waited_seconds=self._waited(node_name),
        )
        if found.ready:
            with self._lock:
                self._missing.pop(node_name, None)
        return found

    def _waited(self, node_name: str) -> float:
        now = self._clock.monotonic()
        with self._lock:
            wait = self._missing.get(node_name)
            since = wait.since if wait is not None and now - wait.asked_at <= FORGOTTEN_SECONDS else now
            self._missing[node_name] = _Wait(since=since, asked_at=now)
            return now - since
