"""Owner, mode, mtime and extended attributes of a volume's root directory.

restic runs inside the root and so keeps everything but the root itself. Without this a database finds its data
directory with the wrong owner or mode after a restore and refuses to start.
"""

from __future__ import annotations

import base64
import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pkg.apis.volumes import RootMetadata

# The label belongs to the node's policy and the new pod, not to the data; the kubelet sets it.
_NOT_KEPT = frozenset({"security.selinux"})
_NO_XATTRS = frozenset({errno.ENOTSUP, errno.ENOSYS, errno.EPERM})


def read_root(path: Path) -> RootMetadata:
    """The metadata of a directory; a file system without extended attributes has none."""
    with _directory(path) as handle:
        found = os.fstat(handle)
        return RootMetadata(
            uid=found.st_uid,
            gid=found.st_gid,
            mode=stat.S_IMODE(found.st_mode),
            mtime_ns=found.st_mtime_ns,
            xattrs=_xattrs(handle) or None,
        )


def apply_root(path: Path, root: RootMetadata) -> list[str]:
    """Gives a directory that metadata and returns what could not be set, one text each.

    To be called after the contents are there: the mtime is set last, and whatever is written later changes it.
    """
    failures: list[str] = []
    with _directory(path) as handle:
        _attempt(failures, f"owner {root.uid}:{root.gid}", lambda: os.fchown(handle, root.uid, root.gid))
        _attempt(failures, f"mode {root.mode:04o}", lambda: os.fchmod(handle, root.mode))
        for name, value in sorted((root.xattrs or {}).items()):
            _attempt(failures, f"attribute {name}", partial(_set_xattr, handle, name, value))
        atime_ns = os.fstat(handle).st_atime_ns
        _attempt(failures, "mtime", lambda: os.utime(handle, ns=(atime_ns, root.mtime_ns)))
    return failures


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def _xattrs(handle: int) -> dict[str, str]:
    try:
        names = [name for name in os.listxattr(handle) if name not in _NOT_KEPT]
        return {name: base64.b64encode(os.getxattr(handle, name)).decode() for name in names}
    except OSError as error:
        if error.errno in _NO_XATTRS:
            return {}
        raise


def _set_xattr(handle: int, name: str, value: str) -> None:
    os.setxattr(handle, name, base64.b64decode(value))


def _attempt(failures: list[str], what: str, act: Callable[[], None]) -> None:
    try:
        act()
    except OSError as error:
        failures.append(f"{what}: {error.strerror}")
