"""A restic, a repository, a volume and a place to restore it to."""

import os
import shutil
from pathlib import Path

import pytest

from pkg.apis.ark import StorageProvider
from pkg.kube.stop import StopToken
from pkg.objectstore.credentials import load_credentials
from pkg.objectstore.location import storage_location
from pkg.restic.environment import ResticEnvironment, restic_environment
from pkg.restic.password import Password, generate_password
from pkg.restic.repository import init_repository
from pkg.restic.runner import ResticRunner, Runner
from pkg.testing.assets import binary
from pkg.testing.fakerestic import FakeRestic
from pkg.testing.minio import Minio

PASSWORD = Password(generate_password())


@pytest.fixture
def s3(minio: Minio, bucket: str, credentials_file: Path, tmp_path: Path) -> ResticEnvironment:
    """Give the test the address of a repository in MinIO, not made yet."""
    config = {"s3Url": minio.endpoint, "region": "us-east-1"}
    location = storage_location(StorageProvider(name="aws", bucket=bucket, prefix="p", config=config))
    return restic_environment(
        repository=location.restic_identifier("shop"),
        password=PASSWORD,
        location=location,
        credentials=load_credentials("aws", {"AWS_SHARED_CREDENTIALS_FILE": str(credentials_file)}),
        cache_dir=str(tmp_path / "cache"),
    )


@pytest.fixture
def local(tmp_path: Path) -> ResticEnvironment:
    return ResticEnvironment(
        repository=str(tmp_path / "repository"), password=PASSWORD, cache_dir=str(tmp_path / "cache")
    )


@pytest.fixture
def restic() -> Runner:
    return Runner(binary=str(binary("restic")), base=os.environ)


@pytest.fixture(params=["fake", "real"])
def runner(request: pytest.FixtureRequest, restic: Runner) -> ResticRunner:
    return FakeRestic() if request.param == "fake" else restic


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    directory = tmp_path / "volume"
    (directory / "deep" / "er").mkdir(parents=True)
    (directory / "file").write_bytes(b"content")
    (directory / "deep" / "er" / "other").write_bytes(b"more content")
    return directory


@pytest.fixture
def target(tmp_path: Path) -> Path:
    directory = tmp_path / "target"
    directory.mkdir()
    return directory


@pytest.fixture(scope="session")
def repository_password() -> Password:
    return PASSWORD


@pytest.fixture(scope="session")
def repository_of_the_real_restic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once and copied, because making one costs 3 s."""
    directory = tmp_path_factory.mktemp("restic")
    environment = ResticEnvironment(
        repository=str(directory / "repository"), password=PASSWORD, cache_dir=str(directory / "cache")
    )
    init_repository(Runner(binary=str(binary("restic")), base=os.environ), environment, StopToken())
    return directory / "repository"


@pytest.fixture
def ready(local: ResticEnvironment, repository_of_the_real_restic: Path, runner: ResticRunner) -> ResticEnvironment:
    """Give the test a repository in a directory that is made, for either runner."""
    if isinstance(runner, FakeRestic):
        init_repository(runner, local, StopToken())
    else:
        shutil.copytree(repository_of_the_real_restic, local.repository)
    return local


@pytest.fixture
def real(local: ResticEnvironment, repository_of_the_real_restic: Path) -> ResticEnvironment:
    """Give the test a repository in a directory that is made, for the real restic."""
    shutil.copytree(repository_of_the_real_restic, local.repository)
    return local
