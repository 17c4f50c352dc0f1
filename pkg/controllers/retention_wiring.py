"""Puts the removal of ended objects together: who owns what, and which captures are of the same volume."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from pkg.apis.ark import Backup, Restore
from pkg.apis.volumes import PodVolumeBackup, PodVolumeRestore
from pkg.controllers.retention import RetentionReconciler
from pkg.controllers.retention_plan import capture_end, filling_end, owner_of, restore_end, volume_key
from pkg.informers.informer import SharedInformer
from pkg.informers.lister import Lister
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.refs import POD_VOLUME_BACKUPS, POD_VOLUME_RESTORES, RESTORES
from pkg.manager.manager import Manager

VOLUME_INDEX = "captured-volume"


def add_retention(
    manager: Manager,
    client: Client,
    backups: SharedInformer[Backup],
    *,
    namespace: str,
    frozen: Callable[[], str],
    clock: Clock,
) -> None:
    """Adds one controller for each kind that is removed some time after its end."""
    factory = manager.factory
    restores = factory.informer(RESTORES, Restore, namespace=namespace)
    captures = factory.informer(POD_VOLUME_BACKUPS, PodVolumeBackup, namespace=namespace)
    captures.add_index(VOLUME_INDEX, volume_key)
    fillings = factory.informer(POD_VOLUME_RESTORES, PodVolumeRestore, namespace=namespace)
    of_captures = RetentionReconciler(
        client,
        POD_VOLUME_BACKUPS,
        captures.lister,
        ends_at=lambda one: end_of_capture(one, captures.lister, backups.lister),
        frozen=frozen,
        clock=clock,
    )
    of_fillings = RetentionReconciler(
        client,
        POD_VOLUME_RESTORES,
        fillings.lister,
        ends_at=lambda one: end_of_filling(one, restores.lister),
        frozen=frozen,
        clock=clock,
    )
    of_restores = RetentionReconciler(
        client, RESTORES, restores.lister, ends_at=restore_end, frozen=frozen, clock=clock
    )
    manager.controller("capture-retention", of_captures).watch(captures)
    manager.controller("filling-retention", of_fillings).watch(fillings)
    manager.controller("restore-retention", of_restores).watch(restores)


def end_of_capture(
    capture: PodVolumeBackup, captures: Lister[PodVolumeBackup], backups: Lister[Backup]
) -> datetime.datetime | None:
    """When a PodVolumeBackup may go, by what the caches hold."""
    name, uid = owner_of(capture.metadata, "Backup")
    backup = backups.get(capture.metadata.namespace, name) if name else None
    alike = [one for key in volume_key(capture) for one in captures.by_index(VOLUME_INDEX, key)]
    return capture_end(capture, backup if backup and backup.metadata.uid == uid else None, alike)


def end_of_filling(filling: PodVolumeRestore, restores: Lister[Restore]) -> datetime.datetime | None:
    """When a PodVolumeRestore may go, by what the caches hold."""
    name, uid = owner_of(filling.metadata, "Restore")
    restore = restores.get(filling.metadata.namespace, name) if name else None
    return filling_end(filling, restore if restore and restore.metadata.uid == uid else None)
