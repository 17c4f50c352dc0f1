"""A backup's terminal phase, as a pure function of its ledger and its errors; nothing else sets one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pkg.apis.reasons import BackupPhase, Effect, Reason
from pkg.volumes.ledger import EntryState, Ledger, LedgerEntry, effect_of

_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The phase and what a status says about it.

    Attributes:
        errors: What makes the phase PartiallyFailed: volumes and items.
        warnings: Volumes that were not captured though somebody might expect them.
    """

    phase: BackupPhase
    reason: Reason | None
    message: str
    errors: int
    warnings: int


def phase_of(
    ledger: Ledger,
    item_errors: Sequence[str],
    *,
    tolerate_unread: bool = False,
    cancelled: bool = False,
    tarball_failure: str = "",
) -> Verdict:
    """The phase that follows.

    Args:
        ledger: After the last capture ended; what is still expected counts as failed.
        item_errors: Objects and lists that could not be read or written, one text each.
        tolerate_unread: The backup's `tolerateUnreadFiles`.
        cancelled: The backup was asked to end.
        tarball_failure: Why there is no usable tarball; empty when there is one.
    """
    effects = [(entry, effect_of(entry, tolerate_unread=tolerate_unread)) for entry in ledger.entries]
    failed = [entry for entry, found in effects if found is Effect.PARTIALLY_FAILED]
    warnings = sum(found is Effect.WARNING for _, found in effects)
    errors = len(failed) + len(item_errors)
    if tarball_failure:
        phase, reason, message = BackupPhase.FAILED, Reason.INTERNAL, tarball_failure
        if cancelled:
            reason, message = Reason.CANCELED, "canceled before the tarball was complete"
    elif cancelled:
        phase, reason = BackupPhase.PARTIALLY_FAILED, Reason.CANCELED
        message = _joined("canceled", _volumes_text(failed), _items_text(item_errors))
    elif errors:
        phase = BackupPhase.PARTIALLY_FAILED
        reason = Reason.VOLUMES_MISSING if failed else Reason.ITEM_ERRORS
        message = _joined(_volumes_text(failed), _items_text(item_errors))
    else:
        return Verdict(phase=BackupPhase.COMPLETED, reason=None, message="", errors=0, warnings=warnings)
    return Verdict(phase=phase, reason=reason, message=message, errors=errors, warnings=warnings)


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _volumes_text(failed: Sequence[LedgerEntry]) -> str:
    if not failed:
        return ""
    return f"{_count(failed, 'volume')} not captured as wanted: {_some([_volume_text(entry) for entry in failed])}"


def _volume_text(entry: LedgerEntry) -> str:
    if entry.state is EntryState.EXPECTED:
        return f"{entry.key} (not finished)"
    return f"{entry.key} ({entry.reason}: {entry.message})" if entry.message else f"{entry.key} ({entry.reason})"


def _items_text(errors: Sequence[str]) -> str:
    return f"{_count(errors, 'item error')}: {_some(errors)}" if errors else ""


def _count(things: Sequence[object], word: str) -> str:
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more
