"""No backup is Completed whose volumes went into a repository that is known to be damaged."""

from __future__ import annotations

import pytest

from pkg.apis.meta import Condition, ObjectMeta
from pkg.apis.reasons import Effect, Reason, effect
from pkg.apis.volumes import PodVolumeBackupStatus, ResticRepository, ResticRepositoryStatus
from pkg.controllers.damaged_captures import in_damaged

DAMAGED = ResticRepository(
    metadata=ObjectMeta(name="shop"),
    status=ResticRepositoryStatus(
        repository_id="r", conditions=(Condition(type="Damaged", status="True", message="broken"),)
    ),
)
SOUND = ResticRepository(metadata=ObjectMeta(name="till"), status=ResticRepositoryStatus(repository_id="s"))


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        pytest.param(
            PodVolumeBackupStatus(phase="Completed", repository_id="r"), "RepositoryDamaged", id="into a damaged one"
        ),
        pytest.param(
            PodVolumeBackupStatus(phase="Completed", repository_id="r", reason="UnreadFiles"),
            "RepositoryDamaged",
            id="that may not be tolerated as unread files may",
        ),
        pytest.param(PodVolumeBackupStatus(phase="Completed", repository_id="s"), "", id="into a sound one"),
        pytest.param(PodVolumeBackupStatus(phase="Completed"), "", id="into one that nobody wrote down"),
        pytest.param(
            PodVolumeBackupStatus(phase="Failed", repository_id="r", reason="Canceled"), "Canceled", id="that failed"
        ),
    ],
)
def test_a_capture_into_a_damaged_repository_is_degraded(status: PodVolumeBackupStatus, reason: str) -> None:
    found = in_damaged({"v": status}, [DAMAGED, SOUND])["v"]
    assert (found.reason, found.phase) == (reason, status.phase)
    assert ("repository shop is damaged" in found.message) is (reason == "RepositoryDamaged")


def test_a_backup_of_it_is_partially_failed() -> None:
    for by_name in (True, False):
        assert effect(Reason.REPOSITORY_DAMAGED, opted_in_by_name=by_name) is Effect.PARTIALLY_FAILED
