"""The phase follows from the ledger and the errors (the table of reasons)."""

from __future__ import annotations

import pytest

from pkg.apis.reasons import BackupPhase, Reason
from pkg.volumes.ledger import EntryState, Ledger, LedgerEntry
from pkg.volumes.verdict import phase_of

C, P, F = BackupPhase.COMPLETED, BackupPhase.PARTIALLY_FAILED, BackupPhase.FAILED


def ledger(reason: str, *, by_name: bool = False, state: EntryState = EntryState.SKIPPED) -> Ledger:
    entry = LedgerEntry(
        namespace="shop", pod="db-0", volume="data", reason=reason, message="why", opted_in_by_name=by_name, state=state
    )
    return Ledger(entries=(entry,))


@pytest.mark.parametrize(
    ("reason", "by_name", "by_default"),
    [
        (Reason.NOT_SELECTED, (C, 0), (C, 0)),
        (Reason.UNKNOWN_VOLUME, (P, 0), (P, 0)),
        (Reason.HOST_PATH, (P, 0), (C, 0)),
        (Reason.FROM_API, (C, 1), (C, 0)),
        (Reason.BLOCK_MODE, (P, 0), (C, 1)),
        (Reason.NOT_RUNNING, (P, 0), (C, 1)),
        (Reason.POD_FINISHED, (C, 1), (C, 1)),
        (Reason.POD_GONE, (C, 1), (C, 1)),
        (Reason.NO_POD, (C, 0), (C, 1)),
        (Reason.NOT_MOUNTED, (P, 0), (C, 1)),
        (Reason.NOT_PROPAGATED, (P, 0), (P, 0)),
        (Reason.NO_AGENT, (P, 0), (P, 0)),
        (Reason.NODE_GONE, (P, 0), (P, 0)),
        (Reason.RESTORE_IN_PROGRESS, (P, 0), (P, 0)),
        (Reason.EXCLUDED, (C, 0), (C, 0)),
        (Reason.NO_PROGRESS, (P, 0), (P, 0)),
        (Reason.INTERNAL, (P, 0), (P, 0)),
    ],
)
def test_each_reason(reason: Reason, by_name: tuple[str, int], by_default: tuple[str, int]) -> None:
    named, default = phase_of(ledger(reason, by_name=True), ()), phase_of(ledger(reason), ())
    assert (named.phase, named.warnings) == by_name
    assert (default.phase, default.warnings) == by_default


def test_everything_captured_and_no_error_is_completed() -> None:
    verdict = phase_of(ledger("", state=EntryState.CAPTURED), ())
    assert (verdict.phase, verdict.reason, verdict.message, verdict.errors) == (C, None, "", 0)


def test_unread_files_are_tolerated_only_on_request() -> None:
    degraded = ledger(Reason.UNREAD_FILES, state=EntryState.CAPTURED)
    assert phase_of(degraded, ()).phase is P
    assert phase_of(degraded, (), tolerate_unread=True).phase is C


def test_a_volume_that_is_still_expected_at_the_end_is_not_captured() -> None:
    verdict = phase_of(ledger("", state=EntryState.EXPECTED), ())
    assert (verdict.phase, verdict.reason) == (P, Reason.VOLUMES_MISSING)
    assert verdict.message == "1 volume not captured as wanted: shop/db-0/data (not finished)"


def test_an_item_error_is_partial_and_names_the_item() -> None:
    verdict = phase_of(Ledger(), ("a", "b", "c", "d"))
    assert (verdict.phase, verdict.reason, verdict.errors) == (P, Reason.ITEM_ERRORS, 4)
    assert verdict.message == "4 item errors: a, b, c and 1 more"


def test_volumes_outrank_items_and_both_are_told() -> None:
    verdict = phase_of(ledger(Reason.NO_AGENT), ("pods: list failed",))
    assert (verdict.reason, verdict.errors) == (Reason.VOLUMES_MISSING, 2)
    assert "shop/db-0/data (NoAgent: why); 1 item error: pods: list failed" in verdict.message


@pytest.mark.parametrize(
    ("cancelled", "tarball_failure", "phase", "reason"),
    [
        pytest.param(True, "", P, Reason.CANCELED, id="cancelled with a tarball"),
        pytest.param(True, "none", F, Reason.CANCELED, id="cancelled without a tarball"),
        pytest.param(False, "disk full", F, Reason.INTERNAL, id="no usable tarball"),
    ],
)
def test_a_backup_cut_short(cancelled: bool, tarball_failure: str, phase: BackupPhase, reason: Reason) -> None:
    verdict = phase_of(Ledger(), (), cancelled=cancelled, tarball_failure=tarball_failure)
    assert (verdict.phase, verdict.reason) == (phase, reason)
    assert verdict.message
