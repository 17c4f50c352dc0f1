"""Puts an agent's limits together: where they come from, who shows them, and what tells when they change."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from prometheus_client import CollectorRegistry

from pkg.apis.core import ConfigMap, Node
from pkg.apis.names import LIMITS_CONFIG_MAP
from pkg.controllers.agent_limits import AgentLimits
from pkg.controllers.agent_limits_metrics import AgentLimitsCollector
from pkg.controllers.limits import NodeLimits
from pkg.controllers.limits_source import LimitsSource
from pkg.kube.refs import CONFIG_MAPS, NODES
from pkg.manager.manager import Manager
from pkg.manager.predicates import labels_changed
from pkg.manager.reconciler import Result, done
from pkg.manager.slots import Slots
from pkg.workqueue.key import Key

log = structlog.get_logger()


class LimitsTeller:
    """Says in the log what limits are in force, when they change, and what is wrong with them."""

    def __init__(self, limits: AgentLimits) -> None:
        self._limits = limits
        self._told: NodeLimits | None = None
        self._problems: list[str] = []

    def reconcile(self, key: Key) -> Result:
        """Looks at all of it, whatever changed."""
        current, problems = self._limits.current(), self._limits.problems()
        for problem in problems:
            if problem not in self._problems:
                log.warning("Limits not usable", message=problem)
        self._problems = problems
        if current != self._told:
            log.info(
                "Limits in force",
                backup_slots=current.backup_slots,
                restore_slots=current.restore_slots,
                upload_kib=current.upload_kib,
                download_kib=current.download_kib,
            )
        self._told = current
        return done()


class AgentSlots:
    """The slots of an agent: backups with half of them kept for small volumes, restores their own."""

    def __init__(self, limits: AgentLimits) -> None:
        self.backups = Slots(lambda: limits.current().backup_slots, keep_for_small=True)
        self.restores = Slots(lambda: limits.current().restore_slots)


def add_agent_limits(
    manager: Manager,
    flags: NodeLimits,
    registry: CollectorRegistry,
    *,
    namespace: str,
    node: str,
    ceiling: Callable[[int], int] = lambda slots: slots,
) -> tuple[AgentLimits, AgentSlots]:
    """Adds a controller and metrics; an agent takes its first slot only after both caches are filled."""
    factory = manager.factory
    configs = factory.informer(
        CONFIG_MAPS, ConfigMap, namespace=namespace, field_selector=f"metadata.name={LIMITS_CONFIG_MAP}"
    )
    nodes = factory.informer(NODES, Node, field_selector=f"metadata.name={node}")
    limits = AgentLimits(flags, LimitsSource(configs.lister, namespace), nodes.lister, node, ceiling)
    slots = AgentSlots(limits)
    controller = manager.controller("limits", LimitsTeller(limits))
    controller.watch(configs)
    controller.watch(nodes, predicate=labels_changed)
    controller.enqueue(Key(namespace, LIMITS_CONFIG_MAP))
    registry.register(AgentLimitsCollector(limits, slots.backups, slots.restores))
    return limits, slots
