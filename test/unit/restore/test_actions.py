"""Each row of the table of changes."""

from __future__ import annotations

import copy

import msgspec
import pytest

from pkg.apis.meta import Json, JsonObject
from pkg.restore.actions import ACTIONS, labelled, restored
from pkg.restore.archive import Entry
from pkg.restore.fields import object_at
from pkg.restore.plan import Facts

JOBS = "jobs.batch"
BINDINGS = "rolebindings.rbac.authorization.k8s.io"
SCHEDULES = "schedules.ark.heptio.com"
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
FACTS = Facts(
    namespace_mapping={"shop": "shop-2"},
    captured_claims=frozenset({("shop", "captured")}),
    kept_volumes=frozenset({"pv-kept"}),
    jobs_with_data=frozenset({("shop", "loads")}),
)


def entry(resource: str, name: str = "x") -> Entry:
    return Entry(group_resource=resource, namespace="shop", name=name, offset=0, size=0)


def applied(spec: Json) -> JsonObject:
    return {"annotations": {APPLIED: msgspec.json.encode({"spec": spec}).decode()}}


TOKEN_POD: JsonObject = {
    "spec": {
        "serviceAccountName": "web",
        "volumes": [
            {"name": "web-token-abcde", "secret": {}},
            {"name": "kube-api-access-x7x7x", "projected": {}},
            {"name": "kube-api-access-mine", "emptyDir": {}},
            {"name": "other-token-abcde", "secret": {}},
        ],
        "initContainers": [{"name": "i", "volumeMounts": [{"name": "web-token-abcde"}]}],
        "containers": [{"name": "c", "volumeMounts": [{"name": "kube-api-access-x7x7x"}, {"name": "data"}]}],
    }
}
TOKEN_POD_AFTER: JsonObject = {
    "serviceAccountName": "web",
    "volumes": [{"name": "kube-api-access-mine", "emptyDir": {}}, {"name": "other-token-abcde", "secret": {}}],
    "initContainers": [{"name": "i"}],
    "containers": [{"name": "c", "volumeMounts": [{"name": "data"}]}],
}
OLD_WAIT: JsonObject = {
    "spec": {
        "volumes": [{"name": "data"}, {"name": "ark-restore", "emptyDir": {}}],
        "initContainers": [{"name": "restic-wait", "image": "gcr.io/heptio-images/helper:v0.9"}],
    }
}
JOB: JsonObject = {
    "spec": {
        "selector": {"matchLabels": {"controller-uid": "1", "batch.kubernetes.io/controller-uid": "1"}},
        "template": {"metadata": {"labels": {"controller-uid": "1", "batch.kubernetes.io/job-name": "x", "app": "a"}}},
    }
}
MANUAL_JOB: JsonObject = {"spec": {"manualSelector": True, "selector": {"matchLabels": {"controller-uid": "mine"}}}}


