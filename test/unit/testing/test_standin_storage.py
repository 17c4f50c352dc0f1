"""Which claims get a volume from which stand-in, and which volumes go."""

import msgspec
import pytest

from pkg.apis.meta import JsonObject
from pkg.testing.standin_kinds import Claim, PersistentVolume, StorageClass
from pkg.testing.standin_storage import PROVISIONED_BY, SELECTED_NODE, to_provision, to_reclaim, volume_for
from pkg.testing.standin_volumes import DRIVER


def storage_class(name: str, provisioner: str = DRIVER, mode: str = "Immediate") -> StorageClass:
    content = {"metadata": {"name": name}, "provisioner": provisioner, "volumeBindingMode": mode}
    return msgspec.convert(content, StorageClass)


CLASSES = {
    "now": storage_class("now"),
    "wait": storage_class("wait", mode="WaitForFirstConsumer"),
    "foreign": storage_class("foreign", provisioner="somebody.else"),
}


def claim(storage_class_name: str | None, *, phase: str = "Pending", volume: str = "", node: str = "") -> Claim:
    annotations: JsonObject = {SELECTED_NODE: node} if node else {}
    return msgspec.convert(
        {
            "metadata": {"name": "data", "namespace": "shop", "uid": "c1", "annotations": annotations},
            "spec": {
                "storageClassName": storage_class_name,
                "volumeName": volume,
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
            "status": {"phase": phase},
        },
        Claim,
    )


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [
        pytest.param(claim("now"), True, id="a pending claim of our class is ours"),
        pytest.param(claim("wait", node="node1"), True, id="a claim whose pod was scheduled here is ours"),
        pytest.param(claim("wait", node="node2"), False, id="a claim whose pod was scheduled elsewhere is not"),
        pytest.param(claim("wait"), False, id="a claim that waits for its first pod is left to wait"),
        pytest.param(claim("foreign"), False, id="a claim of another provisioner is not ours"),
        pytest.param(claim(None), False, id="a claim without a class is not ours"),
        pytest.param(claim("now", volume="pv9"), False, id="a claim that names its volume waits for that one"),
        pytest.param(claim("now", phase="Bound"), False, id="a bound claim needs nothing"),
    ],
)
def test_whose_claim_it_is(waiting: Claim, expected: bool) -> None:
    assert to_provision([waiting], CLASSES, "node1") == ([waiting] if expected else [])


def test_a_volume_is_named_after_its_claim_so_that_two_provisioners_make_one() -> None:
    made = msgspec.convert(volume_for(claim("now"), CLASSES["now"]), PersistentVolume)
    assert made.metadata.name == "pvc-c1"
    assert made.spec.csi
    assert made.spec.csi.volume_handle == "pvc-c1"
    assert made.spec.claim_ref
    assert made.spec.claim_ref.uid == "c1"


@pytest.mark.parametrize(
    ("phase", "policy", "provisioner", "expected"),
    [
        pytest.param("Released", "Delete", DRIVER, True, id="released, to be deleted, ours"),
        pytest.param("Released", "Retain", DRIVER, False, id="retained data stay"),
        pytest.param("Released", "Delete", "somebody.else", False, id="another provisioner's data stay"),
        pytest.param("Bound", "Delete", DRIVER, False, id="data in use stay"),
    ],
)
def test_which_volumes_go(phase: str, policy: str, provisioner: str, expected: bool) -> None:
    volume = msgspec.convert(
        {
            "metadata": {"name": "pv1", "annotations": {PROVISIONED_BY: provisioner}},
            "spec": {"persistentVolumeReclaimPolicy": policy},
            "status": {"phase": phase},
        },
        PersistentVolume,
    )
    assert bool(to_reclaim([volume])) is expected
