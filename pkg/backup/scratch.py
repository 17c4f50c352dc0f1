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
    """A file that vanishes when it is closed; whatever the disk refuses becomes a ScratchError."""
    try:
        with tempfile.TemporaryFile(dir=directory, prefix="ark-", buffering=_BUFFER_BYTES) as file:
            yield cast(BinaryIO, file)
    except OSError as error:
        raise ScratchError(f"scratch directory {directory}: {error.strerror or error}") from error
