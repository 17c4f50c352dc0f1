"""Signals need processes of their own: their handlers belong to a whole process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import sys, threading
from pkg.kube.stop import StopToken
from pkg.manager.shutdown import install_signals
stop = StopToken()
install_signals(stop)
print("ready", flush=True)
stop.wait(100)
print(stop.reason, flush=True)
if sys.argv[1] == "hang":
    with stop._lock:
        threading.Event().wait(100)
"""


def start(mode: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, mode]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_asks_for_an_orderly_stop(number: signal.Signals) -> None:
    process = start("end")
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == (f"signal {number.name}\n", 0)


def test_the_second_signal_ends_the_process_at_once_even_while_a_lock_is_held() -> None:
    process = start("hang")
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline() == "signal SIGTERM\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 1
