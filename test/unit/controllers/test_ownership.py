"""Whose a backup is, and from when on its age counts."""

from __future__ import annotations

import datetime

import pytest

from pkg.apis.ark import Backup, BackupStatus, Claim
from pkg.apis.meta import ObjectMeta
from pkg.apis.names import ADOPTED_ANNOTATION, IMPORTED_ANNOTATION, SOURCE_CLUSTER_ANNOTATION
from pkg.controllers.ownership import expires_at, is_ours, source_cluster

OURS, THEIRS = "cluster-1", "cluster-2"
NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


def backup(
    *, cluster: str = "", claimed: bool = False, made: datetime.datetime | None = NOON, **annotations: str
) -> Backup:
    return Backup(
        metadata=ObjectMeta(
            name="b",
            creation_timestamp=made,
            annotations={ANNOTATIONS[name]: text for name, text in annotations.items()},
        ),
        status=BackupStatus(
            phase="Completed", cluster_id=cluster, claim=Claim(epoch=1) if claimed else None, expiration=NOON
        ),
    )


ANNOTATIONS = {
    "imported": IMPORTED_ANNOTATION,
    "adopted": ADOPTED_ANNOTATION,
    "source": SOURCE_CLUSTER_ANNOTATION,
}


@pytest.mark.parametrize(
    ("found", "ours"),
    [
        pytest.param(backup(cluster=OURS), True, id="made here"),
        pytest.param(backup(cluster=OURS, imported="u"), True, id="made here and found again in the bucket"),
        pytest.param(backup(cluster=THEIRS, imported="u"), False, id="made elsewhere"),
        pytest.param(backup(cluster=THEIRS), False, id="made elsewhere though nothing says that it was imported"),
        pytest.param(backup(imported="u"), False, id="of Ark 0.9"),
        pytest.param(backup(), False, id="an object of Ark 0.9 from before the upgrade"),
        pytest.param(backup(claimed=True), True, id="claimed here and failed before it had an identity"),
        pytest.param(backup(claimed=True, imported="u"), False, id="claimed elsewhere by an unknown cluster"),
        pytest.param(backup(cluster=THEIRS, imported="u", adopted="2026-11-20T10:00:00Z"), True, id="adopted"),
        pytest.param(backup(cluster=THEIRS, imported="u", adopted="yes"), False, id="adopted without a readable time"),
    ],
)
def test_only_own_and_adopted_backups_are_ours(found: Backup, ours: bool) -> None:
    assert is_ours(found, OURS) is ours


@pytest.mark.parametrize(
    ("found", "moment"),
    [
        pytest.param(backup(cluster=OURS), NOON, id="an own one expires when its status says"),
        pytest.param(backup(cluster=THEIRS, imported="u"), None, id="a foreign one never"),
        pytest.param(
            backup(cluster=THEIRS, imported="u", adopted="2026-11-22T12:00:00Z"),
            NOON + 6 * DAY,
            id="an adopted one has seven days from the adoption",
        ),
        pytest.param(
            backup(cluster=THEIRS, imported="u", adopted="2026-01-01T00:00:00Z"),
            NOON,
            id="the grace ends with its days",
        ),
        pytest.param(
            backup(cluster=OURS, imported="u", made=NOON + DAY),
            NOON + 8 * DAY,
            id="an own one that was found in the bucket has seven days from its import",
        ),
        pytest.param(backup(cluster=OURS, imported="u", made=None), None, id="an import without a time never"),
    ],
)
def test_when_age_counts(found: Backup, moment: datetime.datetime | None) -> None:
    assert expires_at(found, OURS) == moment


def test_a_backup_without_expiration_never_expires() -> None:
    assert expires_at(Backup(status=BackupStatus(cluster_id=OURS)), OURS) is None


def test_the_source_of_what_has_no_identity_is_the_old_ark() -> None:
    assert source_cluster(backup(imported="u")) == "ark-0.9"
    assert source_cluster(backup(cluster=THEIRS, imported="u")) == THEIRS
