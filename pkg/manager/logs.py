"""Logs on standard error: logfmt by default, JSON on request; a constant message and key=value pairs.

What other packages log by way of the standard library, and threads that end by an exception, come out in the same
form. The standard library's debug lines are left out at every level: the HTTP client's would show tokens.
"""

from __future__ import annotations

import logging
import sys
import threading

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
    "panic": logging.CRITICAL,
}
FIRST_KEYS = ("time", "level", "msg")

log = structlog.get_logger()


def configure_logs(level: str, form: str = "logfmt") -> None:
    """Sets the level and the form (`logfmt` or `json`) of every log of this process."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("msg"),
        _ordered,
    ]
    structlog.configure(
        processors=[*shared, *_renderers(form)],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_foreign_formatter(shared, form))
    logging.basicConfig(level=max(LEVELS[level], logging.WARNING), handlers=[handler], force=True)
    threading.excepthook = _log_thread


def _renderers(form: str) -> list[Processor]:
    if form == "json":
        return [structlog.processors.JSONRenderer(default=str)]
    renderer = structlog.processors.LogfmtRenderer(key_order=FIRST_KEYS, drop_missing=True, bool_as_flag=False)
    return [_without_returns, renderer]


def _foreign_formatter(shared: list[Processor], form: str) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *shared, *_renderers(form)],
    )


def _ordered(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    return {**{key: event[key] for key in FIRST_KEYS if key in event}, **event}


def _without_returns(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """Escapes what the logfmt renderer leaves as it is and a terminal would jump back for."""
    return {key: value.replace("\r", "\\r") if isinstance(value, str) else value for key, value in event.items()}


def _log_thread(ended: threading.ExceptHookArgs) -> None:
    error = ended.exc_value
    log.error("Thread ended by an exception", thread=ended.thread.name if ended.thread else "", exc_info=error)
