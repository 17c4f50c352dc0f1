"""The runner against shell scripts that behave as restic does at its worst."""

import dataclasses
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pkg.apis.reasons import Reason
from pkg.kube.stop import StopToken
from pkg.restic.classify import error_from
from pkg.restic.command import Command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import NoProgressError, ResticUnusableError
from pkg.restic.finished import Ended
from pkg.restic.messages import ItemError, Message, Status
from pkg.restic.password import Password
from pkg.restic.runner import Runner
from pkg.restic.supervision import grace_seconds

ENVIRONMENT = ResticEnvironment(
    repository="s3:x/y", password=Password("pass-word"), cloud={"AWS_SECRET_ACCESS_KEY": "the-secret"}, cache_dir="/c"
)
BACKUP = Command(verb="backup", arguments=("backup",))
READY = """echo '{"message_type":"status","files_done":1}'"""


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Runner]:
    def made(body: str, *, no_progress_seconds: float = 60, grace: float = 60) -> Runner:
        path = tmp_path / "restic"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return Runner(
            binary=str(path), base=os.environ, no_progress_seconds=no_progress_seconds, grace=lambda reason: grace
        )

    return made


def test_messages_arrive_in_this_thread_and_in_order(script: Callable[..., Runner]) -> None:
    runner = script('for i in 1 2 3; do echo "{\\"message_type\\":\\"status\\",\\"files_done\\":$i}"; done')
    seen = list[tuple[Message, str]]()
    finished = runner.run(
        BACKUP, ENVIRONMENT, StopToken(), lambda message: seen.append((message, threading.current_thread().name))
    )
    assert finished.exit_code == 0
    here = threading.current_thread().name
    assert seen == [(Status(files_done=number), here) for number in (1, 2, 3)]


def test_a_flood_on_both_streams_does_not_block(script: Callable[..., Runner]) -> None:
    line = '{"message_type":"error","item":"/x"}'
    runner = script(f"yes '{line}' | head -n 20000 >&2 & yes '{line}' | head -n 20000; wait")
    seen = list[Message]()
    finished = runner.run(BACKUP, ENVIRONMENT, StopToken(), seen.append)
    assert len(seen) == 40000
    assert all(isinstance(message, ItemError) for message in seen)
    assert len(finished.item_errors) == 20
    assert len(finished.stderr_tail) <= 2048


def test_secrets_are_in_the_environment_and_nowhere_else(script: Callable[..., Runner]) -> None:
    runner = script(
        'echo "$RESTIC_PASSWORD $AWS_SECRET_ACCESS_KEY" >&2; tr "\\0" " " </proc/$$/cmdline >&2; echo >&2;'
        """echo '{"message_type":"exit_error","code":1,"message":"bad pass-word"}' >&2; exit 1"""
    )
    finished = runner.run(BACKUP, ENVIRONMENT, StopToken())
    assert "*** ***" in finished.stderr_tail
    assert "pass-word" not in repr(finished)
    assert "the-secret" not in repr(finished)
    assert str(error_from(finished)) == "restic backup: bad ***"


def test_standard_input_is_fed_and_closed(script: Callable[..., Runner]) -> None:
    command = Command(verb="cat config", arguments=(), stdin=b"fed\n")
    assert script("cat").run(command, ENVIRONMENT, StopToken()).stdout == b"fed\n"


def test_nothing_waits_for_input_that_never_comes(script: Callable[..., Runner]) -> None:
    assert script("cat").run(BACKUP, ENVIRONMENT, StopToken()).exit_code == 0


def test_a_stop_sends_sigterm_and_waits_for_the_end(script: Callable[..., Runner]) -> None:
    runner = script(f"trap 'echo unlocked >&2; exit 130' TERM; {READY}; while :; do sleep 0.01; done")
    stop = StopToken()
    finished = runner.run(BACKUP, ENVIRONMENT, stop, lambda message: stop.cancel(Reason.POD_DELETED))
    assert (finished.exit_code, finished.ended, finished.stop_reason) == (130, Ended.STOPPED, "PodDeleted")
    assert "unlocked" in finished.stderr_tail


def test_who_ignores_sigterm_is_killed_with_all_it_started(script: Callable[..., Runner], tmp_path: Path) -> None:
    runner = script(f"trap '' TERM; sleep 1000 & echo $! >{tmp_path}/child; {READY}; wait", grace=0.05)
    stop = StopToken()
    finished = runner.run(BACKUP, ENVIRONMENT, stop, lambda message: stop.cancel("shutdown"))
    assert (finished.exit_code, finished.ended) == (137, Ended.STOPPED)
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 30
    while is_running(child):
        assert time.monotonic() < deadline


