"""One contract for the fake and the real restic, and what only the real one can show, on a real S3."""

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pkg.apis.ark import StorageProvider
from pkg.apis.reasons import Reason
from pkg.apis.volumes import VolumeProgress
from pkg.kube.stop import StopToken
from pkg.objectstore.credentials import load_credentials
from pkg.objectstore.location import storage_location
from pkg.restic import command
from pkg.restic.classify import error_from
from pkg.restic.environment import ResticEnvironment, restic_environment
from pkg.restic.errors import (
    CancelledError,
    KilledError,
    NoProgressError,
    RepositoryMissingError,
    ResticError,
    ResticFailedError,
    SnapshotMissingError,
    WrongPasswordError,
)
from pkg.restic.password import Password, generate_password
from pkg.restic.preflight import check_version
from pkg.restic.repository import init_repository, open_repository
from pkg.restic.runner import ResticRunner, Runner
from pkg.restic.transfer import (
    BackupRequest,
    RestoreRequest,
    backup_volume,
    find_snapshot_by_tag,
    restore_volume,
)
from pkg.testing.assets import REPOSITORY, binary
from pkg.testing.fakerestic import FakeRestic
from pkg.testing.minio import Minio

PASSWORD = Password(generate_password())
MIB = 1 << 20


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


def contents(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


# The contract


def test_a_volume_comes_back_as_it_was(runner: ResticRunner, s3: ResticEnvironment, volume: Path, target: Path) -> None:
    stop, seen = StopToken(), list[VolumeProgress]()
    init_repository(runner, s3, stop)
    request = BackupRequest(directory=str(volume), tags={"pvb-uid": "1", "backup": "b"})
    made = backup_volume(runner, request, s3, stop, seen.append)
    assert len(made.snapshot_id) == 64
    assert (made.files, made.bytes, made.unread_files) == (2, 19, 0)
    restore_volume(runner, RestoreRequest(snapshot_id=made.snapshot_id, target=str(target)), s3, stop)
    assert contents(target) == contents(volume)


def test_a_repository_answers_with_the_id_it_was_made_with(runner: ResticRunner, s3: ResticEnvironment) -> None:
    made = init_repository(runner, s3, StopToken())
    assert len(made) == 64
    assert open_repository(runner, s3, StopToken()) == made


def test_a_missing_repository_is_told_from_all_else(runner: ResticRunner, s3: ResticEnvironment) -> None:
    with pytest.raises(RepositoryMissingError) as caught:
        open_repository(runner, s3, StopToken())
    assert (caught.value.exit_code, caught.value.reason) == (10, Reason.REPOSITORY_MISSING)


def test_a_wrong_password_is_told_from_all_else(runner: ResticRunner, local: ResticEnvironment) -> None:
    init_repository(runner, local, StopToken())
    wrong = ResticEnvironment(repository=local.repository, password=Password("no"), cache_dir=local.cache_dir)
    with pytest.raises(WrongPasswordError) as caught:
        open_repository(runner, wrong, StopToken())
    assert caught.value.reason is Reason.WRONG_PASSWORD


def test_a_repository_is_not_made_twice(runner: ResticRunner, local: ResticEnvironment) -> None:
    made = init_repository(runner, local, StopToken())
    with pytest.raises(ResticFailedError, match="already"):
        init_repository(runner, local, StopToken())
    assert open_repository(runner, local, StopToken()) == made


def test_an_empty_volume_is_captured_and_restored_empty(
    runner: ResticRunner, local: ResticEnvironment, tmp_path: Path, target: Path
) -> None:
    (tmp_path / "empty" / "lost+found").mkdir(parents=True)
    init_repository(runner, local, StopToken())
    request = BackupRequest(directory=str(tmp_path / "empty"), tags={"a": "b"})
    made = backup_volume(runner, request, local, StopToken())
    restore_volume(runner, RestoreRequest(snapshot_id=made.snapshot_id, target=str(target)), local, StopToken())
    assert list(target.iterdir()) == []


def test_a_volume_that_is_no_longer_empty_has_an_empty_parent(
    runner: ResticRunner, local: ResticEnvironment, tmp_path: Path
) -> None:
    volume = tmp_path / "empty"
    volume.mkdir()
    init_repository(runner, local, StopToken())
    first = backup_volume(runner, BackupRequest(directory=str(volume), tags={}), local, StopToken())
    (volume / "new").write_text("new")
    request = BackupRequest(directory=str(volume), tags={}, parent=first.snapshot_id)
    assert backup_volume(runner, request, local, StopToken()).files == 1


def test_a_parent_that_is_gone_is_recognised(runner: ResticRunner, local: ResticEnvironment, volume: Path) -> None:
    init_repository(runner, local, StopToken())
    with pytest.raises(SnapshotMissingError):
        backup_volume(runner, BackupRequest(directory=str(volume), tags={}, parent="0" * 64), local, StopToken())


def test_a_snapshot_that_is_gone_is_recognised(runner: ResticRunner, local: ResticEnvironment, target: Path) -> None:
    init_repository(runner, local, StopToken())
    with pytest.raises(SnapshotMissingError):
        restore_volume(runner, RestoreRequest(snapshot_id="0" * 64, target=str(target)), local, StopToken())


def test_a_snapshot_of_0_9_is_found_by_its_8_digits(
    runner: ResticRunner, local: ResticEnvironment, volume: Path, target: Path
) -> None:
    init_repository(runner, local, StopToken())
    made = backup_volume(runner, BackupRequest(directory=str(volume), tags={}), local, StopToken())
    restore_volume(runner, RestoreRequest(snapshot_id=made.snapshot_id[:8], target=str(target)), local, StopToken())
    assert contents(target) == contents(volume)


def test_the_newest_snapshot_with_all_tags_is_found(
    runner: ResticRunner, local: ResticEnvironment, volume: Path
) -> None:
    init_repository(runner, local, StopToken())
    for tags in ({"pvb-uid": "1", "x": "1"}, {"pvb-uid": "2", "x": "1"}, {"pvb-uid": "1", "x": "1"}):
        made = backup_volume(runner, BackupRequest(directory=str(volume), tags=tags), local, StopToken())
    found = find_snapshot_by_tag(runner, local, {"x": "1", "pvb-uid": "1"}, StopToken())
    assert found is not None
    assert found.id == made.snapshot_id
    assert find_snapshot_by_tag(runner, local, {"x": "1", "pvb-uid": "3"}, StopToken()) is None


def test_a_call_that_is_stopped_before_it_starts_is_cancelled(
    runner: ResticRunner, local: ResticEnvironment, volume: Path
) -> None:
    init_repository(runner, local, StopToken())
    stop = StopToken()
    stop.cancel(Reason.POD_DELETED)
    with pytest.raises(CancelledError) as caught:
        backup_volume(runner, BackupRequest(directory=str(volume), tags={}), local, stop)
    assert caught.value.reason is Reason.POD_DELETED


def test_the_version_is_new_enough(runner: ResticRunner) -> None:
    assert check_version(runner) == "0.19.1"


# Only the real restic


def test_all_that_a_file_has_comes_back(restic: Runner, local: ResticEnvironment, volume: Path, target: Path) -> None:
    os.link(volume / "file", volume / "deep" / "hard-link")
    (volume / "soft-link").symlink_to("nowhere")
    os.setxattr(volume / "file", "user.note", b"kept")
    os.mkfifo(volume / "fifo")
    with (volume / "holes").open("wb") as file:
        file.truncate(64 * MIB)
        file.seek(48 * MIB)
        file.write(b"x")
    (volume / "file").chmod(0o4751)
    if os.geteuid() == 0:
        os.chown(volume / "file", 1234, 5678)
        (volume / "file").chmod(0o4751)
    for name in ("file", "deep/er"):
        os.utime(volume / name, ns=(1, 981173106123456789))
    init_repository(restic, local, StopToken())
    made = backup_volume(restic, BackupRequest(directory=str(volume), tags={}), local, StopToken())
    restore_volume(restic, RestoreRequest(snapshot_id=made.snapshot_id, target=str(target)), local, StopToken())
    for name in ("file", "deep", "deep/er", "deep/er/other", "soft-link", "fifo", "holes"):
        before, after = os.lstat(volume / name), os.lstat(target / name)
        assert (after.st_mode, after.st_uid, after.st_gid, after.st_nlink) == (
            before.st_mode,
            before.st_uid,
            before.st_gid,
            before.st_nlink,
        )
        assert after.st_size == before.st_size or name.startswith("deep")
        assert after.st_mtime_ns == before.st_mtime_ns
    assert os.stat(target / "file").st_ino == os.stat(target / "deep" / "hard-link").st_ino
    assert os.getxattr(target / "file", "user.note") == b"kept"
    assert os.stat(target / "holes").st_blocks * 512 < MIB


@pytest.fixture
def restic_that_obeys_modes(tmp_path: Path) -> Runner:
    """Even as root: without the capabilities that let root read everything."""
    if os.geteuid() != 0:
        return Runner(binary=str(binary("restic")), base=os.environ)
    script = tmp_path / "restic"
    caps = "-dac_override,-dac_read_search"
    script.write_text(f'#!/bin/sh\nexec setpriv --bounding-set {caps} -- {binary("restic")} "$@"\n')
    script.chmod(0o755)
    return Runner(binary=str(script), base=os.environ)


def test_unread_files_degrade_the_snapshot_and_count_once(
    restic_that_obeys_modes: Runner, local: ResticEnvironment, volume: Path, target: Path
) -> None:
    restic = restic_that_obeys_modes
    for number in range(25):
        (volume / f"secret{number:02}").write_text("unreadable")
        (volume / f"secret{number:02}").chmod(0)
    (volume / "closed").mkdir(mode=0)
    init_repository(restic, local, StopToken())
    made = backup_volume(restic, BackupRequest(directory=str(volume), tags={}), local, StopToken())
    (volume / "closed").chmod(0o755)
    assert made.unread_files == 26
    assert len(made.unread_paths) == 20
    assert set(made.unread_paths) < {"closed", *(f"secret{number:02}" for number in range(25))}
    restore_volume(restic, RestoreRequest(snapshot_id=made.snapshot_id, target=str(target)), local, StopToken())
    assert set(contents(target)) == {"file", "deep/er/other"}


def test_only_what_is_excluded_is_missing(restic: Runner, local: ResticEnvironment, volume: Path, target: Path) -> None:
    for name in ("lost+found/a", "deep/lost+found/b", "cache/c", "deep/cache/d", "tagged/e", "tagged/CACHEDIR.TAG"):
        (volume / name).parent.mkdir(exist_ok=True)
        (volume / name).write_text(name)
    (volume / "tagged" / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55")
    (volume / "x.tmp").write_text("")
    init_repository(restic, local, StopToken())
    request = BackupRequest(directory=str(volume), tags={}, excludes=("/cache", "*.tmp"))
    made = backup_volume(restic, request, local, StopToken())
    restore_volume(restic, RestoreRequest(snapshot_id=made.snapshot_id, target=str(target)), local, StopToken())
    assert set(contents(target)) == {
        "file",
        "deep/er/other",
        "deep/lost+found/b",
        "deep/cache/d",
        "tagged/CACHEDIR.TAG",
    }


def test_a_parent_spares_reading_a_volume_that_moved(
    restic: Runner, local: ResticEnvironment, volume: Path, tmp_path: Path
) -> None:
    init_repository(restic, local, StopToken())
    first = backup_volume(restic, BackupRequest(directory=str(volume), tags={}), local, StopToken())
    moved = volume.rename(tmp_path / "elsewhere")
    request = BackupRequest(directory=str(moved), tags={}, parent=first.snapshot_id)
    again = backup_volume(restic, request, local, StopToken())
    assert (again.files, again.bytes_added) == (2, 0)


def test_a_locked_repository_is_told_from_all_else(restic: Runner, local: ResticEnvironment, volume: Path) -> None:
    init_repository(restic, local, StopToken())
    big = volume / "big"
    with big.open("wb") as file:
        file.truncate(2048 * MIB)
    stop, thread_error = StopToken(), list[ResticError]()

    def keep_busy() -> None:
        try:
            backup_volume(restic, BackupRequest(directory=str(volume), tags={}), local, stop)
        except ResticError as error:
            thread_error.append(error)

    thread = threading.Thread(target=keep_busy)
    thread.start()
    try:
        wait_for(lambda: list(Path(local.repository, "locks").iterdir()))
        finished = restic.run(command.Command(verb="prune", arguments=("prune", "--json")), local, StopToken())
        assert finished.exit_code == 11
    finally:
        stop.cancel(Reason.CANCELED)
        thread.join(30)
    assert isinstance(thread_error[0], CancelledError)
    assert thread_error[0].reason is Reason.CANCELED
    assert list(Path(local.repository, "locks").iterdir()) == [], "restic gave its lock back"


def wait_for(predicate: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not predicate():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def test_a_child_that_is_killed_is_said_to_be(restic: Runner, local: ResticEnvironment, volume: Path) -> None:
    init_repository(restic, local, StopToken())
    with (volume / "big").open("wb") as file:
        file.truncate(4096 * MIB)

    def kill_the_first() -> None:
        wait_for(restic.running)
        restic.kill(restic.running()[0].pid)

    killer = threading.Thread(target=kill_the_first)
    killer.start()
    with pytest.raises(KilledError) as caught:
        backup_volume(restic, BackupRequest(directory=str(volume), tags={}), local, StopToken())
    killer.join()
    assert (caught.value.exit_code, caught.value.reason) == (137, Reason.OUT_OF_MEMORY)
    assert restic.running() == ()


def test_a_backend_that_is_silent_ends_at_the_no_progress_deadline(
    s3: ResticEnvironment, volume: Path, restic: Runner
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        silent = ResticEnvironment(
            repository=f"s3:http://127.0.0.1:{server.getsockname()[1]}/bucket/x",
            password=PASSWORD,
            cloud=s3.cloud,
            cache_dir=s3.cache_dir,
            options=s3.options,
        )
        impatient = Runner(binary=str(binary("restic")), base=os.environ, no_progress_seconds=1, grace=lambda reason: 1)
        started = time.monotonic()
        with pytest.raises(NoProgressError) as caught:
            backup_volume(impatient, BackupRequest(directory=str(volume), tags={}), silent, StopToken())
        assert 1 <= time.monotonic() - started < 10
    assert caught.value.reason is Reason.NO_PROGRESS


def test_progress_is_reported_while_it_runs(restic: Runner, local: ResticEnvironment, volume: Path) -> None:
    init_repository(restic, local, StopToken())
    with (volume / "big").open("wb") as file:
        file.truncate(2048 * MIB)
    seen = list[VolumeProgress]()
    backup_volume(restic, BackupRequest(directory=str(volume), tags={}), local, StopToken(), seen.append)
    assert any(0 < progress.bytes_done < progress.total_bytes for progress in seen)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "small"
    directory.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", directory], stderr=subprocess.DEVNULL)
    if mounted.returncode:
        pytest.skip("mounting needs root")
    yield directory
    subprocess.run(["umount", directory], check=True)


def test_a_full_target_fails_the_restore_whatever_the_summary_says(
    restic: Runner, local: ResticEnvironment, volume: Path, small_disk: Path
) -> None:
    (volume / "big").write_bytes(os.urandom(8 * MIB))
    init_repository(restic, local, StopToken())
    made = backup_volume(restic, BackupRequest(directory=str(volume), tags={}), local, StopToken())
    with pytest.raises(ResticFailedError) as caught:
        restore_volume(restic, RestoreRequest(snapshot_id=made.snapshot_id, target=str(small_disk)), local, StopToken())
    assert caught.value.reason is Reason.TARGET_UNUSABLE


def test_nothing_secret_is_seen_from_outside(restic: Runner, s3: ResticEnvironment, volume: Path, minio: Minio) -> None:
    init_repository(restic, s3, StopToken())
    with (volume / "big").open("wb") as file:
        file.truncate(1024 * MIB)
    seen = list[str]()

    def look() -> None:
        wait_for(restic.running)
        seen.append(Path(f"/proc/{restic.running()[0].pid}/cmdline").read_text())

    thread = threading.Thread(target=look)
    thread.start()
    backup_volume(restic, BackupRequest(directory=str(volume), tags={"a": "b"}), s3, StopToken())
    thread.join()
    text = seen[0] + repr(s3) + repr(PASSWORD) + str(PASSWORD)
    assert "backup" in seen[0]
    assert PASSWORD.reveal() not in text
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
        password=PASSWORD,
        cloud={**s3.cloud, **{key: value for key, value in changes.items() if key in s3.cloud}},
        cache_dir=s3.cache_dir,
        options=s3.options,
    )
    hurried = dataclasses.replace(
        command.cat_config(no_lock=True, options=s3.options), answer_seconds=12 if "url" in changes else 3
    )
    finished = restic.run(hurried, wrong, StopToken())
    assert error_from(finished).reason is reason


def test_a_killed_process_takes_its_restic_along_within_a_second(
    local: ResticEnvironment, volume: Path, restic: Runner
) -> None:
    init_repository(restic, local, StopToken())
    with (volume / "big").open("wb") as file:
        file.truncate(8192 * MIB)
    script = textwrap.dedent(
        """
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
    )
    arguments = [str(binary("restic")), local.repository, local.cache_dir, str(volume)]
    ours = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        env={**os.environ, "TEST_PASSWORD": PASSWORD.reveal()},
    )
    assert ours.stdout is not None
    with ours, ours.stdout as stdout:
        pid = int(stdout.readline())
        assert is_alive(pid)
        ours.send_signal(signal.SIGKILL)
        ours.wait()
    deadline = time.monotonic() + 1
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(pid)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
