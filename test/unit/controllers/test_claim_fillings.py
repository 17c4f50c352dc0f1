"""Of two Restores at once only one fills a claim."""

from __future__ import annotations

import datetime

import pytest

from pkg.apis.ark import Restore
from pkg.apis.meta import ObjectMeta
from pkg.apis.names import RESTORE_NAME_LABEL, RESTORE_UID_LABEL
from pkg.apis.volumes import PodVolumeRestore, PodVolumeRestoreSpec, PodVolumeRestoreStatus, VolumeSource
from pkg.controllers.claim_fillings import ClaimFillings
from pkg.testing.fakeclock import START
from pkg.testing.fakes import FakeLister

NAMESPACE, CLAIM = "heptio-ark", "claim-uid"
LATER, EARLIER = START + datetime.timedelta(minutes=1), START - datetime.timedelta(minutes=1)


def restore(name: str) -> Restore:
    return Restore(metadata=ObjectMeta(name=name, namespace=NAMESPACE, uid=f"uid-{name}", creation_timestamp=START))


def filling(
    of: str, phase: str, ended: datetime.datetime | None = None, *, marker_only: bool = False
) -> PodVolumeRestore:
    labels = {RESTORE_NAME_LABEL: of, RESTORE_UID_LABEL: f"uid-{of}"}
    return PodVolumeRestore(
        metadata=ObjectMeta(name=f"{of}-data", namespace=NAMESPACE, labels=labels),
        spec=PodVolumeRestoreSpec(source=VolumeSource(claim_uid=CLAIM), marker_only=marker_only),
        status=PodVolumeRestoreStatus(phase=phase, completion_timestamp=ended),
    )


def test_the_first_has_the_claim_until_it_ends() -> None:
    claims = ClaimFillings(FakeLister())
    assert claims.take(CLAIM, restore("r1")) == ""
    assert claims.take(CLAIM, restore("r1")) == ""
    assert claims.take(CLAIM, restore("r2")) == "r1"
    assert claims.take("another", restore("r2")) == ""
    claims.release("uid-r1")
    assert claims.take(CLAIM, restore("r2")) == ""


@pytest.mark.parametrize(
    ("seen", "name"),
    [
        pytest.param(filling("r1", ""), "r1", id="one that waits"),
        pytest.param(filling("r1", "InProgress"), "r1", id="one that goes on"),
        pytest.param(filling("r1", "Completed", LATER), "r1", id="one that ended meanwhile: its application may run"),
        pytest.param(filling("r1", "Completed", EARLIER), "", id="one that had ended before"),
        pytest.param(filling("r1", "Failed", LATER), "", id="one that failed"),
        pytest.param(filling("r1", "InProgress", marker_only=True), "", id="one that only writes a marker"),
        pytest.param(filling("r2", "InProgress"), "", id="its own, of an earlier attempt"),
    ],
)
def test_a_server_that_starts_anew_sees_who_has_the_claim(seen: PodVolumeRestore, name: str) -> None:
    assert ClaimFillings(FakeLister([seen])).take(CLAIM, restore("r2")) == name
