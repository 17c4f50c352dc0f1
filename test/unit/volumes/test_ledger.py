"""The ledger counts captures once, shows failures first, and survives the bucket."""

from __future__ import annotations

import gzip

import pytest

from pkg.apis.reasons import Effect, Reason
from pkg.apis.volumes import RootMetadata
from pkg.volumes.errors import VolumeListError
from pkg.volumes.ledger import EntryState, Ledger, LedgerEntry, counts, effect_of, from_json_gz, to_json_gz


def entry(state: EntryState, reason: str = "", *, name: str = "v", **fields: object) -> LedgerEntry:
    return LedgerEntry(namespace="shop", pod="db-0", volume=name, state=state, reason=reason, **fields)  # type: ignore[arg-type]  # fields by name


CAPTURED = entry(EntryState.CAPTURED, capture="b-x-0", bytes=10, snapshot_id="s")


def test_a_capture_of_two_pods_counts_once() -> None:
    found = counts(Ledger(entries=(CAPTURED, CAPTURED)))
    assert (found.expected, found.captured, found.bytes_done, len(found.entries or ())) == (1, 1, 10, 1)


def test_what_was_asked_for_and_skipped_was_expected() -> None:
    skipped = entry(EntryState.SKIPPED, Reason.NOT_RUNNING, opted_in_by_name=True)
    found = counts(Ledger(entries=(CAPTURED, skipped)))
    assert (found.expected, found.captured, found.failed, found.warnings) == (2, 1, 1, 0)


def test_a_warning_is_counted_and_not_expected() -> None:
    found = counts(Ledger(entries=(entry(EntryState.SKIPPED, Reason.NO_POD),)))
    assert (found.expected, found.failed, found.warnings) == (0, 0, 1)


def test_what_is_only_recorded_stays_out_of_the_status() -> None:
    found = counts(Ledger(entries=(entry(EntryState.SKIPPED, Reason.NOT_SELECTED),)))
    assert found == counts(Ledger())


def test_a_running_capture_is_neither_done_nor_failed() -> None:
    found = counts(Ledger(entries=(entry(EntryState.EXPECTED),)))
    assert (found.expected, found.captured, found.failed) == (1, 0, 0)


def test_a_degraded_capture_counts_on_both_sides_unless_tolerated() -> None:
    ledger = Ledger(entries=(entry(EntryState.CAPTURED, Reason.UNREAD_FILES),))
    strict, tolerant = counts(ledger), counts(ledger, tolerate_unread=True)
    assert (strict.captured, strict.failed, strict.warnings) == (1, 1, 0)
    assert (tolerant.captured, tolerant.failed, tolerant.warnings) == (1, 0, 1)


def test_status_shows_a_hundred_entries_failures_first() -> None:
    many = [entry(EntryState.CAPTURED, name=f"v{number}", capture=str(number)) for number in range(150)]
    late = [entry(EntryState.SKIPPED, Reason.NO_POD, name="w"), entry(EntryState.FAILED, Reason.NO_AGENT, name="f")]
    shown = counts(Ledger(entries=(*many, *late))).entries or ()
    assert len(shown) == 100
    assert [one.volume for one in shown[:3]] == ["f", "w", "v0"]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        pytest.param(CAPTURED, None, id="a plain capture does nothing"),
        pytest.param(entry(EntryState.FAILED, "FromTheFuture"), Effect.PARTIALLY_FAILED, id="an unknown reason"),
        pytest.param(entry(EntryState.SKIPPED, Reason.POD_GONE), Effect.WARNING, id="gone with its volume"),
        pytest.param(
            entry(EntryState.SKIPPED, Reason.POD_GONE, claim_exists=True),
            Effect.PARTIALLY_FAILED,
            id="gone while its claim is there",
        ),
    ],
)
def test_the_effect_of_an_entry(subject: LedgerEntry, expected: Effect | None) -> None:
    assert effect_of(subject) is expected


def test_a_volume_list_survives_the_bucket() -> None:
    ledger = Ledger(
        backup_name="b",
        backup_uid="u",
        cluster_id="c",
        entries=(entry(EntryState.CAPTURED, root=RootMetadata(uid=1, xattrs={"user.a": "YQ=="}), excludes=("tmp",)),),
    )
    assert from_json_gz(to_json_gz(ledger)) == ledger
    assert to_json_gz(ledger) == to_json_gz(ledger)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not gzip", id="not gzip"),
        pytest.param(to_json_gz(Ledger())[:-9], id="cut off"),
        pytest.param(gzip.compress(b"{"), id="not JSON"),
        pytest.param(gzip.compress(b'{"version":2}'), id="a later format"),
    ],
)
def test_a_damaged_volume_list_is_refused(data: bytes) -> None:
    with pytest.raises(VolumeListError, match="volume list"):
        from_json_gz(data)


def test_fields_of_a_later_release_do_not_harm() -> None:
    assert from_json_gz(gzip.compress(b'{"version":1,"later":[],"entries":[{"volume":"v","later":1}]}')).entries


@pytest.mark.parametrize("reason", ["SuspiciousShrink", "UnreadFiles"])
def test_status_names_the_backup_before_a_shrinking_whatever_the_reason(reason: str) -> None:
    shrunk = LedgerEntry(
        state=EntryState.CAPTURED, capture="c", reason=reason, bytes=1, parent_bytes=1 << 31, parent_backup="monday"
    )
    (shown,) = counts(Ledger(entries=(shrunk,))).entries or ()
    assert shown.parent_backup == "monday"


def test_status_names_no_earlier_backup_of_a_volume_that_did_not_shrink() -> None:
    kept = LedgerEntry(state=EntryState.CAPTURED, capture="c", bytes=9, parent_bytes=9, parent_backup="monday")
    (shown,) = counts(Ledger(entries=(kept,))).entries or ()
    assert shown.parent_backup == ""
