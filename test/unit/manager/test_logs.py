from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterator

import pytest
import structlog

from pkg.manager.logs import configure_logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root, hook = logging.getLogger(), threading.excepthook
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], threading.excepthook = handlers, hook
    root.setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def test_logfmt_begins_with_time_level_and_message(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info")
    structlog.get_logger().info("Backup completed", key="ns/a", seconds=1.5, why="no space")
    (line,) = lines(capsys)
    time, rest = line.split(" ", 1)
    assert time.startswith("time=20")
    assert rest == 'level=info msg="Backup completed" key=ns/a seconds=1.5 why="no space"'


def test_json_is_one_object_with_the_same_keys_first(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    structlog.get_logger().info("Backup completed", key="ns/a")
    (line,) = lines(capsys)
    assert list(json.loads(line)) == ["time", "level", "msg", "key"]


def test_below_the_level_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("warning")
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    (line,) = lines(capsys)
    assert "msg=loud" in line


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_every_entry_is_one_line(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", form)
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        structlog.get_logger().exception("Boom", text="a\nb\r\nlevel=error")
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "\r" not in err
    assert "Traceback" in err


def test_bound_context_is_in_every_entry(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info")
    with structlog.contextvars.bound_contextvars(controller="backup", key="ns/a"):
        structlog.get_logger().info("Claimed")
    (line,) = lines(capsys)
    assert "controller=backup" in line
    assert "key=ns/a" in line


def test_other_packages_come_out_in_the_same_form_but_never_their_debug_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("debug")
    logging.getLogger("urllib3").debug("Authorization: secret")
    logging.getLogger("urllib3").warning("pool is %s", "full")
    (line,) = lines(capsys)
    assert 'level=warning msg="pool is full" logger=urllib3' in line


def test_a_thread_that_ends_by_an_exception_is_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info")
    thread = threading.Thread(target=sys.intern, args=(3,), name="broken")
    thread.start()
    thread.join()
    (line,) = lines(capsys)
    assert "thread=broken" in line
    assert "TypeError" in line
