"""The flags that limit the work on volumes: an agent's and the server's."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

import click

from pkg.controllers.admission import PER_REPOSITORY, WHOLE_CLUSTER
from pkg.controllers.limits import ClusterLimits, NodeLimits
from pkg.controllers.limits_parsing import MOST_IN_CLUSTER, MOST_KIB, MOST_SLOTS

DEFAULT_SLOTS = 4

Program = Callable[..., object]


def agent_limit_options(function: Program) -> Program:
    """The flags of `ark restic server`; the command gets them as one `limits`."""

    @functools.wraps(function)
    def with_limits(
        *, backup_slots: int | None, restore_slots: int, limit_upload: int, limit_download: int, **others: object
    ) -> object:
        limits = NodeLimits(
            backup_slots=backup_slots or default_slots(os.cpu_count()),
            restore_slots=restore_slots,
            upload_kib=limit_upload,
            download_kib=limit_download,
        )
        return function(limits=limits, **others)

    command: Program = with_limits
    for option in reversed(_agent_options()):
        command = option(command)
    return command


def default_slots(cores: int | None) -> int:
    """One for each core, four at most."""
    return min(DEFAULT_SLOTS, cores or 1)


def server_limit_options(function: Program) -> Program:
    """The flags of `ark server`; the command gets them as one `limits`."""

    @functools.wraps(function)
    def with_limits(*, volumes_per_repository: int, volumes_in_cluster: int, **others: object) -> object:
        limits = ClusterLimits(per_repository=volumes_per_repository, whole_cluster=volumes_in_cluster)
        return function(limits=limits, **others)

    command: Program = with_limits
    for option in reversed(_server_options()):
        command = option(command)
    return command


def _agent_options() -> list[Callable[[Program], Program]]:
    slots, kib = click.IntRange(1, MOST_SLOTS), click.IntRange(0, MOST_KIB)
    return [
        click.option(
            "--backup-slots",
            type=slots,
            help=f"Volumes backed up at once on this node.  [default: {DEFAULT_SLOTS}, at most the cores]",
        ),
        click.option(
            "--restore-slots",
            type=slots,
            default=DEFAULT_SLOTS,
            show_default=True,
            help="Volumes restored at once on this node.",
        ),
        click.option(
            "--limit-upload",
            type=kib,
            default=0,
            show_default=True,
            help="KiB/s that all backups of this node may send together, divided by its slots; 0 for no limit.",
        ),
        click.option(
            "--limit-download",
            type=kib,
            default=0,
            show_default=True,
            help="KiB/s that all restores of this node may receive together, divided by their slots; 0 for no limit.",
        ),
    ]


def _server_options() -> list[Callable[[Program], Program]]:
    return [
        click.option(
            "--volumes-per-repository",
            type=click.IntRange(1, MOST_SLOTS),
            default=PER_REPOSITORY,
            show_default=True,
            help="Volumes backed up at once into one repository.",
        ),
        click.option(
            "--volumes-in-cluster",
            type=click.IntRange(1, MOST_IN_CLUSTER),
            default=WHOLE_CLUSTER,
            show_default=True,
            help="Volumes backed up at once in the whole cluster.",
        ),
    ]
