"""Whether a volume can take what a snapshot holds, told in favour of trying."""

from pathlib import Path

import pytest

from pkg.apis.volumes import VolumeSize
from pkg.volumes.errors import VolumePathError
from pkg.volumes.target import Space, check_target, lack_of_room, needed_bytes, space_of, used_bytes

GIB = 1 << 30


def size(*, contents: int, used: int) -> VolumeSize:
    return VolumeSize(files=1, bytes=contents, used_bytes=used)


@pytest.mark.parametrize(
    ("known", "needed"),
    [
        pytest.param(None, 0, id="a snapshot of 0.9"),
        pytest.param(size(contents=9 * GIB, used=0), 0, id="of a shared file system, nothing is known of holes"),
        pytest.param(size(contents=9 * GIB, used=10 * GIB), 9 * GIB, id="an ordinary volume"),
        pytest.param(size(contents=100 * GIB, used=2 * GIB), 2 * GIB, id="sparse files"),
        pytest.param(size(contents=2 * GIB, used=500 * GIB), 0, id="an export shared with others"),
        pytest.param(size(contents=1000, used=50 << 20), 1000, id="nearly empty, but for what the file system needs"),
        pytest.param(size(contents=0, used=1 << 20), 0, id="empty"),
    ],
)
def test_the_room_that_is_needed(known: VolumeSize | None, needed: int) -> None:
    assert needed_bytes(known) == needed


@pytest.mark.parametrize(
    ("free", "total", "needed", "is_empty", "lack"),
    [
        pytest.param(3, 4, 2, True, "", id="room enough"),
        pytest.param(3, 4, 3, True, "", id="just enough"),
        pytest.param(3, 8, 4, True, "has 3,072.0 MiB (3221225472 bytes) free, and", id="too little"),
        pytest.param(1, 8, 7, False, "", id="the files there may be the same"),
        pytest.param(1, 8, 9, False, "has 8,192.0 MiB (8589934592 bytes) in all, and", id="more than the volume"),
        pytest.param(0, 0, 9, True, "", id="a file system that does not tell"),
    ],
)
def test_a_lack_of_room_is_told_with_both_numbers(
    free: int, total: int, needed: int, is_empty: bool, lack: str
) -> None:
    space = Space(total_bytes=total * GIB, free_bytes=free * GIB, read_only=False)
    found = lack_of_room(space, needed * GIB, is_empty=is_empty)
    assert found.startswith(lack)
    assert bool(found) == bool(lack)
    assert f"{needed * GIB} bytes" in found or not lack


def test_a_directory_with_room_is_let_through(tmp_path: Path) -> None:
    check_target(tmp_path, VolumeSize(files=1, bytes=1, used_bytes=1))


def test_what_is_used_and_what_is_free_is_all(tmp_path: Path) -> None:
    space = space_of(tmp_path)
    assert 0 < space.free_bytes < space.total_bytes
    assert 0 < used_bytes(tmp_path) < space.total_bytes


def test_a_file_system_that_compresses_may_hold_more_than_it_has(tmp_path: Path) -> None:
    huge = VolumeSize(files=1, bytes=1 << 60, used_bytes=1 << 60)
    check_target(tmp_path, huge, "zfs")
    with pytest.raises(VolumePathError):
        check_target(tmp_path, huge, "ext4")
