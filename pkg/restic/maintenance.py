"""Forget, prune and check: the calls that need a repository for themselves.

Snapshots are forgotten by their full ids and by nothing else, so no policy of restic's can take one that nobody
named. What is already gone is as good as forgotten. Where the store keeps what it was told to delete (a retention of
the bucket), a prune is complete as far as it can be, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from pkg.apis.reasons import Reason
from pkg.kube.stop import StopToken
from pkg.restic import command
from pkg.restic.classify import error_from, reason_from_words
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import ResticFailedError
from pkg.restic.finished import Finished
from pkg.restic.messages import Snapshot, Summary
from pkg.restic.repository import unexpected_answer
from pkg.restic.runner import ResticRunner

LOCK_WAIT_SECONDS = 600  # a backup outranks housekeeping (operators.md, defaults)
FORGET_BATCH = 500
_ERROR_LIMIT = 400
_NOT_TOLD = (Reason.BACKEND_UNREACHABLE, Reason.CREDENTIALS_REFUSED, Reason.BUCKET_MISSING)
# What was read and is not what was written; no trouble on the way makes restic 0.19 say this.
_SURELY_BROKEN = re.compile(
    r"ciphertext verification failed|unexpected file size|file is too short|ID does not match|hash does not match",
    re.IGNORECASE,
)
_TOTAL = re.compile(rb"^(?:total prune|this removes):\s+(?P<blobs>\d+) blobs / (?P<size>.+)$", re.MULTILINE)
_RETENTION = re.compile(
    r"WORM protected|object ?lock|retention ?(policy|period)|RetentionPolicyNotMet|BlobImmutable|immutab"
    r"|legal hold|object is under active",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneLimits:
    """How much a prune may rewrite.

    Attributes:
        max_unused: restic's `--max-unused`.
        max_repack_size: restic's `--max-repack-size`.
        cacheable_only: Rewrite only small metadata, for storage that is paid for by what is read.
    """

    max_unused: str = "10%"
    max_repack_size: str = "20G"
    cacheable_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneResult:
    """A prune that came to its end.

    Attributes:
        removed: What it says it removed, such as `5 blobs / 2.862 MiB`; empty when it did not say.
        retained: Why the store kept some of it; empty when it kept nothing.
    """

    removed: str = ""
    retained: str = ""


def list_snapshots(
    runner: ResticRunner, environment: ResticEnvironment, stop: StopToken, tags: Mapping[str, str] | None = None
) -> list[Snapshot]:
    """The snapshots that have all these tags; takes no lock.

    Raises:
        ResticError: That cannot be told.
    """
    call = command.snapshots(tags=tags or {}, no_lock=True, options=environment.options)
    finished = runner.run(call, environment, stop)
    if finished.exit_code:
        raise error_from(finished)
    try:
        return msgspec.json.decode(finished.stdout, type=list[Snapshot])
    except msgspec.DecodeError as error:
        raise unexpected_answer(finished, "its snapshots") from error


def forget_snapshots(
    runner: ResticRunner, environment: ResticEnvironment, snapshot_ids: Sequence[str], stop: StopToken
) -> None:
    """Forgets one batch of snapshots by their full ids.

    Raises:
        ResticError: Some may still be there.
    """
    call = command.forget(snapshot_ids, options=environment.options, lock_wait_seconds=LOCK_WAIT_SECONDS)
    finished = runner.run(call, environment, stop)
    if finished.exit_code:
        raise error_from(finished)


def prune_repository(
    runner: ResticRunner, environment: ResticEnvironment, limits: PruneLimits, stop: StopToken
) -> PruneResult:
    """Removes what no snapshot needs.

    Raises:
        ResticError: It did not come to its end.
    """
    call = command.prune(
        max_unused=limits.max_unused,
        max_repack_size=limits.max_repack_size,
        repack_cacheable_only=limits.cacheable_only,
        options=environment.options,
        lock_wait_seconds=LOCK_WAIT_SECONDS,
    )
    finished = runner.run(call, environment, stop)
    retained = _retention(finished)
    if finished.exit_code and not retained:
        raise error_from(finished)
    totals = [
        f"{found['blobs'].decode()} blobs / {found['size'].decode()}" for found in _TOTAL.finditer(finished.stdout)
    ]
    return PruneResult(removed=totals[-1] if totals else "", retained=retained)


def check_repository(
    runner: ResticRunner, environment: ResticEnvironment, stop: StopToken, *, part: str = "", no_lock: bool = False
) -> None:
    """Verifies the structure of a repository, and the data of one part of it.

    Args:
        runner: Starts restic.
        environment: How it is reached.
        stop: Ends it.
        part: Whose data is read, such as `7/100`; empty for none.
        no_lock: Whether others may go on meanwhile; then what they change may look like an error.

    Raises:
        ResticError: RepositoryDamaged where restic found errors, or it could not look.
    """
    call = command.check(part=part, no_lock=no_lock, options=environment.options, lock_wait_seconds=LOCK_WAIT_SECONDS)
    finished = runner.run(call, environment, stop)
    summary = finished.summary
    if summary is not None and summary.num_errors:
        raise _damaged(finished, summary)
    if finished.exit_code:
        raise error_from(finished)
    if summary is None:
        raise unexpected_answer(finished, "what it found")


def _damaged(finished: Finished, summary: Summary) -> ResticFailedError:
    said = reason_from_words(finished.words)
    if said in _NOT_TOLD and not _SURELY_BROKEN.search(finished.words):  # what could not be read need not be broken
        message = f"not everything could be read: {_first_error(finished)}"
        return _failed(finished, said, message)
    packs = f", broken packs: {', '.join(summary.broken_packs[:3])}" if summary.broken_packs else ""
    message = f"{summary.num_errors} errors in the repository{packs}; the first: {_first_error(finished)}"
    return _failed(finished, Reason.REPOSITORY_DAMAGED, message)


def _first_error(finished: Finished) -> str:
    first = next((error.text for error in finished.item_errors if error.text.strip()), finished.exit_message)
    return first.strip().partition("\n")[0][:_ERROR_LIMIT]


def _failed(finished: Finished, reason: Reason, message: str) -> ResticFailedError:
    return ResticFailedError(
        verb=finished.verb,
        repository=finished.repository,
        exit_code=finished.exit_code,
        reason=reason,
        message=message,
        stderr_tail=finished.stderr_tail,
    )


def _retention(finished: Finished) -> str:
    """The store's sentence about a retention, from restic's own messages; empty where there is none."""
    if finished.exit_code not in (0, 1):
        return ""
    lines = [*finished.words.splitlines(), *finished.stderr_tail.splitlines()]
    return next((line.strip()[:300] for line in lines if _RETENTION.search(line)), "")
