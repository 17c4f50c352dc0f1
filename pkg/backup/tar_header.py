"""Headers of a tarball's members, framed from a template: tarfile needs longer for one than gzip for its object.

A name that plain ustar cannot hold gets tarfile's own extended header, so every reader finds it.
"""

from __future__ import annotations

import tarfile

MODE = 0o755  # as 0.9 wrote it
_NAME_BYTES, _PREFIX_BYTES = 100, 155
_MAX_SIZE = 8**11 - 1
_AFTER_NAME = b"%07o\0" % MODE + b"0000000\0" * 2
_CHECKSUM_BLANK = b" " * 8
_AFTER_CHECKSUM = b"0" + bytes(100) + b"ustar\x0000" + bytes(64) + b"0000000\0" * 2
_FIXED_SUM = sum(_AFTER_NAME) + sum(_CHECKSUM_BLANK) + sum(_AFTER_CHECKSUM)


def member_header(name: str, *, size: int, mtime: int) -> bytes:
    """The blocks before a regular file's contents; `mtime` in seconds since the epoch."""
    split = _split(name.encode()) if name.isascii() and size <= _MAX_SIZE else None
    if split is None:
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, mtime, MODE
        return info.tobuf(tarfile.PAX_FORMAT)
    prefix, base = split
    numbers = b"%011o\0%011o\0" % (size, mtime)
    checksum = b"%06o\0 " % (_FIXED_SUM + sum(base) + sum(numbers) + sum(prefix))
    parts = (base.ljust(_NAME_BYTES, b"\0"), _AFTER_NAME, numbers, checksum, _AFTER_CHECKSUM)
    return b"".join((*parts, prefix.ljust(tarfile.BLOCKSIZE - 345, b"\0")))


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """(prefix, name) of ustar, parted at a slash; None where they do not fit."""
    if len(name) <= _NAME_BYTES:
        return b"", name
    at = name.rfind(b"/", 0, _PREFIX_BYTES + 1)
    if at <= 0 or not 0 < len(name) - at - 1 <= _NAME_BYTES:
        return None
    return name[:at], name[at + 1 :]
