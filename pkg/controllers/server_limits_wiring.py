"""Puts the server's limits together: the ConfigMap, the desk where backups ask, and what tells of both."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry

from pkg.apis.core import ConfigMap, Node
from pkg.apis.names import LIMITS_CONFIG_MAP
from pkg.apis.volumes import PodVolumeBackup, PodVolumeRestore
from pkg.controllers.admission_desk import AdmissionDesk
from pkg.controllers.change_signal import ChangeSignal
from pkg.controllers.limits import ClusterLimits
from pkg.controllers.limits_source import LimitsSource
from pkg.controllers.server_limits import AdmissionCollector, ServerLimits, ServerLimitsReconciler
from pkg.kube.clock import Clock
from pkg.kube.refs import CONFIG_MAPS, NODES, POD_VOLUME_BACKUPS, POD_VOLUME_RESTORES
from pkg.manager.manager import Manager
from pkg.manager.predicates import labels_changed
from pkg.workqueue.key import Key


def add_server_limits(
    manager: Manager,
    flags: ClusterLimits,
    registry: CollectorRegistry,
    *,
    namespace: str,
    changes: ChangeSignal,
    is_closed: Callable[[str], bool],
    clock: Clock,
) -> AdmissionDesk:
    """Adds a controller and metrics; a changed limit wakes the backups that wait."""
    factory = manager.factory
    configs = factory.informer(
        CONFIG_MAPS, ConfigMap, namespace=namespace, field_selector=f"metadata.name={LIMITS_CONFIG_MAP}"
    )
    configs.add_handler(changes)
    nodes = factory.informer(NODES, Node)
    limits = ServerLimits(flags, LimitsSource(configs.lister, namespace))
    desk = AdmissionDesk(
        factory.informer(POD_VOLUME_BACKUPS, PodVolumeBackup, namespace=namespace).lister,
        factory.informer(POD_VOLUME_RESTORES, PodVolumeRestore, namespace=namespace).lister,
        namespace=namespace,
        limits=limits.current,
        is_closed=is_closed,
        clock=clock,
    )
    controller = manager.controller(
        "limits", ServerLimitsReconciler(limits, configs.lister, nodes.lister, manager.events)
    )
    controller.watch(configs)
    controller.watch(nodes, predicate=labels_changed)
    controller.enqueue(Key(namespace, LIMITS_CONFIG_MAP))
    registry.register(AdmissionCollector(limits, desk))
    return desk
