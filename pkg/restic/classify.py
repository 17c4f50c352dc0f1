"""From a finished call to our error: the exit code says which, restic's own words may only name a reason.

The rows below were recorded from restic 0.19.1; the test holds the outputs themselves. What fits no row is Internal.
"""

from __future__ import annotations

import re

from pkg.apis.reasons import Reason
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

_KILLED = 137
_BY_EXIT_CODE: dict[int, tuple[type[ResticError], Reason]] = {
    10: (RepositoryMissingError, Reason.REPOSITORY_MISSING),
    11: (RepositoryLockedError, Reason.LOCK_TIMEOUT),
    12: (WrongPasswordError, Reason.WRONG_PASSWORD),
    130: (CancelledError, Reason.CANCELED),
    _KILLED: (KilledError, Reason.OUT_OF_MEMORY),
    143: (CancelledError, Reason.CANCELED),
}
_BY_WORDS: tuple[tuple[re.Pattern[str], Reason], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), reason)
    for pattern, reason in (
        (r"specified bucket does not exist|NoSuchBucket|ContainerNotFound", Reason.BUCKET_MISSING),
        (r"bucket name (cannot|contains|must)|Bucket name cannot be", Reason.BUCKET_MISSING),
        (
            r"access ?denied|access key id you provided|InvalidAccessKeyId|SignatureDoesNotMatch|request signature"
            r"|401 Unauthorized|403 Forbidden|could not find default credentials|AuthenticationFailed",
            Reason.CREDENTIALS_REFUSED,
        ),
        (
            r"no space left on device|read-only file system|disk quota exceeded|permission denied",
            Reason.TARGET_UNUSABLE,
        ),
        (
            r"connection (refused|reset)|no such host|i/o timeout|x509:|tls:|network is unreachable|no route to host"
            r"|EOF\b|context deadline exceeded|server (closed|is shutting)|ServiceUnavailable|SlowDown",
            Reason.BACKEND_UNREACHABLE,
        ),
    )
)
_RESTORE_WORDS: tuple[tuple[re.Pattern[str], Reason], ...] = tuple(
    (re.compile(pattern, re.MULTILINE), reason)
    for pattern, reason in (
        (r": read-only file system$", Reason.TARGET_READ_ONLY),
        (r": (no space left on device|disk quota exceeded)$", Reason.TARGET_FULL),
        (r"ciphertext verification failed$", Reason.BACKUP_DAMAGED),
        (r"^ReadFull\(<data/.*: (no such file or directory|.*specified key does not exist)\.?$", Reason.BACKUP_DAMAGED),
    )
)
_SNAPSHOT_MISSING = re.compile(
    r"no matching ID found for prefix|no snapshot found|failed to load snapshot .*(no such file|does not exist)"
)


def error_from(finished: Finished) -> ResticError:
    """The error for a call that did not succeed."""
    kind, reason = _kind_and_reason(finished)
    return kind(
        verb=finished.verb,
        repository=finished.repository,
        exit_code=finished.exit_code,
        reason=reason,
        message=_message(finished),
        stderr_tail=finished.stderr_tail,
    )


def reason_from_words(text: str) -> Reason:
    """The reason that restic's words name; Internal when they name none."""
    return next((reason for pattern, reason in _BY_WORDS if pattern.search(text)), Reason.INTERNAL)


def _kind_and_reason(finished: Finished) -> tuple[type[ResticError], Reason]:
    if finished.ended is Ended.NO_PROGRESS:
        named = Reason.INTERNAL if finished.reports_progress else reason_from_words(finished.last_retry)
        return NoProgressError, Reason.NO_PROGRESS if named is Reason.INTERNAL else named
    if finished.ended is Ended.STOPPED:
        return CancelledError, _stop_reason(finished.stop_reason)
    if finished.exit_code == _KILLED and not finished.was_short_of_memory:
        return KilledError, Reason.INTERNAL
    if known := _BY_EXIT_CODE.get(finished.exit_code):
        return known
    if _SNAPSHOT_MISSING.search(finished.exit_message):
        return SnapshotMissingError, Reason.BACKUP_DAMAGED
    if finished.verb == "restore":
        return ResticFailedError, restore_reason(finished.words)
    return ResticFailedError, reason_from_words(finished.words)


def restore_reason(text: str) -> Reason:
    """The reason that a restore's words name; Internal when they name none."""
    found = (reason for pattern, reason in _RESTORE_WORDS if pattern.search(text))
    return next(found, reason_from_words(text))


def _stop_reason(text: str) -> Reason:
    return Reason(text) if text in set(Reason) else Reason.CANCELED


def _message(finished: Finished) -> str:
    match finished.ended:
        case Ended.NO_PROGRESS:
            trying = f"; it kept trying: {finished.last_retry}" if finished.last_retry else ""
            return f"stopped, because nothing moved for {finished.silent_seconds:g} s{trying}"
        case Ended.STOPPED:
            return f"stopped: {finished.stop_reason or 'no reason given'}"
    if finished.exit_code == _KILLED:
        return _killed_message(finished)
    said = finished.exit_message or finished.stderr_tail.strip().rpartition("\n")[2]
    first = said.replace("Fatal: ", "").partition("\n")[0].strip()
    return first or f"ended with exit code {finished.exit_code} and said nothing"


def _killed_message(finished: Finished) -> str:
    if not finished.was_short_of_memory:
        return "killed by somebody else, and not for want of memory"
    after = f", after {finished.files_done} files" if finished.files_done else ""
    return f"{finished.killed_because or 'killed, most likely for want of memory'}{after}"
