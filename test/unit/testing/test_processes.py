"""Child processes: watched, stopped in order, and named with their log when they fail."""

import signal
import sys
from pathlib import Path

import pytest

from pkg.testing.processes import HarnessError, Process, wait_until

STUBBORN = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"


def python(code: str, log: Path) -> Process:
    return Process("child", [sys.executable, "-S", "-c", code], log=log)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "child.log"


def test_a_process_ends_with_the_block(log: Path) -> None:
    with python("import signal; signal.pause()", log) as process:
        assert process.is_running
    assert not process.is_running
    assert process.exit_code == -signal.SIGTERM


def test_a_process_that_ignores_sigterm_is_killed_after_its_grace(log: Path) -> None:
    process = python(STUBBORN, log).start()
    wait_until(lambda: "up" in log.read_text(), timeout_seconds=10, what="the child's handler")
    process.stop(grace_seconds=0.05)
    assert process.exit_code == -signal.SIGKILL


def test_a_process_that_has_ended_starts_again_and_appends_to_its_log(log: Path) -> None:
    process = python("print('hello')", log)
    for _ in range(2):
        assert process.start().wait(10) == 0
    assert log.read_text() == "hello\nhello\n"


def test_starting_a_running_process_changes_nothing(log: Path) -> None:
    with python("import signal; signal.pause()", log) as process:
        before = process.pid
        assert process.start().pid == before


def test_stopping_what_was_never_started_is_no_error(log: Path) -> None:
    process = python("", log)
    process.stop()
    process.kill()
    assert process.exit_code is None


def test_a_process_asks_to_die_with_its_parent(log: Path) -> None:
    code = (
        "import ctypes; value = ctypes.c_int(); get_death_signal = 2\n"
        "ctypes.CDLL(None).prctl(get_death_signal, ctypes.byref(value)); print(value.value)"
    )
    python(code, log).start().wait(10)
    assert log.read_text() == f"{int(signal.SIGKILL)}\n"


def test_a_process_leads_a_group_of_its_own(log: Path) -> None:
    process = python("import os; print(os.getpgrp())", log).start()
    process.wait(10)
    assert log.read_text() == f"{process.pid}\n"


def test_the_tail_shows_how_it_ended_and_the_last_lines(log: Path) -> None:
    process = python("print('one\\ntwo\\nthree'); raise SystemExit(3)", log).start()
    process.wait(10)
    assert process.tail(lines=2) == f"--- child (ended with 3), {log}\ntwo\nthree"


def test_waiting_returns_what_became_true() -> None:
    answers = iter([None, "", "ready"])
    assert wait_until(lambda: next(answers), timeout_seconds=5, what="an answer") == "ready"


def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(HarnessError, match=r"^waited for a miracle, but 0 s are over$"):
        wait_until(lambda: False, timeout_seconds=0, what="a miracle")


def test_waiting_for_a_process_that_has_ended_fails_at_once_with_its_log(log: Path) -> None:
    process = python("raise SystemExit('no such port')", log).start()
    process.wait(10)
    with pytest.raises(HarnessError, match=r"child has ended\n--- child .*\nno such port"):
        wait_until(lambda: False, timeout_seconds=1000, what="the server", watched=[process])
