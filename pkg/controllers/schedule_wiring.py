"""Puts the schedule controller together: who wakes it, and the series that are computed from the objects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from pkg.apis.ark import Backup, Config, Schedule
from pkg.apis.names import SCHEDULE_LABEL
from pkg.apis.volumes import PodVolumeBackup
from pkg.controllers.config import DEFAULT_SCHEDULE_SYNC_SECONDS, SettingsError
from pkg.controllers.metrics import ServerMetrics
from pkg.controllers.metrics_schedules import ScheduleCollector
from pkg.controllers.metrics_volumes import VolumeCollector
from pkg.controllers.schedule import ScheduleReconciler
from pkg.controllers.stores import Stores
from pkg.informers.informer import SharedInformer
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.refs import SCHEDULES
from pkg.manager.manager import Manager
from pkg.volumes.naming import label_value
from pkg.workqueue.key import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleParts:
    """What the schedule controller is made of."""

    client: Client
    namespace: str
    stores: Stores
    metrics: ServerMetrics
    registry: CollectorRegistry
    clock: Clock
    configs: SharedInformer[Config]
    backups: SharedInformer[Backup]
    captures: SharedInformer[PodVolumeBackup]


def add_schedules(manager: Manager, parts: ScheduleParts) -> None:
    """Adds the schedule controller and its series."""
    schedules = manager.factory.informer(SCHEDULES, Schedule, namespace=parts.namespace)

    def labels() -> set[str]:
        return {label_value(one.metadata.name) for one in schedules.lister.list(parts.namespace)}

    def every_schedule(config: Config) -> Iterable[Key]:
        return [Key(one.metadata.namespace, one.metadata.name) for one in schedules.lister.list(parts.namespace)]

    parts.metrics.only_schedules(lambda label: label in labels())
    reconciler = ScheduleReconciler(
        parts.client,
        schedules.lister,
        parts.backups.lister,
        restore_only=lambda: _restore_only(parts.stores),
        look_seconds=lambda: _look_seconds(parts.stores),
        metrics=parts.metrics,
        events=manager.events,
        clock=parts.clock,
    )
    controller = manager.controller("schedule", reconciler)
    controller.watch(schedules)
    controller.watch(parts.backups, _schedule_of)
    controller.watch(parts.configs, every_schedule)
    cluster_id = parts.stores.cluster_id
    parts.registry.register(
        ScheduleCollector(schedules.lister, parts.backups.lister, cluster_id=cluster_id, clock=parts.clock)
    )
    parts.registry.register(VolumeCollector(parts.captures.lister, clock=parts.clock))


def _schedule_of(backup: Backup) -> Iterable[Key]:
    """The schedule of a backup, unless its name is so long that the label holds only a part of it."""
    name = backup.metadata.label(SCHEDULE_LABEL)
    return [Key(backup.metadata.namespace, name)] if name else []


def _restore_only(stores: Stores) -> bool:
    try:
        return stores.settings().restore_only
    except SettingsError:
        return False  # a backup is made and says itself that Config is missing or invalid


def _look_seconds(stores: Stores) -> float:
    try:
        return stores.settings().schedule_sync_seconds
    except SettingsError:
        return DEFAULT_SCHEDULE_SYNC_SECONDS
