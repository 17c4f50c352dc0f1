"""Which directories a kubelet makes for which volume, and that they are made and removed without losing data."""

from pathlib import Path

import msgspec
import pytest

from pkg.apis.meta import Json, JsonObject
from pkg.testing.standin_kinds import Claim, PersistentVolume, Pod
from pkg.testing.standin_volumes import Directory, Storage, plan_directories, set_up, tear_down

NOTHING = Storage(claims={}, volumes={})


def pod(*volumes: Json) -> Pod:
    metadata: JsonObject = {"name": "app", "namespace": "shop", "uid": "u1"}
    return msgspec.convert({"metadata": metadata, "spec": {"volumes": list(volumes)}}, Pod)


def storage(spec: JsonObject, *, claim_name: str = "data", phase: str = "Bound") -> Storage:
    metadata: JsonObject = {"name": claim_name, "namespace": "shop"}
    claim = msgspec.convert({"metadata": metadata, "spec": {"volumeName": "pv1"}, "status": {"phase": phase}}, Claim)
    volume = msgspec.convert({"metadata": {"name": "pv1"}, "spec": spec}, PersistentVolume)
    return Storage(claims={("shop", claim_name): claim}, volumes={"pv1": volume})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"emptyDir": {}}, "kubernetes.io~empty-dir/v"),
        ({"secret": {}}, "kubernetes.io~secret/v"),
        ({"configMap": {}}, "kubernetes.io~configmap/v"),
        ({"projected": {}}, "kubernetes.io~projected/v"),
        ({"downwardAPI": {}}, "kubernetes.io~downward-api/v"),
        ({"csi": {"driver": "d"}}, "kubernetes.io~csi/v/mount"),
    ],
)
def test_a_volume_of_the_pod_itself(source: JsonObject, expected: str) -> None:
    planned = plan_directories(pod({"name": "v", **source}), NOTHING)
    assert [one.path for one in planned or ()] == [expected]


def test_a_host_path_has_no_directory() -> None:
    assert plan_directories(pod({"name": "v", "hostPath": {"path": "/"}}), NOTHING) == []


CLAIM: JsonObject = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
CSI: JsonObject = {"driver": "d", "volumeHandle": "h1"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"csi": CSI}, [("kubernetes.io~csi/pv1/mount", "h1")]),
        ({"local": {}}, [("kubernetes.io~local-volume/pv1", "pv1")]),
        ({"nfs": {}}, [("kubernetes.io~nfs/pv1", "pv1")]),
        ({"hostPath": {}}, []),
        ({"csi": CSI, "volumeMode": "Block"}, []),
    ],
)
def test_a_claim_lies_where_its_volume_says(spec: JsonObject, expected: list[tuple[str, str]]) -> None:
    planned = plan_directories(pod(CLAIM), storage(spec))
    assert [(one.path, one.backing) for one in planned or ()] == expected


def test_a_claim_that_is_not_bound_holds_the_pod() -> None:
    assert plan_directories(pod(CLAIM), storage({"csi": CSI}, phase="Pending")) is None
    assert plan_directories(pod(CLAIM), NOTHING) is None


def test_an_ephemeral_volume_has_the_claim_of_pod_and_volume() -> None:
    planned = plan_directories(pod({"name": "v", "ephemeral": {}}), storage({"csi": CSI}, claim_name="app-v"))
    assert [one.backing for one in planned or ()] == ["h1"]


def test_setting_up_again_keeps_what_is_there_and_tearing_down_removes_it(tmp_path: Path) -> None:
    pod_directory = tmp_path / "u1"
    directory = Directory(name="v", path="kubernetes.io~empty-dir/v")
    made = pod_directory / "volumes" / directory.path
    for _ in range(2):
        set_up(directory, pod_directory / "volumes", tmp_path / "backing", "node1")
        (made / "file").touch()
    assert made.stat().st_mode & 0o7777 == 0o777
    tear_down(pod_directory)
    tear_down(pod_directory)
    assert not pod_directory.exists()
