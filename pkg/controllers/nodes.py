"""The agents of all nodes as the server's caches show them, and how long each missing one was waited for."""

from __future__ import annotations

import threading

from pkg.apis.core import DaemonSet, Node, Pod
from pkg.apis.names import RESTIC_DAEMONSET
from pkg.controllers.agents import AgentVerdict, verdict
from pkg.informers.lister import Lister
from pkg.kube.clock import Clock


class NodeAgents:
    """Answers whether a node can take work; the wait for an agent starts with the first question that found none."""

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
        self._missing_since: dict[str, float] = {}

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
                self._missing_since.pop(node_name, None)
        return found

    def _waited(self, node_name: str) -> float:
        now = self._clock.monotonic()
        with self._lock:
            return now - self._missing_since.setdefault(node_name, now)
