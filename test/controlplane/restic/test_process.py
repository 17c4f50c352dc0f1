"""The real restic as a process: stopped, stuck, killed, orphaned, looked at."""

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pkg.apis.reasons import Reason
from pkg.apis.volumes import VolumeProgress
from pkg.kube.stop import StopToken
from pkg.restic import command
from pkg.restic.classify import error_from
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import (
    CancelledError,
    KilledError,
    NoProgressError,
    ResticError,
)
from pkg.restic.repository import init_repository
from pkg.restic.runner import Runner
from pkg.restic.transfer import (
    BackupRequest,
    backup_volume,
)
from pkg.testing.assets import REPOSITORY, binary
from pkg.testing.minio import Minio
from pkg.testing.processes import wait_until

MIB = 1 << 20
ENDLESS_BYTES = 1 << 37  # holes that restic reads for minutes
BACKS_UP_UNTIL_KILLED = """
import os, sys, threading
from pkg.kube.stop import StopToken
from pkg.restic.environment import ResticEnvironment
from pkg.restic.password import Password
from pkg.restic.runner import Runner
from pkg.restic.transfer import BackupRequest, backup_volume
binary, repository, cache, directory = sys.argv[1:]
runner = Runner(binary=binary, base=os.environ)
environment = ResticEnvironment(
    repository=repository, password=Password(os.environ["TEST_PASSWORD"]), cache_dir=cache
)
request = BackupRequest(directory=directory, tags={})
said = []
def report(progress):
    if not said and progress.bytes_done:
        said.append(print(runner.running()[0].pid, flush=True))
threading.Thread(
    target=lambda: backup_volume(runner, request, environment, StopToken(), report)
).start()
"""


def test_a_locked_repository_is_told_from_all_else(restic: Runner, real: ResticEnvironment, volume: Path) -> None:
    big = volume / "big"
    with big.open("wb") as file:
        file.truncate(ENDLESS_BYTES)
    stop, thread_error = StopToken(), list[ResticError]()

    def keep_busy() -> None:
        try:
            backup_volume(restic, BackupRequest(directory=str(volume), tags={}), real, stop)
        except ResticError as error:
            thread_error.append(error)

    thread = threading.Thread(target=keep_busy)
    thread.start()
    try:
        wait_until(lambda: list(Path(real.repository, "locks").iterdir()), timeout_seconds=60, what="a lock")
        finished = restic.run(command.Command(verb="prune", arguments=("prune", "--json")), real, StopToken())
        assert finished.exit_code == 11
    finally:
        stop.cancel(Reason.CANCELED)
        thread.join(30)
    assert isinstance(thread_error[0], CancelledError)
    assert thread_error[0].reason is Reason.CANCELED
    assert list(Path(real.repository, "locks").iterdir()) == [], "restic gave its lock back"


def test_a_child_that_is_killed_is_said_to_be(restic: Runner, real: ResticEnvironment, volume: Path) -> None:
    with (volume / "big").open("wb") as file:
        file.truncate(ENDLESS_BYTES)

    def kill_the_first() -> None:
        wait_until(restic.running, timeout_seconds=60, what="restic to run")
        restic.kill(restic.running()[0].pid, because="the test says so")

    killer = threading.Thread(target=kill_the_first)
    killer.start()
    with pytest.raises(KilledError) as caught:
        backup_volume(restic, BackupRequest(directory=str(volume), tags={}), real, StopToken())
    killer.join()
    assert (caught.value.exit_code, caught.value.reason) == (137, Reason.OUT_OF_MEMORY)
    assert restic.running() == ()