@pytest.mark.parametrize(
    ("resource", "before", "expected"),
    [
        pytest.param(
            "pods",
            {"spec": {"nodeName": "n", "priority": 5, "preemptionPolicy": "Never", "ephemeralContainers": [{}]}},
            {},
            id="a pod is placed anew",
        ),
        pytest.param("pods", TOKEN_POD, TOKEN_POD_AFTER, id="token volumes go with their mounts"),
        pytest.param("pods", OLD_WAIT, {"volumes": [{"name": "data"}]}, id="an old restic-wait goes"),
        pytest.param(
            JOBS, JOB, {"template": {"metadata": {"labels": {"app": "a"}}}}, id="a job gets a selector of its own"
        ),
        pytest.param(JOBS, MANUAL_JOB, object_at(MANUAL_JOB, "spec"), id="a manual selector stays"),
        pytest.param(
            "services",
            {"spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "healthCheckNodePort": 30001}},
            {},
            id="cluster addresses go",
        ),
        pytest.param(
            "services",
            {"spec": {"clusterIP": "None", "clusterIPs": ["None"]}},
            {"clusterIP": "None", "clusterIPs": ["None"]},
            id="a headless service stays headless",
        ),
        pytest.param(
            "services",
            {"spec": {"ports": [{"name": "a", "port": 1, "nodePort": 30000}]}},
            {"ports": [{"name": "a", "port": 1}]},
            id="a node port that nobody chose goes",
        ),
        pytest.param(
            "services",
            {
                "metadata": applied({"ports": [{"name": "a", "nodePort": 30000}]}),
                "spec": {"ports": [{"name": "a", "nodePort": 30000}, {"name": "b", "nodePort": 30001}]},
            },
            {"ports": [{"name": "a", "nodePort": 30000}, {"name": "b"}]},
            id="a chosen node port stays, by its name",
        ),
        pytest.param(
            "services",
            {"metadata": {"annotations": {APPLIED: "{"}}, "spec": {"ports": [{"nodePort": 30000}]}},
            {"ports": [{}]},
            id="an annotation that is no JSON chooses nothing",
        ),
        pytest.param(SCHEDULES, {"spec": {"schedule": "@daily"}}, {"schedule": "@daily", "paused": True}, id="paused"),
        pytest.param(
            "persistentvolumes",
            {"spec": {"claimRef": {"namespace": "shop", "name": "a", "uid": "1", "resourceVersion": "2"}}},
            {"claimRef": {"namespace": "shop-2", "name": "a"}},
            id="a volume waits for its claim by name",
        ),
    ],
)
def test_a_spec_comes_back(resource: str, before: JsonObject, expected: JsonObject) -> None:
    untouched = copy.deepcopy(before)
    assert restored(before, entry(resource), FACTS)["spec"] == expected
    assert before == untouched


@pytest.mark.parametrize(
    ("name", "volume", "spec"),
    [
        pytest.param("a", "pv-kept", {"volumeName": "pv-kept", "dataSource": {}}, id="its volume is kept"),
        pytest.param("a", "pv-gone", {"dataSource": {}}, id="its volume is not restored"),
        pytest.param("captured", "pv-gone", {}, id="its contents come from restic"),
    ],
)
def test_a_claim_binds_anew(name: str, volume: str, spec: JsonObject) -> None:
    before: JsonObject = {
        "metadata": {
            "name": name,
            "annotations": {
                "kept": "yes",
                "pv.kubernetes.io/bind-completed": "yes",
                "pv.kubernetes.io/bound-by-controller": "yes",
                "volume.kubernetes.io/selected-node": "n",
                "volume.kubernetes.io/storage-provisioner": "csi",
                "volume.beta.kubernetes.io/storage-provisioner": "csi",
            },
        },
        "spec": {"volumeName": volume, "dataSource": {}},
    }
    after = restored(before, entry("persistentvolumeclaims", name), FACTS)
    assert after["spec"] == spec
    assert object_at(after, "metadata", "annotations") == {"kept": "yes"}


def test_a_job_whose_pods_carry_data_keeps_the_selector_that_adopts_them() -> None:
    after = restored(JOB, entry(JOBS, "loads"), FACTS)
    assert after["spec"] == {**object_at(JOB, "spec"), "manualSelector": True}


def test_a_token_secret_is_emptied_for_the_cluster_to_fill() -> None:
    before: JsonObject = {
        "type": "kubernetes.io/service-account-token",
        "metadata": {
            "name": "t",
            "annotations": {"kubernetes.io/service-account.uid": "1", "kubernetes.io/service-account.name": "web"},
        },
        "data": {"token": "eA==", "ca.crt": "eA==", "namespace": "eA==", "own": "eA=="},
    }
    assert restored(before, entry("secrets"), FACTS) == {
        "type": "kubernetes.io/service-account-token",
        "metadata": {"name": "t", "annotations": {"kubernetes.io/service-account.name": "web"}},
        "data": {"own": "eA=="},
    }


def test_another_secret_keeps_its_data() -> None:
    before: JsonObject = {"type": "Opaque", "metadata": {"name": "t"}, "data": {"token": "eA=="}}
    assert restored(before, entry("secrets"), FACTS) == before


def test_subjects_of_a_role_binding_follow_their_namespace() -> None:
    subjects: list[Json] = [{"kind": "ServiceAccount", "namespace": "shop"}, {"kind": "User", "name": "u"}]
    after = restored({"metadata": {"name": "b"}, "subjects": subjects}, entry(BINDINGS), FACTS)
    assert after["subjects"] == [{"kind": "ServiceAccount", "namespace": "shop-2"}, {"kind": "User", "name": "u"}]


def test_identity_and_status_go_and_labels_stay() -> None:
    before: JsonObject = {
        "kind": "ConfigMap",
        "metadata": {
            "name": "x",
            "namespace": "shop",
            "uid": "1",
            "resourceVersion": "2",
            "generateName": "x-",
            "ownerReferences": [{"uid": "3"}],
            "managedFields": [{}],
            "finalizers": ["f"],
            "labels": {"app": "a", "ark-restore": "old", "ark.heptio.com/restore-uid": "old"},
            "annotations": {},
        },
        "status": {"phase": "x"},
    }
    after = restored(before, entry("configmaps"), FACTS)
    assert after == {"kind": "ConfigMap", "metadata": {"name": "x", "labels": {"app": "a"}}}
    assert labelled(after, namespace="n", labels={"l": "v"})["metadata"] == {
        "name": "x",
        "namespace": "n",
        "labels": {"app": "a", "l": "v"},
    }


def test_snapshot_annotations_of_an_old_backup_go() -> None:
    pod: JsonObject = {"metadata": {"name": "p", "annotations": {"snapshot.ark.heptio.com/data": "1a2b3c4d"}}}
    assert restored(pod, entry("pods"), FACTS)["metadata"] == {"name": "p"}


@pytest.mark.parametrize("row", ACTIONS, ids=lambda row: str(row.name))
@pytest.mark.parametrize(
    "obj",
    [
        pytest.param({}, id="empty"),
        pytest.param({"metadata": None, "spec": None}, id="nulls"),
        pytest.param({"metadata": [], "spec": "x", "subjects": 1}, id="other types"),
        pytest.param({"spec": {"volumes": "x", "ports": [1, None], "selector": []}}, id="other types deeper"),
    ],
)
def test_no_row_trips_over_a_strange_object(row: object, obj: JsonObject) -> None:
    for action in ACTIONS:
        if action is row:
            action.change(copy.deepcopy(obj), entry(action.resource), FACTS)
