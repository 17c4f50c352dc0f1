"""The log of one backup: logfmt lines in a file without a name, gzipped at the end; what `ark backup logs` shows."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, MutableMapping
from typing import Any, BinaryIO, cast

import structlog
from isal import igzip

from pkg.backup.scratch import scratch_errors
from pkg.kube.clock import Clock


class OperationLog:
    """Lines of one backup; `logger` may be used by several threads."""

    def __init__(self, file: BinaryIO, clock: Clock, **bound: object) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._clock = clock
        self.logger = cast(
            structlog.typing.FilteringBoundLogger,
            structlog.wrap_logger(
                self,
                processors=[
                    structlog.processors.add_log_level,
                    self._with_time,
                    structlog.processors.EventRenamer("msg"),
                    structlog.processors.LogfmtRenderer(key_order=["time", "level", "msg"], drop_missing=True),
                ],
                wrapper_class=structlog.make_filtering_bound_logger("info"),
                cache_logger_on_first_use=False,
            ).bind(**bound),
        )

    def msg(self, line: str) -> None:
        """Takes a rendered line; structlog calls it for every level."""
        with self._lock, scratch_errors():
            self._file.seek(0, os.SEEK_END)
            self._file.write(line.encode() + b"\n")

    debug = info = warning = error = critical = msg

    def compressed(self) -> bytes:
        """All lines so far, as gzip."""
        with self._lock, scratch_errors():
            self._file.seek(0)
            return bytes(igzip.compress(self._file.read()))

    def _with_time(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        return {**event, "time": self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")}