def test_a_backend_that_is_silent_ends_at_the_no_progress_deadline(
    s3: ResticEnvironment, volume: Path, restic: Runner
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        silent = ResticEnvironment(
            repository=f"s3:http://127.0.0.1:{server.getsockname()[1]}/bucket/x",
            password=s3.password,
            cloud=s3.cloud,
            cache_dir=s3.cache_dir,
            options=s3.options,
        )
        impatient = Runner(binary=str(binary("restic")), base=os.environ, no_progress_seconds=1, grace=lambda reason: 1)
        started = time.monotonic()
        with pytest.raises(NoProgressError) as caught:
            backup_volume(impatient, BackupRequest(directory=str(volume), tags={}), silent, StopToken())
        assert 1 <= time.monotonic() - started < 60
    assert caught.value.reason is Reason.NO_PROGRESS


def test_progress_is_reported_while_it_runs(restic: Runner, real: ResticEnvironment, volume: Path) -> None:
    with (volume / "big").open("wb") as file:
        file.truncate(512 * MIB)
    seen = list[VolumeProgress]()
    backup_volume(restic, BackupRequest(directory=str(volume), tags={}), real, StopToken(), seen.append)
    assert any(0 < progress.bytes_done < progress.total_bytes for progress in seen)


def test_nothing_secret_is_seen_from_outside(restic: Runner, s3: ResticEnvironment, volume: Path, minio: Minio) -> None:
    init_repository(restic, s3, StopToken())
    seen = list[str]()

    def look() -> None:
        wait_until(restic.running, timeout_seconds=60, what="restic to run")
        seen.append(Path(f"/proc/{restic.running()[0].pid}/cmdline").read_text())

    thread = threading.Thread(target=look)
    thread.start()
    backup_volume(restic, BackupRequest(directory=str(volume), tags={"a": "b"}), s3, StopToken())
    thread.join()
    text = seen[0] + repr(s3) + repr(s3.password) + str(s3.password)
    assert "backup" in seen[0]
    assert s3.password.reveal() not in text
    assert minio.secret_key not in text


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"bucket": "not-there"}, Reason.BUCKET_MISSING, id="a missing bucket"),
        pytest.param({"AWS_ACCESS_KEY_ID": "wrong"}, Reason.CREDENTIALS_REFUSED, id="an unknown access key"),
        pytest.param({"AWS_SECRET_ACCESS_KEY": "wrong"}, Reason.CREDENTIALS_REFUSED, id="a wrong secret"),
        pytest.param({"url": "http://127.0.0.1:1"}, Reason.BACKEND_UNREACHABLE, id="a closed port"),
    ],
)
def test_opening_gives_up_at_its_deadline_and_names_what_restic_kept_trying(
    changes: dict[str, str], reason: Reason, restic: Runner, s3: ResticEnvironment, minio: Minio, bucket: str
) -> None:
    url, name = changes.get("url", minio.endpoint), changes.get("bucket", bucket)
    wrong = ResticEnvironment(
        repository=f"s3:{url}/{name}/x",
        password=s3.password,
        cloud={**s3.cloud, **{key: value for key, value in changes.items() if key in s3.cloud}},
        cache_dir=s3.cache_dir,
        options=s3.options,
    )
    hurried = dataclasses.replace(
        command.cat_config(no_lock=True, options=s3.options), answer_seconds=18 if "url" in changes else 6
    )
    finished = restic.run(hurried, wrong, StopToken())
    assert error_from(finished).reason is reason


def test_a_killed_process_takes_its_restic_along(real: ResticEnvironment, volume: Path, restic: Runner) -> None:
    with (volume / "big").open("wb") as file:
        file.truncate(ENDLESS_BYTES)
    arguments = [str(binary("restic")), real.repository, real.cache_dir, str(volume)]
    ours = subprocess.Popen(
        [sys.executable, "-c", BACKS_UP_UNTIL_KILLED, *arguments],
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        env={**os.environ, "TEST_PASSWORD": real.password.reveal()},
    )
    assert ours.stdout is not None
    with ours, ours.stdout as stdout:
        pid = int(stdout.readline())
        assert is_alive(pid)
        ours.send_signal(signal.SIGKILL)
        ours.wait()
    deadline = time.monotonic() + 15
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(pid)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
