"""A restore is green only when restic says so, tells what it did, and nothing is missing."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from pkg.apis.reasons import Reason
from pkg.apis.volumes import VolumeProgress
from pkg.kube.stop import StopToken
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import ResticError, ResticFailedError, SnapshotMissingError
from pkg.restic.finished import Ended
from pkg.restic.messages import ErrorDetail, ExitError, ItemError, Message, Snapshot, Status, Summary
from pkg.restic.password import Password
from pkg.restic.restoration import RestoreRequest, RestoreSummary, full_snapshot_id, restore_volume, shortfall
from pkg.testing.scriptedrestic import ScriptedRestic

SNAPSHOT = "5" * 64
ENVIRONMENT = ResticEnvironment(repository="/r", password=Password("pw"), cache_dir="/c")
WHOLE = Summary(total_files=3, files_restored=3, total_bytes=10, bytes_restored=10)
OWNER = ItemError(error=ErrorDetail(message="lchown /v/f: operation not permitted"), item="/f")
UNKNOWN = ItemError(error=ErrorDetail(message="something new"), item="/f")
ONE_ERROR = ExitError(code=1, message="Fatal: There were 1 errors")


def restore(
    runner: ScriptedRestic, *, expected_files: int = 0, seen: list[VolumeProgress] | None = None
) -> RestoreSummary:
    request = RestoreRequest(snapshot_id=SNAPSHOT, target="/v", expected_files=expected_files)
    seen = [] if seen is None else seen
    return restore_volume(runner, request, ENVIRONMENT, StopToken(), seen.append)


def test_a_whole_restore_is_one_start() -> None:
    runner = ScriptedRestic(0, WHOLE)
    made = restore(runner, expected_files=2)
    assert (made.files, made.bytes, made.metadata.count) == (3, 10, 0)
    assert len(runner.commands) == 1


def test_lost_metadata_is_told_and_not_a_failure() -> None:
    made = restore(ScriptedRestic(1, OWNER, WHOLE, ONE_ERROR))
    assert (made.metadata.count, made.metadata.paths) == (1, ("/f",))
    assert made.metadata.first == "lchown /v/f: operation not permitted"


@pytest.mark.parametrize(
    ("exit_code", "said"),
    [
        pytest.param(0, [], id="it ended well and said nothing of what it did"),
        pytest.param(0, [UNKNOWN, WHOLE], id="it ended well and complained"),
        pytest.param(1, [WHOLE], id="it failed whatever the summary says"),
        pytest.param(1, [UNKNOWN, WHOLE, ONE_ERROR], id="an unknown complaint"),
        pytest.param(1, [OWNER, WHOLE, ExitError(code=1, message="Fatal: There were 2 errors")], id="a lost complaint"),
        pytest.param(1, [OWNER, ONE_ERROR], id="only metadata, but it did not say what it did"),
        pytest.param(3, [WHOLE], id="the exit code of a backup with unread files"),
        pytest.param(77, [WHOLE], id="an unknown exit code"),
        pytest.param(0, [msgspec.structs.replace(WHOLE, files_restored=2)], id="a file short"),
        pytest.param(0, [msgspec.structs.replace(WHOLE, bytes_restored=9)], id="a byte short"),
        pytest.param(
            1, [OWNER, msgspec.structs.replace(WHOLE, files_restored=1), ONE_ERROR], id="shorter than the metadata says"
        ),
    ],
)
def test_everything_else_is_a_failure(exit_code: int, said: Sequence[Message]) -> None:
    with pytest.raises(ResticError):
        restore(ScriptedRestic(exit_code, *said))


def test_a_stopped_restore_is_no_restore_though_all_its_complaints_are_of_metadata() -> None:
    with pytest.raises(ResticError) as caught:
        restore(ScriptedRestic(1, OWNER, WHOLE, ONE_ERROR, ended=Ended.STOPPED))
    assert caught.value.reason is Reason.CANCELED


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        pytest.param("write /v/f: no space left on device", Reason.TARGET_FULL, id="full"),
        pytest.param("write /v/f: disk quota exceeded", Reason.TARGET_FULL, id="quota"),
        pytest.param("mkdir /v/d: read-only file system", Reason.TARGET_READ_ONLY, id="read-only"),
        pytest.param("open /v/f: permission denied", Reason.TARGET_UNUSABLE, id="not ours"),
        pytest.param("decrypting blob <x> failed: ciphertext verification failed", Reason.BACKUP_DAMAGED, id="damaged"),
        pytest.param(
            "ReadFull(<data/930e6200d8>): open /r/data/93/93: no such file or directory",
            Reason.BACKUP_DAMAGED,
            id="a pack is gone",
        ),
        pytest.param("something new", Reason.INTERNAL, id="unknown"),
    ],
)
def test_the_first_complaint_is_told_with_its_reason(message: str, reason: Reason) -> None:
    item = ItemError(error=ErrorDetail(message=message), item="/f")
    with pytest.raises(ResticFailedError) as caught:
        restore(ScriptedRestic(1, OWNER, item, WHOLE, ExitError(code=1, message="Fatal: There were 2 errors")))
    assert (caught.value.reason, caught.value.message) == (reason, f"2 errors, the first: /f: {message}")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        pytest.param("write /v/f: no space left on device", Reason.TARGET_FULL, id="full"),
        pytest.param("mkdir /v/d: read-only file system", Reason.TARGET_READ_ONLY, id="read-only"),
    ],
)
def test_restic_is_ended_when_it_first_says_that_nothing_more_can_be_written(message: str, reason: Reason) -> None:
    item = ItemError(error=ErrorDetail(message=message), item="/f")
    stop, seen = StopToken(), list[VolumeProgress]()
    request = RestoreRequest(snapshot_id=SNAPSHOT, target="/v")
    with pytest.raises(ResticFailedError) as caught:
        restore_volume(ScriptedRestic(1, item, Status(total_files=9)), request, ENVIRONMENT, stop, seen.append)
    assert (caught.value.reason, caught.value.message) == (reason, f"one error: /f: {message}")
    assert seen == []
    assert not stop.cancelled


def test_an_attribute_without_room_ends_nothing() -> None:
    item = ItemError(error=ErrorDetail(message="xattr.LSet /v/f user.x: no space left on device"), item="/f")
    assert restore(ScriptedRestic(1, item, WHOLE, ONE_ERROR)).metadata.count == 1


@pytest.mark.parametrize(
    ("summary", "expected_files", "without_metadata", "lack"),
    [
        pytest.param(WHOLE, 0, 0, "", id="nothing is known of the backup"),
        pytest.param(WHOLE, 2, 0, "", id="restic counts directories too"),
        pytest.param(WHOLE, 4, 0, "the backup counted 4 files, the snapshot gave 3", id="too few files"),
        pytest.param(
            Summary(total_files=1, files_restored=1, files_skipped=3, bytes_skipped=10), 4, 0, "", id="most was there"
        ),
        pytest.param(Summary(), 0, 0, "", id="an empty volume"),
        pytest.param(Summary(), 1, 0, "the backup counted 1 files, the snapshot gave 0", id="nothing came"),
        pytest.param(
            msgspec.structs.replace(WHOLE, files_restored=2), 0, 1, "", id="a directory without its metadata is there"
        ),
    ],
)
def test_what_is_missing_is_counted(summary: Summary, expected_files: int, without_metadata: int, lack: str) -> None:
    assert shortfall(summary, expected_files=expected_files, without_metadata=without_metadata) == lack


def test_progress_counts_what_was_there_in_both_numbers() -> None:
    seen: list[VolumeProgress] = []
    status = Status(total_files=2, files_restored=1, files_skipped=3, total_bytes=10, bytes_restored=5, bytes_skipped=7)
    restore(ScriptedRestic(0, status, WHOLE), seen=seen)
    assert seen == [VolumeProgress(bytes_done=12, total_bytes=17, files_done=4, total_files=5)]


def test_a_full_id_costs_no_start() -> None:
    runner = ScriptedRestic(1)
    assert full_snapshot_id(runner, ENVIRONMENT, SNAPSHOT, StopToken(), no_lock=True) == SNAPSHOT
    assert runner.commands == []


@pytest.mark.parametrize(
    "found",
    [
        pytest.param([], id="none"),
        pytest.param([Snapshot(id=SNAPSHOT), Snapshot(id="5" * 63 + "6")], id="two"),
        pytest.param([Snapshot(id="6" * 64)], id="another one"),
    ],
)
def test_eight_digits_that_do_not_name_one_snapshot_name_none(found: list[Snapshot]) -> None:
    runner = ScriptedRestic(0, stdout=msgspec.json.encode(found))
    with pytest.raises(SnapshotMissingError) as caught:
        full_snapshot_id(runner, ENVIRONMENT, "5" * 8, StopToken(), no_lock=True)
    assert caught.value.reason is Reason.BACKUP_DAMAGED
