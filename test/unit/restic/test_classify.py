"""Outputs recorded from restic 0.19.1 against MinIO and directories."""

import pytest

from pkg.apis.reasons import Reason
from pkg.restic.classify import error_from
from pkg.restic.errors import (
    CancelledError,
    KilledError,
    NoProgressError,
    RepositoryLockedError,
    RepositoryMissingError,
    ResticError,
    ResticFailedError,
    SnapshotMissingError,
    WrongPasswordError,
)
from pkg.restic.finished import Ended, Finished
from pkg.restic.messages import ErrorDetail, ItemError, decode_line

MISSING = (
    rb'{"message_type":"exit_error","code":10,"message":"Fatal: repository does not exist: unable to open config file:'
    rb' Stat: The specified key does not exist.\nIs there a repository at the following location?\ns3:http://x/b/ns"}'
)
PASSWORD = rb'{"message_type":"exit_error","code":12,"message":"Fatal: wrong password or no key found"}'
LOCKED = (
    rb'{"message_type":"exit_error","code":11,"message":"unable to create lock in backend: repository is already'
    rb' locked by PID 14213 on vm by root (UID 0, GID 0)\nlock was created at 2026-01-01 (7.9s ago)"}'
)
NO_PARENT = rb'{"message_type":"exit_error","code":1,"message":"no matching ID found for prefix \"deadbeef\""}'
NO_FULL_PARENT = (
    rb'{"message_type":"exit_error","code":1,"message":"failed to load snapshot [null]: open'
    rb' /r/snapshots/000: no such file or directory"}'
)
NO_SNAPSHOT = (
    rb'{"message_type":"exit_error","code":1,"message":"Fatal: failed to find snapshot: no matching ID found for prefix'
    rb' \"deadbeef\""}'
)
REFUSED = (
    rb'{"message_type":"exit_error","code":1,"message":"Fatal: Fatal: create repository at s3:http://127.0.0.1:1/b/x'
    rb" failed: client.BucketExists: Get \"http://127.0.0.1:1/b/?location=\": dial tcp 127.0.0.1:1: connect:"
    rb' connection refused"}'
)
SHORT_BUCKET = (
    rb'{"message_type":"exit_error","code":1,"message":"Fatal: Fatal: create repository at s3:http://127.0.0.1/bk/ns'
    rb' failed: client.BucketExists: Bucket name cannot be shorter than 3 characters"}'
)
FULL = (
    rb'{"message_type":"exit_error","code":1,"message":"Fatal: unable to save snapshot: error flushing repository:'
    rb' write /r/data/90/9076-tmp-3259864011: no space left on device"}'
)
READ_ONLY = (
    rb'{"message_type":"exit_error","code":1,"message":"cannot create target directory: mkdir /t: read-only file'
    rb' system"}'
)
EMPTY = rb'{"message_type":"exit_error","code":1,"message":"Fatal: unable to save snapshot: snapshot is empty"}'
NONSENSE = rb'{"message_type":"exit_error","code":77,"message":"something new"}'


def finished(code: int, line: bytes = b"", stderr: str = "", verb: str = "backup") -> Finished:
    message = decode_line(line)
    messages = (message,) if message else ()
    return Finished(verb=verb, repository="r", exit_code=code, messages=messages, stderr_tail=stderr)


