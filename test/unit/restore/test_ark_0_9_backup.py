"""A backup as Ark 0.9 wrote it: objects, volumes named by annotations only, and cloud disks that are told aloud."""

from __future__ import annotations

import json

import pytest

from pkg.apis.ark import RestoreSpec
from pkg.apis.meta import JsonObject
from pkg.apis.reasons import BackupPhase
from pkg.kube import refs
from pkg.restore.results import decode_results
from pkg.testing import ark09
from pkg.testing.fakerestore import RestoreWorld

WORDS = {"snapshot-of-data": "0a1b2c3d", "snapshot-of-scratch": "9f8e7d6c", "storage-class": "standard"}


@pytest.fixture
def world() -> RestoreWorld:
    made = RestoreWorld()
    for name in (ark09.BACKUP, ark09.FAILED_BACKUP):
        made.store.files.update(ark09.backup_files(name, WORDS))
    made.add_repository(ark09.NAMESPACE)
    return made


def pod_of(world: RestoreWorld) -> JsonObject:
    found = world.api.get(refs.PODS, ark09.NAMESPACE, "web")
    assert found is not None
    return found


def test_objects_and_volumes_come_back(world: RestoreWorld) -> None:
    outcome = world.restore(RestoreSpec(backup_name=ark09.BACKUP))
    assert (outcome.phase, outcome.errors) == (BackupPhase.COMPLETED, 0), outcome.message
    specs = {spec.volume: spec for spec in world.agents.specs.values()}
    assert {name: spec.snapshot_id for name, spec in specs.items()} == {"data": "0a1b2c3d", "scratch": "9f8e7d6c"}
    assert all(spec.repo_identifier.endswith(f"/{ark09.NAMESPACE}") for spec in specs.values())
    assert world.api.get(refs.CONFIG_MAPS, ark09.NAMESPACE, "settings")


def test_what_belonged_to_the_old_cluster_does_not_come_back(world: RestoreWorld) -> None:
    world.restore(RestoreSpec(backup_name=ark09.BACKUP))
    pod = json.dumps(pod_of(world))
    for left in ("default-token-x7k2p", "ip-10-0-0-1", "snapshot.ark.heptio.com/"):
        assert left not in pod
    claim = world.api.get(refs.PVCS, ark09.NAMESPACE, "data")
    assert "pvc-1f3a" not in json.dumps(claim)
    assert world.api.get(refs.PVS, "", "pvc-1f3a") is None
    assert world.api.list(refs.POD_VOLUME_BACKUPS) == []


def test_a_cloud_disk_snapshot_is_an_error_in_the_results(world: RestoreWorld) -> None:
    spec = RestoreSpec(backup_name=ark09.FAILED_BACKUP)
    outcome = world.restore(spec)
    assert outcome.phase is BackupPhase.PARTIALLY_FAILED
    results = decode_results(world.store.files[f"{ark09.FAILED_BACKUP}/restore-r1-results.gz"])
    said = json.dumps([results.errors.ark, results.errors.cluster, results.errors.namespaces])
    assert "snap-0a1b2c3d" in said
    assert "pvc-7c1e" in said


def test_a_restore_without_volumes_says_nothing_of_cloud_disks(world: RestoreWorld) -> None:
    outcome = world.restore(RestoreSpec(backup_name=ark09.FAILED_BACKUP, restore_pvs=False))
    assert outcome.errors == 0
