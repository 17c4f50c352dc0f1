"""Files without a name in the scratch directory; a killed process leaves nothing behind there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from pkg.backup.errors import ScratchError

_BUFFER_BYTES = 1 << 20


@contextmanager
def scratch_file(directory: Path) -> Iterator[BinaryIO]:
    """A file that vanishes when it is closed; ScratchError where the directory gives none."""
    with scratch_errors():
        file = tempfile.TemporaryFile(dir=directory, prefix="ark-", buffering=_BUFFER_BYTES)  # noqa: SIM115  # below
    try:
        yield cast(BinaryIO, file)
    finally:
        _discard(file)


@contextmanager
def scratch_errors() -> Iterator[None]:
    """Around reads and writes of scratch files: what the disk refuses becomes a ScratchError."""
    try:
        yield
    except OSError as error:
        raise scratch_error(error) from error


def scratch_error(error: OSError) -> ScratchError:
    """What the disk refused, in the words of a backup."""
    name = f" {error.filename}" if error.filename else ""
    return ScratchError(f"scratch directory{name}: {error.strerror or error}")


def _discard(file: object) -> None:
    """Closes a file whose contents do not matter any more, also where its last bytes find no room."""
    try:
        cast(BinaryIO, file).close()
    except OSError:
        return
