"""A backup's three outcomes: whole, without some files, and not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pkg.kube.stop import StopToken
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import ResticError, ResticFailedError
from pkg.restic.finished import Ended
from pkg.restic.messages import ErrorDetail, ExitError, ItemError, Message, Summary
from pkg.restic.password import Password
from pkg.restic.transfer import BackupRequest, BackupSummary, backup_volume
from pkg.testing.scriptedrestic import ScriptedRestic

SNAPSHOT = "5" * 64
ENVIRONMENT = ResticEnvironment(repository="/r", password=Password("pw"), cache_dir="/c")
MADE = Summary(snapshot_id=SNAPSHOT, total_files_processed=3, total_bytes_processed=10, data_added_packed=4)


def back_up(runner: ScriptedRestic, directory: Path) -> BackupSummary:
    (directory / "file").write_text("content")
    return backup_volume(runner, BackupRequest(directory=str(directory), tags={}), ENVIRONMENT, StopToken())


def unread(directory: Path, count: int) -> list[ItemError]:
    """What restic says of files that it cannot read: most of them twice, scanning and archiving."""
    paths = [str(directory / f"f{number:03}") for number in range(count)]
    refused = ErrorDetail(message="permission denied")
    return [ItemError(error=refused, during=during, item=path) for path in paths for during in ("scan", "archival")]


def test_a_backup_is_one_start_and_tells_all_of_itself(tmp_path: Path) -> None:
    runner = ScriptedRestic(0, MADE)
    made = back_up(runner, tmp_path)
    assert (made.snapshot_id, made.files, made.bytes, made.bytes_added) == (SNAPSHOT, 3, 10, 4)
    assert (made.unread_files, made.unread_paths) == (0, ())
    assert [command.verb for command in runner.commands] == ["backup"]


def test_unread_files_count_once_and_the_first_twenty_are_named(tmp_path: Path) -> None:
    made = back_up(ScriptedRestic(3, *unread(tmp_path, 30), MADE), tmp_path)
    assert made.snapshot_id == SNAPSHOT
    assert made.unread_files == 30
    assert made.unread_paths == tuple(f"f{number:03}" for number in range(20))


def test_exit_code_3_is_a_degraded_backup_even_where_no_file_is_named(tmp_path: Path) -> None:
    made = back_up(ScriptedRestic(3, MADE), tmp_path)
    assert (made.unread_files, made.unread_paths) == (1, ())


@pytest.mark.parametrize(
    ("exit_code", "said"),
    [
        pytest.param(0, [], id="it ended well without a summary"),
        pytest.param(0, [Summary(total_files_processed=3)], id="it ended well without a snapshot"),
        pytest.param(3, [], id="unread files, and no summary"),
        pytest.param(1, [MADE], id="it failed, whatever the summary says"),
        pytest.param(2, [MADE], id="restic itself broke"),
        pytest.param(4, [MADE], id="a code that restic does not have yet"),
        pytest.param(10, [MADE], id="no repository"),
        pytest.param(255, [MADE, ExitError(code=255, message="new")], id="an unknown code with words"),
    ],
)
def test_everything_else_is_a_failure(tmp_path: Path, exit_code: int, said: Sequence[Message]) -> None:
    with pytest.raises(ResticError):
        back_up(ScriptedRestic(exit_code, *said), tmp_path)


def test_a_backup_that_was_stopped_is_none_whatever_its_code(tmp_path: Path) -> None:
    with pytest.raises(ResticError):
        back_up(ScriptedRestic(1, MADE, ended=Ended.STOPPED), tmp_path)


def test_an_answer_that_is_not_understood_is_told(tmp_path: Path) -> None:
    runner = ScriptedRestic(0, noise=("<html>a proxy's page",))
    with pytest.raises(ResticFailedError, match="did not tell its snapshot; what it wrote is no JSON: <html>"):
        back_up(runner, tmp_path)


def test_the_marker_of_an_empty_volume_is_none_of_its_files(tmp_path: Path) -> None:
    request = BackupRequest(directory=str(tmp_path), tags={})
    made = backup_volume(ScriptedRestic(0, MADE), request, ENVIRONMENT, StopToken())
    assert (made.snapshot_id, made.files, made.bytes) == (SNAPSHOT, 0, 0)
