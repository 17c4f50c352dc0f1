"""A volume that lost nearly all of its bytes since its last capture is told: what emptied it may not have been meant.

The capture counts, with a warning; the condition on the Backup names the backup that holds the last full one.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable

import msgspec

from pkg.apis.meta import Condition
from pkg.apis.reasons import Reason
from pkg.backup.parents import Parent
from pkg.volumes.ledger import EntryState, LedgerEntry, shrank


def flagged(entry: LedgerEntry, parent: Parent) -> LedgerEntry:
    """The entry with what it was compared with, and flagged where it is suspiciously smaller."""
    if entry.state is not EntryState.CAPTURED:
        return entry
    entry = msgspec.structs.replace(entry, parent_backup=parent.backup, parent_bytes=parent.bytes)
    if not shrank(entry):
        return entry
    text = f"{entry.bytes} bytes, after {parent.bytes} in backup {parent.backup or 'before'}"
    return msgspec.structs.replace(
        entry,
        reason=entry.reason or Reason.SUSPICIOUS_SHRINK.value,
        message=f"{entry.message}; {text}" if entry.reason else text,
    )


def with_condition(
    conditions: Iterable[Condition] | None, entries: Iterable[LedgerEntry], now: datetime.datetime
) -> tuple[Condition, ...] | None:
    """The Backup's conditions with SuspiciousShrink where a volume shrank; its message names the earlier backups."""
    others = tuple(one for one in conditions or () if one.type != Reason.SUSPICIOUS_SHRINK)
    found = {entry.capture: entry for entry in entries if shrank(entry)}
    if not found:
        return others or None
    backups = sorted({entry.parent_backup for entry in found.values()} - {""})
    volumes = "; ".join(f"{entry.key}: {entry.message}" for entry in list(found.values())[:3])
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return (
        *others,
        Condition(
            type=Reason.SUSPICIOUS_SHRINK.value,
            status="True",
            reason=Reason.SUSPICIOUS_SHRINK.value,
            message=f"look at what is in {', '.join(backups) or 'earlier backups'} before it goes: {volumes}{more}",
            last_transition_time=now,
        ),
    )