@pytest.mark.parametrize(
    ("code", "line", "kind", "reason", "message"),
    [
        pytest.param(10, MISSING, RepositoryMissingError, Reason.REPOSITORY_MISSING, "does not exist", id="missing"),
        pytest.param(12, PASSWORD, WrongPasswordError, Reason.WRONG_PASSWORD, "wrong password", id="password"),
        pytest.param(11, LOCKED, RepositoryLockedError, Reason.LOCK_TIMEOUT, "locked by PID", id="locked"),
        pytest.param(1, NO_PARENT, SnapshotMissingError, Reason.BACKUP_DAMAGED, "deadbeef", id="no parent"),
        pytest.param(1, NO_FULL_PARENT, SnapshotMissingError, Reason.BACKUP_DAMAGED, "load", id="no parent of that id"),
        pytest.param(1, NO_SNAPSHOT, SnapshotMissingError, Reason.BACKUP_DAMAGED, "deadbeef", id="no snapshot"),
        pytest.param(1, REFUSED, ResticFailedError, Reason.BACKEND_UNREACHABLE, "refused", id="connection refused"),
        pytest.param(1, SHORT_BUCKET, ResticFailedError, Reason.BUCKET_MISSING, "shorter", id="impossible bucket"),
        pytest.param(1, FULL, ResticFailedError, Reason.TARGET_UNUSABLE, "no space", id="full"),
        pytest.param(1, READ_ONLY, ResticFailedError, Reason.TARGET_UNUSABLE, "read-only", id="read-only"),
        pytest.param(1, EMPTY, ResticFailedError, Reason.INTERNAL, "snapshot is empty", id="empty"),
        pytest.param(77, NONSENSE, ResticFailedError, Reason.INTERNAL, "something new", id="an unknown code"),
        pytest.param(2, b"", ResticFailedError, Reason.INTERNAL, "exit code 2", id="a crash that says nothing"),
        pytest.param(137, b"", KilledError, Reason.OUT_OF_MEMORY, "want of memory", id="killed"),
        pytest.param(130, b"", CancelledError, Reason.CANCELED, "exit code 130", id="interrupted by somebody"),
    ],
)
def test_the_exit_code_decides_and_words_only_name_a_reason(
    code: int, line: bytes, kind: type[ResticError], reason: Reason, message: str
) -> None:
    error = error_from(finished(code, line))
    assert type(error) is kind
    assert (error.exit_code, error.reason) == (code, reason)
    assert message in error.message
    assert "Fatal" not in error.message
    assert "\n" not in str(error)


@pytest.mark.parametrize("words", ["no space left on device", "connection refused", "wrong password"])
def test_words_never_change_what_a_code_means(words: str) -> None:
    line = f'{{"message_type":"exit_error","code":10,"message":"{words}"}}'.encode()
    assert type(error_from(finished(10, line))) is RepositoryMissingError


def test_the_items_of_a_failed_restore_name_the_reason() -> None:
    item = ItemError(error=ErrorDetail(message="write f: no space left on device"), during="restore", item="/f")
    line = rb'{"message_type":"exit_error","code":1,"message":"Fatal: There were 140 errors"}'
    message = decode_line(line)
    assert message is not None
    failed = Finished(verb="restore", repository="r", exit_code=1, messages=(message,), item_errors=(item,))
    assert error_from(failed).reason is Reason.TARGET_FULL


@pytest.mark.parametrize(
    ("stop_reason", "reason"),
    [("PodDeleted", Reason.POD_DELETED), ("FreezeExceeded", Reason.FREEZE_EXCEEDED), ("shutdown", Reason.CANCELED)],
)
def test_a_stop_says_why(stop_reason: str, reason: Reason) -> None:
    stopped = Finished(verb="backup", repository="r", exit_code=137, ended=Ended.STOPPED, stop_reason=stop_reason)
    error = error_from(stopped)
    assert isinstance(error, CancelledError)
    assert error.reason is reason
    assert stop_reason in str(error)


RETRIES = (
    "Stat(<config/>) returned error, retrying after 1.07s: Stat: The specified bucket does not exist\n"
    "Stat(<config/>) returned error, retrying after 2.15s: Stat: The specified bucket does not exist\n"
    "signal terminated received, cleaning up \n"
)


@pytest.mark.parametrize(
    ("reports_progress", "reason"),
    [
        pytest.param(True, Reason.NO_PROGRESS, id="a transfer made no progress"),
        pytest.param(False, Reason.BUCKET_MISSING, id="an opening names what restic kept trying"),
    ],
)
def test_what_was_stuck_says_what_restic_kept_trying(reports_progress: bool, reason: Reason) -> None:
    stuck = Finished(
        verb="x",
        repository="r",
        exit_code=130,
        ended=Ended.NO_PROGRESS,
        silent_seconds=1200,
        stderr_tail=RETRIES,
        reports_progress=reports_progress,
    )
    error = error_from(stuck)
    assert isinstance(error, NoProgressError)
    assert error.reason is reason
    assert error.message == (
        "stopped, because nothing moved for 1200 s; it kept trying: Stat: The specified bucket does not exist"
    )
