"""The init container lets a pod go only when every volume is filled."""

from __future__ import annotations

import io
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from pkg.cli.restore_helper import given_up, wait

ROOT = pathlib.Path(__file__).resolve().parents[3]


def run(directory: pathlib.Path, *volumes: str, pauses: int = 0) -> tuple[int, str, str]:
    left = [False] * pauses + [True]
    out, err = io.StringIO(), io.StringIO()
    code = wait(str(directory), "uid-1", volumes, pause=lambda: left.pop(0), out=out, err=err)
    return code, out.getvalue(), err.getvalue()


def test_it_lets_go_when_every_volume_is_done(tmp_path: pathlib.Path) -> None:
    (tmp_path / "uid-1.data.done").touch()
    (tmp_path / "uid-1.logs.done").touch()
    assert run(tmp_path, "data", "logs")[0] == 0


def test_it_waits_while_one_volume_is_missing_and_says_which(tmp_path: pathlib.Path) -> None:
    (tmp_path / "uid-1.data.done").touch()
    code, out, _ = run(tmp_path, "data", "logs", pauses=2)
    assert code == 143
    assert out.count("waiting for the volumes logs") == 1


def test_a_marker_of_another_restore_does_not_count(tmp_path: pathlib.Path) -> None:
    (tmp_path / "uid-0.data.done").touch()
    assert run(tmp_path, "data")[0] == 143


def test_a_failed_volume_ends_it_with_the_reason(tmp_path: pathlib.Path) -> None:
    (tmp_path / "uid-1.data.failed").write_text("WrongPassword: the repository has another password\n")
    code, _, err = run(tmp_path, "data", "logs")
    assert code == 1
    assert err == "volume data was not restored: WrongPassword: the repository has another password\n"


def test_a_second_attempt_that_succeeded_outweighs_the_first_failure(tmp_path: pathlib.Path) -> None:
    (tmp_path / "uid-1.data.failed").write_text("NoProgress")
    (tmp_path / "uid-1.data.done").touch()
    assert run(tmp_path, "data")[0] == 0


def given(directory: pathlib.Path, text: str, *volumes: str) -> tuple[int, str]:
    path = directory / "given-up"
    path.write_text(text)
    err = io.StringIO()
    told = given_up(str(path), "uid-1")
    code = wait(
        str(directory), "uid-1", volumes, pause=lambda: True, out=io.StringIO(), err=err, told=lambda: dict(told)
    )
    return code, err.getvalue()


def test_a_volume_that_the_server_gave_up_ends_it_with_the_reason(tmp_path: pathlib.Path) -> None:
    text = '{"restore": "uid-1", "volumes": {"data": "NoAgent: the node is tainted"}}'
    assert given(tmp_path, text, "data", "logs") == (1, "volume data was not restored: NoAgent: the node is tainted\n")


def test_what_was_filled_after_all_outweighs_that_it_was_given_up(tmp_path: pathlib.Path) -> None:
    (tmp_path / "uid-1.data.done").touch()
    assert given(tmp_path, '{"restore": "uid-1", "volumes": {"data": "NoProgress"}}', "data") == (0, "")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"restore": "uid-0", "volumes": {"data": "x"}}', id="another restore's"),
        pytest.param("", id="nothing yet"),
        pytest.param("{", id="half a file"),
        pytest.param("[]", id="another form"),
        pytest.param('{"restore": "uid-1", "volumes": "data"}', id="another form of volumes"),
    ],
)
def test_what_it_was_told_counts_only_for_its_own_restore(tmp_path: pathlib.Path, text: str) -> None:
    assert given(tmp_path, text, "data")[0] == 143


def test_after_its_time_it_ends_and_says_what_it_waited_for(tmp_path: pathlib.Path) -> None:
    (tmp_path / "uid-1.data.done").touch()
    late = iter([False, True])
    err = io.StringIO()
    code = wait(
        str(tmp_path),
        "uid-1",
        ("data", "logs"),
        pause=lambda: False,
        out=io.StringIO(),
        err=err,
        is_late=lambda: next(late),
    )
    assert (code, err.getvalue()) == (1, "gave up waiting for the volumes logs of restore uid-1\n")


def test_the_program_takes_its_time_and_its_file_from_the_environment(tmp_path: pathlib.Path) -> None:
    told = tmp_path / "given-up"
    told.write_text('{"restore": "uid-1", "volumes": {"data": "NoAgent"}}')
    environ = {**os.environ, "ARK_MARKER_DIR": str(tmp_path), "ARK_GIVEN_UP_FILE": str(told)}
    program = [sys.executable, "-m", "pkg.cli.restore_helper", "uid-1", "data"]
    ended = subprocess.run(program, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (1, "volume data was not restored: NoAgent\n")
    told.unlink()
    environ["ARK_RESTORE_TIMEOUT_SECONDS"] = "0.1"
    ended = subprocess.run(program, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (1, "gave up waiting for the volumes data of restore uid-1\n")


def test_a_directory_that_is_not_there_yet_is_waited_for(tmp_path: pathlib.Path) -> None:
    assert run(tmp_path / "later", "data", pauses=1)[0] == 143


def start(directory: pathlib.Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pkg.cli.restore_helper", *arguments],
        cwd=ROOT,
        env={**os.environ, "ARK_MARKER_DIR": str(directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_process_ends_on_sigterm(tmp_path: pathlib.Path) -> None:
    with start(tmp_path, "uid-1", "data") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("waiting for the volumes data")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="no arguments"),
        pytest.param(["uid-1"], id="no volume"),
        pytest.param(["uid-1", "../../etc"], id="a volume that is a path"),
    ],
)
def test_wrong_arguments_are_a_usage_error(tmp_path: pathlib.Path, arguments: list[str]) -> None:
    with start(tmp_path, *arguments) as process:
        assert process.wait(60) == 64


def test_it_imports_nothing_but_the_standard_library(tmp_path: pathlib.Path) -> None:
    code = (
        "import sys, pkg.cli.restore_helper;"
        "print([m for m in sys.modules if m.split('.')[0] not in sys.stdlib_module_names | {'pkg', '__main__'}])"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
