"""The size of a tarball is told when it is in the bucket, for 0.9's gauge."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pkg.backup.engine import run_backup
from pkg.kube.stop import StopToken
from pkg.objectstore.errors import BucketMissingError
from pkg.objectstore.layout import backup_keys
from pkg.testing.fakebackup import BackupWorld

TARBALL = backup_keys("nightly").tarball


@pytest.fixture
def world(tmp_path: Path) -> BackupWorld:
    made = BackupWorld(tmp_path)
    made.namespace("shop")
    made.config_map("shop", "settings")
    return made


def sizes_told(world: BackupWorld) -> list[int]:
    told: list[int] = []
    run_backup(dataclasses.replace(world.job(), on_tarball=told.append), StopToken())
    return told


def test_the_size_is_that_of_the_object_in_the_bucket(world: BackupWorld) -> None:
    assert sizes_told(world) == [len(world.store.objects[TARBALL])]


def test_a_tarball_that_the_bucket_refuses_has_no_size(world: BackupWorld) -> None:
    def refuse(verb: str, key: str) -> None:
        if (verb, key) == ("put", TARBALL):
            raise BucketMissingError("gone")

    world.store.before = refuse
    assert sizes_told(world) == []
