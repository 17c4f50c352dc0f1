"""What the real restic keeps of a volume, and what it says about what it cannot keep."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkg.apis.reasons import Reason
from pkg.kube.stop import StopToken
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import (
    ResticFailedError,
)
from pkg.restic.restoration import RestoreRequest, restore_volume
from pkg.restic.runner import Runner
from pkg.restic.transfer import (
    BackupRequest,
    BackupSummary,
    backup_volume,
)
from pkg.testing.assets import binary
from pkg.testing.directories import contents

MIB = 1 << 20


def whole(made: BackupSummary, target: Path) -> RestoreRequest:
    """A restore that must bring as many files as the backup counted."""
    return RestoreRequest(snapshot_id=made.snapshot_id, target=str(target), expected_files=made.files)


def test_all_that_a_file_has_comes_back(restic: Runner, real: ResticEnvironment, volume: Path, target: Path) -> None:
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
    made = backup_volume(restic, BackupRequest(directory=str(volume), tags={}), real, StopToken())
    restore_volume(restic, whole(made, target), real, StopToken())
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
    restic_that_obeys_modes: Runner, real: ResticEnvironment, volume: Path, target: Path
) -> None:
    restic = restic_that_obeys_modes
    for number in range(25):
        (volume / f"secret{number:02}").write_text("unreadable")
        (volume / f"secret{number:02}").chmod(0)
    (volume / "closed").mkdir(mode=0)
    made = backup_volume(restic, BackupRequest(directory=str(volume), tags={}), real, StopToken())
    (volume / "closed").chmod(0o755)
    assert made.unread_files == 26
    assert len(made.unread_paths) == 20
    assert set(made.unread_paths) < {"closed", *(f"secret{number:02}" for number in range(25))}
    restore_volume(restic, whole(made, target), real, StopToken())
    assert set(contents(target)) == {"file", "deep/er/other"}


def test_only_what_is_excluded_is_missing(restic: Runner, real: ResticEnvironment, volume: Path, target: Path) -> None:
    for name in ("lost+found/a", "deep/lost+found/b", "cache/c", "deep/cache/d", "tagged/e", "tagged/CACHEDIR.TAG"):
        (volume / name).parent.mkdir(exist_ok=True)
        (volume / name).write_text(name)
    (volume / "tagged" / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55")
    (volume / "x.tmp").write_text("")
    request = BackupRequest(directory=str(volume), tags={}, excludes=("/cache", "*.tmp"))
    made = backup_volume(restic, request, real, StopToken())
    restore_volume(restic, whole(made, target), real, StopToken())
    assert set(contents(target)) == {
        "file",
        "deep/er/other",
        "deep/lost+found/b",
        "deep/cache/d",
        "tagged/CACHEDIR.TAG",
    }


def test_a_parent_spares_reading_a_volume_that_moved(
    restic: Runner, real: ResticEnvironment, volume: Path, tmp_path: Path
) -> None:
    first = backup_volume(restic, BackupRequest(directory=str(volume), tags={}), real, StopToken())
    moved = volume.rename(tmp_path / "elsewhere")
    request = BackupRequest(directory=str(moved), tags={}, parent=first.snapshot_id)
    again = backup_volume(restic, request, real, StopToken())
    assert (again.files, again.bytes_added) == (2, 0)


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
    restic: Runner, real: ResticEnvironment, volume: Path, small_disk: Path
) -> None:
    (volume / "big").write_bytes(os.urandom(8 * MIB))
    made = backup_volume(restic, BackupRequest(directory=str(volume), tags={}), real, StopToken())
    with pytest.raises(ResticFailedError) as caught:
        restore_volume(restic, RestoreRequest(snapshot_id=made.snapshot_id, target=str(small_disk)), real, StopToken())
    assert caught.value.reason is Reason.TARGET_FULL
    assert "/big: write" in caught.value.message
