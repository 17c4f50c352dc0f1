"""The log of one restore, which `ark restore logs` shows: logfmt lines in a gzip file on scratch space.

A disk that is full costs lines of the log and not the restore.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import tempfile
from collections.abc import Callable
from types import TracebackType
from typing import IO, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

_PROCESSORS: list[Processor] = [
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    structlog.processors.EventRenamer("msg"),
    structlog.processors.LogfmtRenderer(key_order=["time", "level", "msg"], bool_as_flag=False),
]


class RestoreLog:
    """A log on disk; `logger` writes to it, `packed` gives the gzip file once it is complete."""

    def __init__(self, restore: str, scratch_dir: str | None) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=scratch_dir)  # noqa: SIM115  # closed by __exit__
        self._gzip = gzip.GzipFile(fileobj=self._file, mode="wb", compresslevel=1)
        # Not written through: gzip takes a hundred lines at once quicker than one by one.
        self._text = io.TextIOWrapper(self._gzip, encoding="utf-8", errors="replace")
        logger = structlog.wrap_logger(
            _Lines(self._write),
            processors=_PROCESSORS,
            wrapper_class=structlog.make_filtering_bound_logger("info"),
            cache_logger_on_first_use=False,
        )
        self.logger = cast(FilteringBoundLogger, logger.bind(restore=restore))

    def __enter__(self) -> RestoreLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def packed(self) -> bytes:
        """Ends the log and gives its file."""
        with contextlib.suppress(OSError):
            self._text.close()
        self._file.seek(0)
        return self._file.read()

    def _write(self, line: str) -> None:
        with contextlib.suppress(OSError):
            self._text.write(f"{line}\n")


class _Lines:
    """What structlog hands its lines to, whatever their level."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def msg(self, message: str) -> None:
        """Takes a line."""
        self._write(message)

    debug = info = warning = error = critical = msg
