"""What a repository that nobody uses costs: what is asked of the store in a day, counted on the wire."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pkg.apis.ark import StorageProvider
from pkg.apis.volumes import Verification
from pkg.controllers.maintenance_times import DAY
from pkg.controllers.repository_looks import READY_INTERVAL_SECONDS
from pkg.controllers.verification import measure
from pkg.controllers.verification_plan import VerificationLimits, interval_of, next_part
from pkg.kube.stop import StopToken
from pkg.objectstore.cloud import open_restic_store
from pkg.objectstore.credentials import load_credentials
from pkg.objectstore.location import storage_location
from pkg.objectstore.store import ObjectStore
from pkg.restic.environment import ResticEnvironment, restic_environment
from pkg.restic.maintenance import PruneLimits, check_repository, list_snapshots, prune_repository
from pkg.restic.password import Password, generate_password
from pkg.restic.repository import init_repository, open_repository
from pkg.restic.runner import Runner
from pkg.restic.transfer import BackupRequest, backup_volume
from pkg.testing.countingproxy import CountingProxy
from pkg.testing.minio import Minio

STOP = StopToken()
BUDGET = 24
SNAPSHOTS, A_MONTH = 6, 30
DAYS = VerificationLimits().days(0)
PART = next_part(Verification(size_bytes=1 << 20), DAYS)
EVERY_DAYS = interval_of(DAYS, PART.of) / DAY


class Idle:
    """A repository of a week's snapshots behind a proxy that counts."""

    def __init__(self, proxy: CountingProxy, bucket: str, credentials_file: Path, tmp_path: Path) -> None:
        config = {"s3Url": proxy.endpoint, "region": "us-east-1"}
        location = storage_location(StorageProvider(name="aws", bucket=bucket, prefix="p", config=config))
        credentials = load_credentials("aws", {"AWS_SHARED_CREDENTIALS_FILE": str(credentials_file)})
        self._proxy, self._path = proxy, tmp_path
        self._password = Password(generate_password())
        self.store: ObjectStore = open_restic_store(location, credentials)
        self._environment = restic_environment(
            repository=location.restic_identifier("shop"),
            password=self._password,
            location=location,
            credentials=credentials,
            cache_dir="",
        )

    def environment(self, cache: str) -> ResticEnvironment:
        """With the cache of the server, which lives, or a Job's, which is new."""
        return dataclasses.replace(self._environment, cache_dir=str(self._path / cache))

    def counted(self, work: Callable[[], object]) -> int:
        before = self._proxy.counts.total()
        work()
        return self._proxy.counts.total() - before


@pytest.fixture
def idle(minio: Minio, bucket: str, credentials_file: Path, tmp_path: Path) -> Iterator[Idle]:
    parts = urlsplit(minio.endpoint)
    with CountingProxy((str(parts.hostname), int(parts.port or 80))) as proxy:
        yield Idle(proxy, bucket, credentials_file, tmp_path)


def test_an_idle_repository_is_asked_at_most_24_times_a_day(
    idle: Idle, restic: Runner, volume: Path, record_property: Callable[[str, object], None]
) -> None:
    """Counted with some snapshots; those of a month of daily backups are each a file more that a check reads."""
    init_repository(restic, idle.environment("server"), STOP)
    capture(restic, idle, volume, SNAPSHOTS)
    spent = a_day(restic, idle)
    spent["more snapshots"] = (A_MONTH - SNAPSHOTS) / EVERY_DAYS
    assert sum(spent.values()) <= BUDGET, spent
    record_property("requests_a_day", spent)


def capture(restic: Runner, idle: Idle, volume: Path, count: int) -> None:
    for _ in range(count):
        (volume / "file").write_bytes(secrets.token_bytes(1000))
        request = BackupRequest(directory=str(volume), tags={"ns": "shop", "cluster": "c"})
        backup_volume(restic, request, idle.environment("agent"), STOP)
    prune_repository(restic, idle.environment("agent"), PruneLimits(), STOP)  # after the last capture there is one


def a_day(restic: Runner, idle: Idle) -> dict[str, float]:
    """What the server does to a repository in which nothing changes, and its Job, whose cache is empty."""
    server = idle.environment("server")

    def sweep() -> None:
        open_repository(restic, server, STOP)
        list_snapshots(restic, server, STOP, {"cluster": "c"})

    def verify() -> None:
        open_repository(restic, idle.environment("job"), STOP)
        check_repository(restic, idle.environment("job"), STOP, part="1/1", no_lock=True)

    sweep()  # the server's cache is warm after its first day
    return {
        "look": idle.counted(lambda: open_repository(restic, server, STOP)) / (READY_INTERVAL_SECONDS / 86400),
        "sweep": idle.counted(sweep),
        "measure": idle.counted(lambda: measure(idle.store, "shop", PART)) / EVERY_DAYS,
        "verify": idle.counted(verify) / EVERY_DAYS,
    }
