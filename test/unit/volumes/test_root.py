"""The metadata of a root directory is kept and given back."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from pkg.volumes.root import apply_root, read_root

MTIME_NS = 1_541_671_200_123_456_789


@pytest.fixture
def original(tmp_path: Path) -> Path:
    directory = tmp_path / "original"
    directory.mkdir()
    directory.chmod(0o2775)
    os.utime(directory, ns=(0, MTIME_NS))
    return directory


def with_attribute(directory: Path) -> None:
    try:
        os.setxattr(directory, "user.ark", b"\x00value")
    except OSError:
        pytest.skip("the file system has no extended attributes")


def test_what_was_read_is_applied(original: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "file").touch()
    assert apply_root(target, read_root(original)) == []
    found = target.stat()
    assert (found.st_mode & 0o7777, found.st_mtime_ns) == (0o2775, MTIME_NS)
    assert read_root(target) == read_root(original)


def test_extended_attributes_are_kept(original: Path, tmp_path: Path) -> None:
    with_attribute(original)
    target = tmp_path / "target"
    target.mkdir()
    assert apply_root(target, read_root(original)) == []
    assert os.getxattr(target, "user.ark") == b"\x00value"
    assert target.stat().st_mtime_ns == read_root(original).mtime_ns


def test_what_cannot_be_set_is_told_and_the_rest_is_set(original: Path) -> None:
    root = msgspec.structs.replace(read_root(original), xattrs={"nonsense.ark": "YQ=="}, mode=0o700)
    (failure,) = apply_root(original, root)
    assert failure.startswith("attribute nonsense.ark: ")
    assert (original.stat().st_mode & 0o7777, original.stat().st_mtime_ns) == (0o700, MTIME_NS)


def test_a_link_in_place_of_the_root_is_refused(original: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(original)
    with pytest.raises(OSError, match="link"):
        read_root(tmp_path / "link")
