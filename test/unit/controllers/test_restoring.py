"""Which repositories are being restored."""

from __future__ import annotations

import datetime

import pytest

from pkg.apis.meta import ObjectMeta
from pkg.apis.volumes import PodVolumeRestore, PodVolumeRestoreSpec, PodVolumeRestoreStatus
from pkg.controllers.restoring import NOT_BEGUN_COUNTS, being_restored

NOW = datetime.datetime(2026, 1, 1, 3, tzinfo=datetime.UTC)
SOON = datetime.timedelta(minutes=1)


def filling(phase: str, *, age: datetime.timedelta = SOON, marker_only: bool = False) -> PodVolumeRestore:
    return PodVolumeRestore(
        metadata=ObjectMeta(name="r", creation_timestamp=NOW - age),
        spec=PodVolumeRestoreSpec(repository="app", marker_only=marker_only),
        status=PodVolumeRestoreStatus(phase=phase),
    )


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(filling(""), True, id="one that was just created"),
        pytest.param(filling("New"), True, id="one that waits for a slot"),
        pytest.param(filling("InProgress"), True, id="one that runs"),
        pytest.param(filling("InProgress", age=NOT_BEGUN_COUNTS * 9), True, id="one that has run for long"),
        pytest.param(filling("", age=NOT_BEGUN_COUNTS), False, id="one that nobody took on for an hour"),
        pytest.param(filling("Completed"), False, id="one that is done"),
        pytest.param(filling("Failed"), False, id="one that failed"),
        pytest.param(filling("", marker_only=True), False, id="one that reads no repository"),
    ],
)
def test_a_repository_is_being_restored_by(one: PodVolumeRestore, expected: bool) -> None:
    assert being_restored([one], NOW) == (frozenset({"app"}) if expected else frozenset())


def test_a_restore_of_ark_0_9_names_no_repository() -> None:
    assert being_restored([PodVolumeRestore()], NOW) == frozenset()
