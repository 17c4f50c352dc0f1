"""Signals: the first asks the process to stop in order, the second ends it at once."""

from __future__ import annotations

import os
import signal
from types import FrameType

from pkg.kube.stop import StopToken

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def install_signals(stop: StopToken) -> None:
    """Makes SIGTERM and SIGINT cancel the token; call it in the main thread."""

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.cancelled:
            os._exit(1)
        stop.cancel(f"signal {signal.Signals(number).name}")

    for number in SIGNALS:
        signal.signal(number, handle)
