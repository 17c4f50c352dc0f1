"""Derived names are stable, different for different things, and valid."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from pkg.volumes.naming import capture_name, capture_stem, label_value, ordinal_of, restore_volume_name

DNS = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?")
backup_names = st.from_regex(DNS, fullmatch=True).filter(lambda name: len(name) <= 253)


def test_a_name_does_not_change_between_releases() -> None:
    stem = capture_stem("nightly", "backup-uid", claim_uid="claim-uid")
    assert capture_name(stem, 0) == "nightly-4wyf2gxndf-0"
    assert restore_volume_name("restore-uid", "pod-uid", "data") == "restore-a3bapvn7s7"


def test_pods_that_share_a_claim_share_the_capture() -> None:
    first = capture_stem("b", "u", claim_uid="c", pod_uid="pod1", volume="data")
    assert capture_stem("b", "u", claim_uid="c", pod_uid="pod2", volume="other") == first


def test_volumes_without_a_claim_are_told_apart() -> None:
    stems = {capture_stem("b", "u", pod_uid=pod, volume=volume) for pod in "xy" for volume in ("a", "b")}
    assert len(stems) == 4


def test_another_backup_of_the_same_name_has_other_names() -> None:
    assert capture_stem("b", "u1", claim_uid="c") != capture_stem("b", "u2", claim_uid="c")


@given(backup_names, st.integers(0, 99))
def test_a_name_is_valid_and_tells_its_ordinal(backup_name: str, ordinal: int) -> None:
    name = capture_name(capture_stem(backup_name, "u", claim_uid="c"), ordinal)
    assert DNS.fullmatch(name)
    assert len(name) <= 63
    assert ordinal_of(name) == ordinal


def test_a_name_of_0_9_has_no_ordinal() -> None:
    assert ordinal_of("nightly-x7z9q") == -1


@given(st.text(max_size=300))
def test_every_text_becomes_a_label_value(text: str) -> None:
    value = label_value(text)
    assert len(value) <= 63
    assert LABEL.fullmatch(value)


@given(st.from_regex(LABEL, fullmatch=True).filter(lambda text: len(text) <= 63))
def test_a_label_value_stays_what_it_is(text: str) -> None:
    assert label_value(text) == text


def test_long_texts_with_the_same_beginning_differ() -> None:
    assert label_value("n" * 63 + "a") != label_value("n" * 63 + "b")
