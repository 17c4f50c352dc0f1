"""Waiting for threads at shutdown, and naming those that do not end."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Iterable

import structlog

log = structlog.get_logger()


def join_all(threads: Iterable[threading.Thread], timeout_seconds: float) -> list[threading.Thread]:
    """Waits for all of them together that long; returns those that still run."""
    waited = [thread for thread in threads if thread is not threading.current_thread()]
    deadline = time.monotonic() + timeout_seconds
    for thread in waited:
        if thread.ident is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
    return [thread for thread in waited if thread.is_alive()]


def report_stuck(threads: Iterable[threading.Thread]) -> None:
    """Says in the log which thread did not end, and where it is."""
    for thread in threads:
        log.error("Thread did not stop", thread=thread.name, stack=stack_of(thread))


def stack_of(thread: threading.Thread) -> str:
    """Where a thread is; empty when it has ended."""
    frame = sys._current_frames().get(thread.ident or 0)
    return "".join(traceback.format_stack(frame)) if frame is not None else ""
