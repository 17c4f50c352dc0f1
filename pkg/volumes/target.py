"""Can a volume take what a snapshot holds? Asked before restic starts, so that what cannot end well never begins.

Sizes are compared only where both are known, and in favour of trying: a restore that is refused wrongly helps nobody,
and one that does not fit after all fails by itself.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pkg.apis.reasons import Reason
from pkg.apis.volumes import VolumeSize
from pkg.volumes.errors import VolumePathError

_PROBE = "user.ark-probe"
_ALWAYS_THERE = frozenset({"lost+found", ".snapshot"})
_COMPRESSING = frozenset({"btrfs", "zfs", "bcachefs", "f2fs"})
_OTHER_DATA = 2  # how much more than its contents a volume of one's own may have in use
_SLACK_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What a file system says of itself; 0 bytes in all means that it does not tell.

    Attributes:
        free_bytes: What root may still write.
    """

    total_bytes: int
    free_bytes: int
    read_only: bool


def space_of(directory: Path) -> Space:
    """The space of the file system that a directory is in."""
    found = os.statvfs(directory)
    return Space(
        total_bytes=found.f_blocks * found.f_frsize,
        free_bytes=found.f_bfree * found.f_frsize,
        read_only=bool(found.f_flag & os.ST_RDONLY),
    )


def used_bytes(directory: Path) -> int:
    """What is in use of the file system that a directory is in; 0 where it does not tell."""
    space = space_of(directory)
    return space.total_bytes - space.free_bytes


def check_target(directory: Path, size: VolumeSize | None, file_system: str = "") -> None:
    """Refuses a volume that cannot be filled.

    Args:
        directory: The volume's root.
        size: What is to come.
        file_system: Its type; empty where that is not known. One that compresses may hold more than it has.

    Raises:
        VolumePathError: TargetReadOnly, or TargetFull with both numbers.
    """
    space = space_of(directory)
    if space.read_only:
        raise VolumePathError(f"{directory} is mounted read-only", reason=Reason.TARGET_READ_ONLY)
    if file_system in _COMPRESSING:
        return
    lack = lack_of_room(space, needed_bytes(size), is_empty=_is_empty(directory))
    if lack:
        raise VolumePathError(f"{directory} {lack}", reason=Reason.TARGET_FULL)


def needed_bytes(size: VolumeSize | None) -> int:
    """How much room the contents take at least; 0 where that is not known.

    Of a sparse file most is not there, so what was in use of the volume counts where it is less than the files' sizes.
    A volume with much more in use shares its file system, which then tells nothing about holes.
    """
    if size is None or not size.used_bytes:
        return 0
    if size.used_bytes > _OTHER_DATA * size.bytes + _SLACK_BYTES:
        return 0
    return min(size.bytes, size.used_bytes)


def lack_of_room(space: Space, needed: int, *, is_empty: bool) -> str:
    """Why the contents do not fit, with both numbers; empty where they may.

    Files that are there already may be the same ones, so then all of the volume counts as room.
    """
    room = space.free_bytes if is_empty else space.total_bytes
    if not space.total_bytes or needed <= room:
        return ""
    kind = "free" if is_empty else "in all"
    return f"has {_text(room)} {kind}, and the snapshot needs {_text(needed)}"


def keeps_attributes(directory: Path) -> bool:
    """Whether the file system keeps extended attributes; restic says nothing where it keeps none."""
    try:
        os.setxattr(directory, _PROBE, b"1")
        os.removexattr(directory, _PROBE)
    except OSError:
        return False
    return True


def _is_empty(directory: Path) -> bool:
    with os.scandir(directory) as entries:
        return all(entry.name in _ALWAYS_THERE for entry in entries)


def _text(size: int) -> str:
    return f"{size / (1 << 20):,.1f} MiB ({size} bytes)"
