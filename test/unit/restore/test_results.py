"""The results file and the phase that follows from the counts."""

from __future__ import annotations

import gzip
import json

import pytest

from pkg.apis.reasons import BackupPhase, Reason
from pkg.restore.results import TEXT_LIMIT, Results, decode_results, phase_of


def test_the_file_has_the_form_of_0_9() -> None:
    results = Results()
    results.warnings.about("shop", "one")
    results.errors.about("", "two")
    results.errors.ark("three")
    data = results.encoded()
    assert json.loads(gzip.decompress(data)) == {
        "warnings": {"ark": None, "cluster": None, "namespaces": {"shop": ["one"]}},
        "errors": {"ark": ["three"], "cluster": ["two"], "namespaces": None},
    }
    assert decode_results(data) == decode_results(gzip.decompress(data))


def test_texts_have_a_limit_and_counts_have_none() -> None:
    results = Results()
    for number in range(TEXT_LIMIT + 7):
        results.errors.about("shop", str(number))
    assert results.errors.count == TEXT_LIMIT + 7
    found = decode_results(results.encoded()).errors
    assert found.ark == ("7 more are not listed here",)
    assert len((found.namespaces or {})["shop"]) == TEXT_LIMIT


@pytest.mark.parametrize("data", [b"", b"{", gzip.compress(b"{}")[:-4]])
def test_a_damaged_file_is_said(data: bytes) -> None:
    with pytest.raises(ValueError, match="do not decode"):
        decode_results(data)


@pytest.mark.parametrize(
    ("errors", "existing", "volumes", "cancelled", "phase", "reason", "message"),
    [
        pytest.param(0, 0, 0, False, BackupPhase.COMPLETED, None, "", id="all went well"),
        pytest.param(2, 0, 0, False, "PartiallyFailed", Reason.ITEM_ERRORS, "2 errors", id="objects"),
        pytest.param(1, 0, 1, False, "PartiallyFailed", Reason.VOLUMES_MISSING, "1 volume not restored", id="a volume"),
        pytest.param(
            4,
            2,
            1,
            False,
            "PartiallyFailed",
            Reason.POD_EXISTS,
            "2 pods existed already, so the volumes were not restored; 1 volume not restored; 1 error",
            id="everything",
        ),
        pytest.param(0, 0, 0, True, "PartiallyFailed", Reason.CANCELED, "canceled", id="cancelled"),
    ],
)
def test_the_phase_follows_from_the_counts(
    errors: int, existing: int, volumes: int, cancelled: bool, phase: str, reason: Reason | None, message: str
) -> None:
    results = Results()
    results.pods_existing, results.volumes_failed = existing, volumes
    assert phase_of(errors=errors, kinds=results.kinds, cancelled=cancelled) == (phase, reason, message)
