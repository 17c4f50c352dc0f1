"""Volumes that cannot take everything: what the real restic says, and what we make of it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pkg.apis.reasons import Reason
from pkg.apis.volumes import VolumeProgress, VolumeSize
from pkg.kube.stop import StopToken
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import ResticFailedError
from pkg.restic.password import Password
from pkg.restic.restoration import RestoreRequest, RestoreSummary, restore_volume
from pkg.restic.runner import Runner
from pkg.restic.transfer import BackupRequest, backup_volume
from pkg.testing.assets import binary
from pkg.testing.directories import contents
from pkg.volumes.errors import VolumePathError
from pkg.volumes.target import check_target, keeps_attributes

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
FOREIGN_FILES = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """A snapshot that no test changes, and the volume it was made of."""

    environment: ResticEnvironment
    snapshot_id: str
    volume: Path
    size: VolumeSize


@pytest.fixture(scope="session")
def captured(
    repository_of_the_real_restic: Path, repository_password: Password, tmp_path_factory: pytest.TempPathFactory
) -> Captured:
    directory = tmp_path_factory.mktemp("captured")
    volume = directory / "volume"
    (volume / "deep").mkdir(parents=True)
    for number in range(FOREIGN_FILES):
        (volume / "deep" / f"{number:02}").write_text(f"file {number}")
        if os.geteuid() == 0:
            os.chown(volume / "deep" / f"{number:02}", 1234, 5678)
    (volume / "file").write_bytes(b"content" * 1000)
    (volume / "link").symlink_to("file")
    shutil.copytree(repository_of_the_real_restic, directory / "repository")
    environment = ResticEnvironment(
        repository=str(directory / "repository"), password=repository_password, cache_dir=str(directory / "cache")
    )
    runner = Runner(binary=str(binary("restic")), base=os.environ)
    made = backup_volume(runner, BackupRequest(directory=str(volume), tags={}), environment, StopToken())
    size = VolumeSize(files=made.files, bytes=made.bytes, used_bytes=made.bytes)
    return Captured(environment=environment, snapshot_id=made.snapshot_id, volume=volume, size=size)


def restore(runner: Runner, captured: Captured, target: Path, *, expected_files: int | None = None) -> RestoreSummary:
    expected = captured.size.files if expected_files is None else expected_files
    request = RestoreRequest(snapshot_id=captured.snapshot_id, target=str(target), expected_files=expected)
    return restore_volume(runner, request, captured.environment, StopToken())


@pytest.fixture
def restic_without(tmp_path: Path, request: pytest.FixtureRequest) -> Runner:
    """Give the test a restic that is root and lacks a capability, as behind NFS with root squash."""
    script = tmp_path / "restic"
    script.write_text(f'#!/bin/sh\nexec setpriv --bounding-set -{request.param} -- {binary("restic")} "$@"\n')
    script.chmod(0o755)
    return Runner(binary=str(script), base=os.environ)


@as_root
@pytest.mark.parametrize("restic_without", ["chown"], indirect=True)
def test_owners_that_cannot_be_set_are_counted_and_the_contents_are_there(
    restic_without: Runner, captured: Captured, target: Path
) -> None:
    made = restore(restic_without, captured, target)
    assert contents(target) == contents(captured.volume)
    assert made.metadata.count == FOREIGN_FILES
    assert len(made.metadata.paths) == 20
    assert set(made.metadata.paths) < {f"/deep/{number:02}" for number in range(FOREIGN_FILES)}
    assert made.metadata.first.startswith(f"lchown {target}/deep/")


@as_root
def test_a_file_that_cannot_be_opened_is_no_matter_of_metadata(
    restic: Runner, captured: Captured, target: Path
) -> None:
    (target / "file").write_text("not to be changed")
    if subprocess.run(["chattr", "+i", target / "file"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("the file system knows no immutable files")
    try:
        with pytest.raises(ResticFailedError, match="/file: chmod") as caught:
            restore(restic, captured, target)
    finally:
        subprocess.run(["chattr", "-i", target / "file"], check=True)
    assert caught.value.exit_code == 1


def test_what_is_there_is_made_like_the_snapshot_and_what_is_not_in_it_stays(
    restic: Runner, captured: Captured, target: Path
) -> None:
    (target / "file").write_text("other")
    (target / "more").write_text("not in the snapshot")
    restore(restic, captured, target)
    assert contents(target) == {**contents(captured.volume), "more": b"not in the snapshot"}
    again = restore(restic, captured, target)  # everything is there: restic counts it apart
    assert again.files == FOREIGN_FILES + 3
    assert again.bytes == captured.size.bytes


def test_a_directory_in_the_place_of_a_file_fails_the_restore(restic: Runner, captured: Captured, target: Path) -> None:
    (target / "file" / "below").mkdir(parents=True)
    with pytest.raises(ResticFailedError, match=r"one error: /file: remove .*: directory not empty"):
        restore(restic, captured, target)


def test_a_snapshot_with_fewer_files_than_the_backup_counted_is_never_enough(
    restic: Runner, captured: Captured, target: Path
) -> None:
    with pytest.raises(ResticFailedError, match="the backup counted 100 files, the snapshot gave 28") as caught:
        restore(restic, captured, target, expected_files=100)
    assert caught.value.reason is Reason.RESTORE_INCOMPLETE


def test_a_damaged_snapshot_is_told_from_a_bad_volume(
    restic: Runner, captured: Captured, target: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(captured.environment.repository, damaged)
    for pack in (damaged / "data").rglob("*"):
        if pack.is_file():
            pack.chmod(0o600)
            data = bytearray(pack.read_bytes())
            data[20] ^= 1
            pack.write_bytes(data)
    environment = ResticEnvironment(
        repository=str(damaged), password=captured.environment.password, cache_dir=str(tmp_path / "cache")
    )
    request = RestoreRequest(snapshot_id=captured.snapshot_id, target=str(target))
    with pytest.raises(ResticFailedError) as caught:
        restore_volume(restic, request, environment, StopToken())
    assert caught.value.reason is Reason.BACKUP_DAMAGED


def test_the_progress_of_a_restore_never_exceeds_its_totals(restic: Runner, captured: Captured, target: Path) -> None:
    seen: list[VolumeProgress] = []
    shutil.copytree(captured.volume, target, dirs_exist_ok=True, symlinks=True)
    request = RestoreRequest(snapshot_id=captured.snapshot_id, target=str(target))
    restore_volume(restic, request, captured.environment, StopToken(), seen.append)
    assert all(one.bytes_done <= one.total_bytes and one.files_done <= one.total_files for one in seen)


@pytest.fixture
def mounted(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    directory = tmp_path / "mounted"
    directory.mkdir()
    kind, options = request.param
    command = ["mount", "-t", kind, "-o", options, "none", directory]
    if subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("mounting needs root")
    yield directory
    subprocess.run(["umount", directory], check=True)


@pytest.mark.parametrize("mounted", [("tmpfs", "ro")], indirect=True)
def test_a_read_only_volume_is_refused_and_would_fail(restic: Runner, captured: Captured, mounted: Path) -> None:
    with pytest.raises(VolumePathError) as refused:
        check_target(mounted, captured.size)
    with pytest.raises(ResticFailedError) as failed:
        restore(restic, captured, mounted)
    assert (refused.value.reason, failed.value.reason) == (Reason.TARGET_READ_ONLY, Reason.TARGET_READ_ONLY)


@pytest.mark.parametrize("mounted", [("tmpfs", "size=4m")], indirect=True)
def test_a_volume_that_is_too_small_is_refused_with_both_numbers(mounted: Path) -> None:
    with pytest.raises(VolumePathError, match=r"4\.0 MiB .* free, .* needs 8\.0 MiB") as caught:
        check_target(mounted, VolumeSize(files=1, bytes=8 << 20, used_bytes=8 << 20))
    assert caught.value.reason is Reason.TARGET_FULL
    check_target(mounted, VolumeSize(files=1, bytes=1 << 40, used_bytes=1 << 20))  # sparse: most of it is not there


@pytest.mark.parametrize("mounted", [("ramfs", "mode=0755")], indirect=True)
def test_a_file_system_that_keeps_no_attributes_is_known_though_restic_says_nothing(mounted: Path) -> None:
    assert not keeps_attributes(mounted)
    check_target(mounted, VolumeSize(files=1, bytes=8 << 20, used_bytes=8 << 20))  # it does not tell its size
