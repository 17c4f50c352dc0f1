"""The agents of all nodes as the server's caches show them, and how long each missing one was waited for.

Caches may lag behind, after a broken watch by minutes. So a node counts as gone only when the API itself says so.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from dataclasses import dataclass

from pkg.apis.core import DaemonSet, Node, Pod
from pkg.apis.names import RESTIC_DAEMONSET
from pkg.apis.reasons import Reason
from pkg.controllers.agents import AgentVerdict, verdict
from pkg.informers.lister import Lister
from pkg.kube.clock import Clock
from pkg.kube.errors import KubeError, NotFoundError

FORGOTTEN_SECONDS = 60.0
CONFIRMED_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wait:
    """For how long a node has had no agent, as far as anybody asked."""

    since: float
    asked_at: float


class NodeAgents:
    """Answers whether a node can take work.

    The wait for an agent starts with the first question that found none, and anew when nobody asked for a minute.

    Args:
        look: Reads a node from the API; raises KubeError.
    """

    def __init__(
        self,
        namespace: str,
        *,
        nodes: Lister[Node],
        daemon_sets: Lister[DaemonSet],
        agent_pods: Lister[Pod],
        look: Callable[[str], Node],
        clock: Clock,
    ) -> None:
        self._namespace = namespace
        self._nodes = nodes
        self._daemon_sets = daemon_sets
        self._agent_pods = agent_pods
        self._look = look
        self._clock = clock
        self._lock = threading.Lock()
        self._missing: dict[str, _Wait] = {}
        self._confirmed: dict[str, tuple[float, AgentVerdict]] = {}

    def verdict(self, node_name: str) -> AgentVerdict:
        """Whether that node has an agent, will have one, or never will."""
        found = self._judged(node_name, self._nodes.get("", node_name))
        if found.ready:
            with self._lock:
                self._missing.pop(node_name, None)
        elif found.reason is Reason.NODE_GONE:
            found = self._asked(node_name, found)
        return found

    def _judged(self, node_name: str, node: Node | None) -> AgentVerdict:
        return verdict(
            node_name,
            node=node,
            daemon_set=self._daemon_sets.get(self._namespace, RESTIC_DAEMONSET),
            agent_pods=self._agent_pods.list(self._namespace),
            waited_seconds=self._waited(node_name),
            now=self._clock.now(),
        )

    def _asked(self, node_name: str, seen: AgentVerdict) -> AgentVerdict:
        """The verdict by what the API itself says, which is remembered for a moment."""
        now = self._clock.monotonic()
        with self._lock:
            until, known = self._confirmed.get(node_name, (0.0, seen))
        if now < until:
            return known
        try:
            found = self._judged(node_name, self._look(node_name))
        except NotFoundError:
            found = self._judged(node_name, None)
        except KubeError as error:
            return dataclasses.replace(seen, reason=None, message=f"{seen.message}, says the cache; the API: {error}")
        with self._lock:
            known_ones = {name: one for name, one in self._confirmed.items() if one[0] > now}
            self._confirmed = {**known_ones, node_name: (now + CONFIRMED_SECONDS, found)}
        return found

    def _waited(self, node_name: str) -> float:
        now = self._clock.monotonic()
        with self._lock:
            wait = self._missing.get(node_name)
            since = wait.since if wait is not None and now - wait.asked_at <= FORGOTTEN_SECONDS else now
            self._missing[node_name] = _Wait(since=since, asked_at=now)
            return now - since
