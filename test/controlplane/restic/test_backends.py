"""restic on every cloud, led there by the same Config, Secret, proxy and certificates as the backups."""

import datetime
import secrets
from pathlib import Path

import pytest

from pkg.kube.stop import StopToken
from pkg.objectstore.cloud import open_restic_store
from pkg.restic.environment import ResticEnvironment, restic_environment
from pkg.restic.errors import RepositoryMissingError
from pkg.restic.fastkey import ensure_fast_key
from pkg.restic.maintenance import PruneLimits, check_repository, forget_snapshots, list_snapshots, prune_repository
from pkg.restic.password import Password, generate_password
from pkg.restic.repository import init_repository, open_repository
from pkg.restic.restoration import RestoreRequest, restore_volume
from pkg.restic.runner import Runner
from pkg.restic.transfer import BackupRequest, backup_volume, find_snapshot_by_tag
from pkg.testing.assets import binary
from pkg.testing.backends import S3_HOST, S3_REGION, Backend, Backends
from pkg.testing.directories import contents

STOP = StopToken()


def new_bucket(backend: Backend) -> str:
    return backend.make_bucket(f"test-{secrets.token_hex(4)}")


def environment(backend: Backend, bucket: str, cache: Path, **config: str) -> ResticEnvironment:
    """A repository in a bucket."""
    location = backend.location(bucket, **config)
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


def fast_key(backend: Backend, bucket: str, place: ResticEnvironment, restic: Runner) -> str:
    """A cheap key, which Ark's own client puts where restic has its own."""
    store = open_restic_store(backend.location(bucket), backend.credentials())
    now = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    return ensure_fast_key(store, "shop", place, runner=restic, now=now, stop=STOP)


@pytest.mark.parametrize("name", ["local", "minio", "strict-s3", "amazon", "azure", "gcs"])
def test_a_volume_goes_there_comes_back_and_is_forgotten(
    name: str, backends: Backends, volume: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = backends[name]
    for variable, value in backend.environ.items():
        monkeypatch.setenv(variable, value)  # Amazon is asked for the bucket's region
    bucket = new_bucket(backend)
    restic, place = runner(backend), environment(backend, bucket, tmp_path / "cache")
    seen = backends.seen(backend)
    made = init_repository(restic, place, STOP)
    place = place.with_key_hint(fast_key(backend, bucket, place, restic))
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
    assert (backends.seen(backend) > seen) == bool(backend.host)


@pytest.mark.parametrize("name", ["aws-identity", "azure-identity", "gcp-identity"])
def test_the_pod_s_identity_reaches_restic(name: str, backends: Backends, tmp_path: Path) -> None:
    backend = backends[name]
    # Only who may look finds out that there is no repository.
    with pytest.raises(RepositoryMissingError):
        open_repository(runner(backend), environment(backend, new_bucket(backend), tmp_path / "cache"), STOP)


def test_restic_s_options_are_those_of_the_config(backends: Backends, volume: Path, tmp_path: Path) -> None:
    backend, front = backends["strict-s3"], backends.fronts["strict-s3"]
    restic, place = (
        runner(backend),
        environment(backend, new_bucket(backend), tmp_path / "cache", resticStorageClass="REDUCED_REDUNDANCY"),
    )
    asked_before = len(front.asked)
    init_repository(restic, place, STOP)
    backup_volume(restic, BackupRequest(directory=str(volume), tags={}), place, STOP)
    written = [asked for asked in front.asked[asked_before:] if asked.method == "PUT"]
    assert written
    assert {asked.header("x-amz-storage-class") for asked in written} == {"REDUCED_REDUNDANCY"}
    assert {asked.header("host") for asked in written} == {S3_HOST}, "the bucket is in the path, not in the name"
    assert all(f"/{S3_REGION}/s3/" in asked.header("authorization") for asked in written)


def test_restic_asks_for_what_no_proxy_names_directly(backends: Backends, tmp_path: Path) -> None:
    backend, front = backends["strict-s3"], backends.fronts["strict-s3"]
    (tmp_path / "hosts").write_text(f"127.0.0.1 {S3_HOST}\n")
    knowing = tmp_path / "restic"  # a restic that finds the name without the proxy
    mount = f"mount --bind {tmp_path}/hosts /etc/hosts"
    knowing.write_text(
        f'#!/bin/sh\nexec unshare --map-root-user --mount sh -c \'{mount} && exec "$@"\' - {binary("restic")} "$@"\n'
    )
    knowing.chmod(0o755)
    restic = Runner(binary=str(knowing), base={"PATH": "/usr/bin:/bin", **backend.environ, "NO_PROXY": S3_HOST})
    place = environment(backend, new_bucket(backend), tmp_path / "cache", s3Url=f"https://{S3_HOST}:{front.port}")
    through, asked_before = backends.proxy.seen[S3_HOST], len(front.asked)
    with pytest.raises(RepositoryMissingError):
        open_repository(restic, place, STOP)
    assert len(front.asked) > asked_before
    assert backends.proxy.seen[S3_HOST] == through
