"""restic on every cloud, led there by the same Config, Secret, proxy and certificates as the backups."""

import secrets
from pathlib import Path

import pytest

from pkg.kube.stop import StopToken
from pkg.restic.environment import ResticEnvironment, restic_environment
from pkg.restic.errors import RepositoryMissingError
from pkg.restic.maintenance import PruneLimits, check_repository, forget_snapshots, list_snapshots, prune_repository
from pkg.restic.password import Password, generate_password
from pkg.restic.repository import init_repository, open_repository
from pkg.restic.restoration import RestoreRequest, restore_volume
from pkg.restic.runner import Runner
from pkg.restic.transfer import BackupRequest, backup_volume, find_snapshot_by_tag
from pkg.testing.assets import binary
from pkg.testing.backends import Backend, Backends
from pkg.testing.directories import contents

STOP = StopToken()


def environment(backend: Backend, cache: Path, **config: str) -> ResticEnvironment:
    """A repository in a bucket of its own."""
    location = backend.location(backend.make_bucket(f"test-{secrets.token_hex(4)}"), **config)
    return restic_environment(
        repository=location.restic_identifier("shop"),
        password=Password(generate_password()),
        location=location,
        credentials=backend.credentials(),
        cache_dir=str(cache),
    )


def runner(backend: Backend, **more: str) -> Runner:
    """A restic in a pod with the backend's environment, from which only what is allowed reaches the child."""
    return Runner(binary=str(binary("restic")), base={"PATH": "/usr/bin:/bin", **backend.environ, **more})


@pytest.mark.parametrize("name", ["local", "minio", "strict-s3", "azure", "gcs"])
def test_a_volume_goes_there_comes_back_and_is_forgotten(
    name: str, backends: Backends, volume: Path, target: Path, tmp_path: Path
) -> None:
    backend = backends[name]
    restic, place = runner(backend), environment(backend, tmp_path / "cache")
    seen = backends.proxy.seen[backend.host]
    made = init_repository(restic, place, STOP)
    assert open_repository(restic, place, STOP) == made
    first = backup_volume(restic, BackupRequest(directory=str(volume), tags={"pvb-uid": "1"}), place, STOP)
    found = find_snapshot_by_tag(restic, place, {"pvb-uid": "1"}, STOP)
    assert found is not None
    restore_volume(restic, RestoreRequest(snapshot_id=found.id, target=str(target)), place, STOP)
    assert contents(target) == contents(volume)
    forget_snapshots(restic, place, [first.snapshot_id], STOP)
    assert list_snapshots(restic, place, STOP) == []
    prune_repository(restic, place, PruneLimits(), STOP)
    check_repository(restic, place, STOP)
    assert (backends.proxy.seen[backend.host] > seen) == bool(backend.host)


@pytest.mark.parametrize("name", ["aws-identity", "azure-identity", "gcp-identity"])
def test_the_pod_s_identity_reaches_restic(name: str, backends: Backends, tmp_path: Path) -> None:
    backend = backends[name]
    # Only who may look finds out that there is no repository.
    with pytest.raises(RepositoryMissingError):
        open_repository(runner(backend), environment(backend, tmp_path / "cache"), STOP)
