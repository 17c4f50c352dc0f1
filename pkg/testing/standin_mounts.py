"""Bind mounts in our own mount namespace, by the system calls: a mount command each would be most of a pod's start."""

import ctypes
import os
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_MS_BIND = 4096
_OCTAL_ESCAPES = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}


def bind(source: Path, target: Path) -> None:
    """Show a directory at another place."""
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), None, _MS_BIND, None), target)


def unmount(target: Path) -> None:
    """Take a mount away; OSError with EBUSY while a process has a file or its working directory in it."""
    _check(_libc.umount2(os.fsencode(target), 0), target)


def _check(status: int, target: Path) -> None:
    if status:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def mount_points(below: Path) -> list[Path]:
    """Return what is mounted at or below a directory, the deepest first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = {Path(_unescaped(line.split(" ")[4])) for line in lines}
    return sorted((point for point in points if point.is_relative_to(below)), reverse=True)


def _unescaped(text: str) -> str:
    for escape, character in _OCTAL_ESCAPES.items():
        text = text.replace(escape, character)
    return text
