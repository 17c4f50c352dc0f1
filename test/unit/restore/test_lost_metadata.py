"""Volumes that are filled and lack the metadata of some files: a warning, or a failure where that was asked for."""

from __future__ import annotations

import msgspec
import pytest

from pkg.apis.ark import RestoreSpec
from pkg.apis.meta import JsonObject
from pkg.apis.reasons import BackupPhase
from pkg.apis.volumes import PodVolumeRestoreStatus, VolumeSize
from pkg.testing.fakerestore import RestoreWorld, captured

CLAIM: JsonObject = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data", "namespace": "shop"},
    "spec": {"volumeName": "pv-1"},
}
POD: JsonObject = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "shop", "uid": "old-web"},
    "spec": {
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        "containers": [{"name": "app", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
    },
    "status": {"phase": "Running"},
}
DATA = captured("shop", "web", "data", claim="data")


@pytest.fixture
def world() -> RestoreWorld:
    made = RestoreWorld()
    made.add_repository("shop")
    return made


def test_a_volume_that_lacks_metadata_is_a_warning_that_names_it(world: RestoreWorld) -> None:
    world.store_backup(POD, CLAIM, volumes=[DATA])

    def fill() -> None:
        world.behave()
        for name in world.agents.statuses:
            world.agents.statuses[name] = PodVolumeRestoreStatus(
                phase="Completed",
                reason="MetadataLost",
                message="owner, times or attributes of 7 files could not be set, first /f0: lchown",
                metadata_failures=7,
                metadata_paths=tuple(f"/f{number}" for number in range(7)),
            )

    world.agents.on_wait = fill
    outcome = world.restore()
    assert (outcome.phase, outcome.warnings, outcome.errors) == (BackupPhase.COMPLETED, 1, 0)
    assert world.results().warnings.namespaces == {
        "shop": (
            "Pod shop/web, volume data: its contents are restored, but owner, times or attributes of 7 files could "
            "not be set, first /f0: lchown (/f0, /f1, /f2, /f3, /f4, …)",
        )
    }


@pytest.mark.parametrize("strict", [True, False])
def test_an_order_tells_how_large_the_volume_was_and_how_strict_to_be(world: RestoreWorld, *, strict: bool) -> None:
    entry = msgspec.structs.replace(DATA, files=3, bytes=10, used_bytes=4096)
    world.store_backup(POD, CLAIM, volumes=[entry])
    world.restore(RestoreSpec(backup_name="b1", strict_metadata=strict))
    [spec] = world.agents.specs.values()
    assert spec.strict_metadata is strict
    assert spec.size == VolumeSize(files=3, bytes=10, used_bytes=4096)