def test_a_grandchild_that_holds_the_streams_does_not_hold_us(script: Callable[..., Runner]) -> None:
    runner = script(f"(trap '' TERM; exec sleep 1000) & {READY}; wait", grace=0.05)
    stop = StopToken()
    finished = runner.run(BACKUP, ENVIRONMENT, stop, lambda message: stop.cancel("shutdown"))
    assert finished.ended is Ended.STOPPED


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_who_had_succeeded_when_the_stop_came_has_succeeded(script: Callable[..., Runner]) -> None:
    runner = script(f"trap '' TERM; {READY}; sleep 0.1; exit 0")
    stop = StopToken()
    finished = runner.run(BACKUP, ENVIRONMENT, stop, lambda message: stop.cancel("shutdown"))
    assert (finished.exit_code, finished.ended) == (0, Ended.ITSELF)


def test_a_stopped_token_starts_nothing(script: Callable[..., Runner], tmp_path: Path) -> None:
    stop = StopToken()
    stop.cancel("before")
    finished = script(f"touch {tmp_path}/started").run(BACKUP, ENVIRONMENT, stop)
    assert (finished.exit_code, finished.ended) == (130, Ended.STOPPED)
    assert not (tmp_path / "started").exists()


def test_a_status_that_repeats_itself_is_no_progress(script: Callable[..., Runner]) -> None:
    runner = script(f"while :; do {READY}; sleep 0.02; done", no_progress_seconds=0.2, grace=0.05)
    finished = runner.run(BACKUP, ENVIRONMENT, StopToken())
    assert finished.ended is Ended.NO_PROGRESS
    assert isinstance(error_from(finished), NoProgressError)


def test_a_call_with_little_bandwidth_may_be_silent_for_longer(script: Callable[..., Runner]) -> None:
    runner = script(f"{READY}; sleep 1000", no_progress_seconds=0.05, grace=0.05)
    assert runner.run(BACKUP, ENVIRONMENT, StopToken()).ended is Ended.NO_PROGRESS
    runner = script(f"{READY}; sleep 0.4", no_progress_seconds=0.05, grace=0.05)
    slow = dataclasses.replace(BACKUP, slow_seconds=60.0)
    assert runner.run(slow, ENVIRONMENT, StopToken()).ended is Ended.ITSELF


def test_a_listener_that_fails_leaves_no_child(script: Callable[..., Runner]) -> None:
    runner = script("trap '' TERM; yes '{\"message_type\":\"status\"}'")

    def fails(message: Message) -> None:
        raise RuntimeError("listener")

    with pytest.raises(RuntimeError, match="listener"):
        runner.run(BACKUP, ENVIRONMENT, StopToken(), fails)
    assert runner.running() == ()


def test_a_running_child_is_shown_and_can_be_killed(script: Callable[..., Runner]) -> None:
    runner = script(f"{READY}; exec sleep 1000")

    def kill(message: Message) -> None:
        assert runner.kill(runner.running()[0].pid, because="it was too large")

    finished = runner.run(BACKUP, ENVIRONMENT, StopToken(), kill)
    assert (finished.exit_code, finished.ended) == (137, Ended.ITSELF)
    assert finished.killed_because == "it was too large"
    assert not runner.kill(1, because="it is not ours")


def test_a_missing_binary_is_said_to_be() -> None:
    finished = Runner(binary="/no/restic", base=os.environ).run(BACKUP, ENVIRONMENT, StopToken())
    assert finished.exit_code == 127
    assert "/no/restic" in error_from(finished).message


def test_a_missing_directory_is_said_to_be(script: Callable[..., Runner]) -> None:
    command = Command(verb="backup", arguments=(), directory="/no/volume")
    with pytest.raises(ResticUnusableError, match="/no/volume"):
        script("exit 0").run(command, ENVIRONMENT, StopToken())


def test_children_are_nicer_than_we_are(tmp_path: Path) -> None:
    runner = Runner(binary="nice", base=os.environ, nice=7)
    finished = runner.run(Command(verb="cat config", arguments=()), ENVIRONMENT, StopToken())
    assert int(finished.stdout) == os.nice(0) + 7


@pytest.mark.parametrize(
    ("reason", "seconds"),
    [("Canceled", 20), ("PodDeleted", 20), ("FreezeExceeded", 20), ("shutdown", 75), ("", 75)],
)
def test_a_shutdown_is_more_patient_than_a_cancel(reason: str, seconds: float) -> None:
    assert grace_seconds(reason) == seconds


def test_lines_that_are_no_json_are_tolerated_and_recorded(script: Callable[..., Runner]) -> None:
    noise = 'echo pass-word; echo \'{"message_type":"summ\'; echo three; echo four; echo \'{"new":1}\'; echo; '
    stderr = "echo 'Load(x) failed' >&2; echo '{half' >&2; "
    finished = script(f"{noise}{stderr}{READY}").run(BACKUP, ENVIRONMENT, StopToken())
    assert finished.exit_code == 0
    assert finished.noise_lines == 5
    assert len(finished.noise) == 3
    assert "pass-word" not in "".join(finished.noise)
