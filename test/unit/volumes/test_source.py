"""Where a volume lies, from what the API says."""

from __future__ import annotations

import msgspec
import pytest

from pkg.apis.core import PersistentVolume, PersistentVolumeClaim, Pod, Volume
from pkg.apis.reasons import Reason
from pkg.apis.volumes import VolumeSource
from pkg.volumes.selection import Rejected
from pkg.volumes.source import volume_source

POD = msgspec.convert({"metadata": {"name": "db-0", "namespace": "shop"}}, Pod)
WITH_CLAIM = {"name": "data", "persistentVolumeClaim": {"claimName": "c"}}
BOUND = {"metadata": {"name": "c", "uid": "claim-uid"}, "spec": {"volumeName": "pv1", "volumeMode": "Filesystem"}}


def source(volume: object, claim: object = None, pv: object = None) -> VolumeSource | Rejected:
    return volume_source(
        POD,
        msgspec.convert(volume, Volume),
        msgspec.convert(claim, PersistentVolumeClaim) if claim else None,
        msgspec.convert({"metadata": {"name": "pv1"}, "spec": pv}, PersistentVolume) if pv is not None else None,
    )


@pytest.mark.parametrize(
    ("volume", "pv", "directory", "must_be_mount"),
    [
        pytest.param({"name": "v", "emptyDir": {}}, None, "kubernetes.io~empty-dir/v", False, id="emptyDir"),
        pytest.param(
            {"name": "v", "emptyDir": {"medium": "Memory"}}, None, "kubernetes.io~empty-dir/v", True, id="memory"
        ),
        pytest.param({"name": "v", "csi": {"driver": "d"}}, None, "kubernetes.io~csi/v/mount", True, id="csi inline"),
        pytest.param({"name": "v", "nfs": {}}, None, "kubernetes.io~nfs/v", True, id="nfs"),
        pytest.param({"name": "v", "iscsi": {}}, None, "*/v", True, id="another kind"),
        pytest.param(WITH_CLAIM, {"csi": {"driver": "d"}}, "kubernetes.io~csi/pv1/mount", True, id="csi"),
        pytest.param(WITH_CLAIM, {"local": {}}, "kubernetes.io~local-volume/pv1", True, id="local"),
        pytest.param(WITH_CLAIM, {"nfs": {}}, "kubernetes.io~nfs/pv1", True, id="nfs pv"),
        pytest.param(WITH_CLAIM, {"rbd": {}}, "*/pv1", True, id="another pv"),
    ],
)
def test_the_directory(volume: object, pv: object, directory: str, must_be_mount: bool) -> None:
    found = source(volume, BOUND if pv is not None else None, pv)
    assert isinstance(found, VolumeSource)
    assert (found.directory, found.must_be_mount) == (directory, must_be_mount)


def test_a_bound_claim_is_named_in_full() -> None:
    found = source(WITH_CLAIM, BOUND, {"csi": {"driver": "d"}})
    assert isinstance(found, VolumeSource)
    assert (found.claim_name, found.claim_uid, found.pv_name, found.driver) == ("c", "claim-uid", "pv1", "d")


@pytest.mark.parametrize(
    ("claim", "pv", "reason"),
    [
        pytest.param(None, None, Reason.INTERNAL, id="the claim is gone"),
        pytest.param({"metadata": {"name": "c"}}, None, Reason.NOT_RUNNING, id="the claim is not bound"),
        pytest.param(BOUND, None, Reason.NOT_RUNNING, id="the persistent volume is gone"),
        pytest.param(BOUND, {"hostPath": {}}, Reason.HOST_PATH, id="a hostPath behind a claim"),
        pytest.param(BOUND, {"csi": {}, "volumeMode": "Block"}, Reason.BLOCK_MODE, id="a raw block volume"),
        pytest.param(
            {"metadata": {"name": "c"}, "spec": {"volumeName": "pv1", "volumeMode": "Block"}},
            {"csi": {}},
            Reason.BLOCK_MODE,
            id="a claim for a raw block volume",
        ),
    ],
)
def test_a_claim_that_cannot_be_captured(claim: object, pv: object, reason: Reason) -> None:
    found = source(WITH_CLAIM, claim, pv)
    assert isinstance(found, Rejected)
    assert (found.volume, found.reason) == ("data", reason)
