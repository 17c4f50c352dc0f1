"""Signals: the first asks the process to stop in order, the second ends it at once.

A Python signal handler runs between two instructions of the main thread, which may hold the very lock that
cancelling needs. So the handler does nothing: the interpreter writes the signal's number into a socket, and a thread
that holds no lock reads it. That also works while the main thread is inside a call that does not return.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType

from pkg.kube.stop import StopToken

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def install_signals(stop: StopToken, end_at_once: Callable[[int], None] = os._exit) -> None:
    """Makes SIGTERM and SIGINT cancel the token and the second of them exit with 1; call it in the main thread."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, _nothing)

    def watch() -> None:
        with writer:  # held here, so that it lives as long as the thread that reads
            _watch(reader, stop, end_at_once)

    threading.Thread(target=watch, name="signals", daemon=True).start()


def _nothing(number: int, frame: FrameType | None) -> None:
    """Keeps the default handler away; see the module."""


def _watch(reader: socket.socket, stop: StopToken, end_at_once: Callable[[int], None]) -> None:
    signalled = False
    with reader:
        while received := reader.recv(64):
            for number in received:
                if number not in SIGNALS:
                    continue
                if signalled:
                    end_at_once(1)
                    return
                signalled = True
                stop.cancel(f"signal {signal.Signals(number).name}")
