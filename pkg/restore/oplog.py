"""The log of one restore, which `ark restore logs` shows: logfmt lines in a gzip file on scratch space."""

from __future__ import annotations

import gzip
import io
import tempfile
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
        self._gzip = gzip.GzipFile(fileobj=self._file, mode="wb")
        self._text = io.TextIOWrapper(self._gzip, encoding="utf-8", errors="replace", write_through=True)
        logger = structlog.wrap_logger(
            structlog.WriteLogger(self._text),
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
        self._text.close()
        self._file.seek(0)
        return self._file.read()
