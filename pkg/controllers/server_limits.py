"""How many captures the server admits, read anew whenever it is asked, and Events for what is wrong with limits.

The server, of which there is one, tells people; the agents only log, or each mistake would be an Event per node.
"""

from __future__ import annotations

from collections.abc import Iterator

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pkg.apis.core import ConfigMap, Node
from pkg.controllers.admission_desk import AdmissionDesk
from pkg.controllers.limits import ClusterLimits, cluster_limits
from pkg.controllers.limits_parsing import label_problems
from pkg.controllers.limits_source import LimitsSource
from pkg.informers.lister import Lister
from pkg.manager.events import EventRecorder
from pkg.manager.reconciler import Result, done
from pkg.workqueue.key import Key

INVALID = "LimitsInvalid"  # reason of an Event

log = structlog.get_logger()


class ServerLimits:
    """What holds in the cluster now; the ConfigMap before the flags."""

    def __init__(self, flags: ClusterLimits, source: LimitsSource) -> None:
        self._flags = flags
        self.source = source

    def current(self) -> ClusterLimits:
        """What holds at this moment."""
        return cluster_limits(self._flags, self.source.config())


class ServerLimitsReconciler:
    """Says what is in force, in the log, and what is wrong, as Events on the ConfigMap or the node."""

    def __init__(
        self, limits: ServerLimits, configs: Lister[ConfigMap], nodes: Lister[Node], events: EventRecorder
    ) -> None:
        self._limits = limits
        self._configs = configs
        self._nodes = nodes
        self._events = events
        self._told: ClusterLimits | None = None

    def reconcile(self, key: Key) -> Result:
        """Looks at the ConfigMap, or at the node of that name."""
        if key.namespace:
            self._look_at_config(key)
        else:
            self._look_at_node(key)
        return done()

    def _look_at_config(self, key: Key) -> None:
        current, problem = self._limits.current(), self._limits.source.problem
        config = self._configs.get(key.namespace, key.name)
        if problem and config is not None:
            log.warning("Limits not usable", key=str(key), message=problem)
            self._events.event(config, INVALID, problem, warning=True)
        if current != self._told:
            log.info("Limits in force", per_repository=current.per_repository, whole_cluster=current.whole_cluster)
        self._told = current

    def _look_at_node(self, key: Key) -> None:
        node = self._nodes.get("", key.name)
        for problem in label_problems(node.metadata.labels) if node is not None else []:
            message = (
                f"{problem}; the agent keeps the limit that it had: kubectl label node {key.name} LABEL=N --overwrite"
            )
            log.warning("Limits not usable", node=key.name, message=message)
            if node is not None:
                self._events.event(node, INVALID, message, warning=True)


class AdmissionCollector(Collector):
    """The limits, and how many captures wait at them; answered at each scrape."""

    def __init__(self, limits: ServerLimits, desk: AdmissionDesk) -> None:
        self._limits = limits
        self._desk = desk

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Two gauges."""
        current = self._limits.current()
        limit = GaugeMetricFamily(
            "ark_volume_backups_limit", "Volume backups at once, per repository and in the cluster.", labels=["scope"]
        )
        limit.add_metric(["repository"], current.per_repository)
        limit.add_metric(["cluster"], current.whole_cluster)
        yield limit
        text = "Volume backups that wait to be admitted by the server."
        yield GaugeMetricFamily("ark_volume_backups_waiting", text, value=self._desk.waiting)
