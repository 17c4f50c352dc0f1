"""An agent is told how long its slot was needed the last time, so that small volumes need not wait for large ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from pkg.apis.meta import JsonObject
from pkg.apis.volumes import PodVolumeBackup
from pkg.backup.engine import run_backup
from pkg.kube import refs
from pkg.testing.fakebackup import ARK, BackupWorld, captured

HOOKS = {"post.hook.backup.ark.heptio.com/command": "thaw"}


def pod(world: BackupWorld, annotations: Mapping[str, str]) -> None:
    """A pod with two claims that were captured before, in 50 and 40 seconds."""
    volumes: list[JsonObject] = [
        {"name": name, "persistentVolumeClaim": {"claimName": name}} for name in ("data", "log", "new")
    ]
    mounts: list[JsonObject] = [{"name": name} for name in ("data", "log", "new")]
    metadata: JsonObject = {
        "name": "db-0",
        "namespace": "shop",
        "uid": "db-0-uid",
        "annotations": {"backup.ark.heptio.com/backup-volumes": "data,log,new", **annotations},
    }
    spec: JsonObject = {
        "nodeName": "node1",
        "volumes": [*volumes],
        "containers": [{"name": "main", "volumeMounts": [*mounts]}],
    }
    world.api.add(refs.PODS, {"metadata": metadata, "spec": spec, "status": {"phase": "Running"}})


@pytest.fixture
def world(tmp_path: Path) -> BackupWorld:
    made = BackupWorld(tmp_path)
    made.namespace("shop")
    for name, seconds in (("data", 50), ("log", 40), ("new", 0)):
        made.claim("shop", name)
        status = captured(f"snap-{name}", run_seconds=seconds)
        raw = msgspec.to_builtins(PodVolumeBackup(status=status))
        raw["metadata"] = {"name": f"old-{name}", "namespace": ARK}
        raw["spec"] = {"source": {"claimUID": f"{name}-uid"}}
        raw["status"]["completionTimestamp"] = "2026-01-01T00:00:00Z"
        if seconds:
            made.api.add(refs.POD_VOLUME_BACKUPS, raw)
    return made


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        pytest.param({}, {"data": 50, "log": 40, "new": None}, id="each volume has its own slot"),
        pytest.param(HOOKS, {"data": 90, "log": 90, "new": 90}, id="volumes of a pod with hooks share one"),
    ],
)
def test_what_is_known_of_the_last_run_goes_with_the_capture(
    world: BackupWorld, annotations: dict[str, str], expected: dict[str, int | None]
) -> None:
    pod(world, annotations)
    run_backup(world.job(), world.stop)
    assert {spec.volume: spec.last_run_seconds for spec in world.capturer.started.values()} == expected
