"""Every row of the table of changes changes what it is there for, and has its example here (operators.md 21)."""

from __future__ import annotations

import copy
import json

import pytest

from pkg.apis.meta import JsonObject
from pkg.restore.actions import ACTIONS, Action
from pkg.restore.actions_mapping import mapped_image
from pkg.restore.archive import Entry
from pkg.restore.fields import text_at, value_at
from pkg.restore.plan import Facts
from pkg.restore.pod_specs import POD_SPECS

FACTS = Facts(
    namespace_mapping={"shop": "shop-2"},
    storage_classes={"gp2": "fast"},
    images={"old.example/": "new.example/"},
)
ADDRESSED: JsonObject = {
    "spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "healthCheckNodePort": 3, "ports": [{"nodePort": 4}]}
}
EPHEMERAL: JsonObject = {
    "volumes": [{"name": "e", "ephemeral": {"volumeClaimTemplate": {"spec": {"storageClassName": "gp2"}}}}]
}
PROVISIONED: JsonObject = {"volume.kubernetes.io/selected-node": "n", "volume.kubernetes.io/storage-provisioner": "csi"}
TOKEN: JsonObject = {"name": "kube-api-access-abcde", "projected": {}}
SUBJECT: JsonObject = {
    "subjects": [
        {"kind": "ServiceAccount", "name": "web", "namespace": "shop"},
        {"kind": "User", "name": "system:serviceaccount:shop:web"},
        {"kind": "Group", "name": "system:serviceaccounts:shop"},
        {"kind": "Group", "name": "system:serviceaccounts"},
    ]
}
SUBJECT_AFTER: JsonObject = {
    "subjects": [
        {"kind": "ServiceAccount", "name": "web", "namespace": "shop-2"},
        {"kind": "User", "name": "system:serviceaccount:shop-2:web"},
        {"kind": "Group", "name": "system:serviceaccounts:shop-2"},
        {"kind": "Group", "name": "system:serviceaccounts"},
    ]
}
REFERENCES = {
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": '{"webhooks":[{"clientConfig":{"service":%s}}, {}]}',
    "validatingwebhookconfigurations.admissionregistration.k8s.io": '{"webhooks":[{"clientConfig":{"service":%s}}]}',
    "apiservices.apiregistration.k8s.io": '{"spec":{"service":%s}}',
    "customresourcedefinitions.apiextensions.k8s.io": (
        '{"spec":{"conversion":{"webhook":{"clientConfig":{"service":%s}}}}}'
    ),
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": '{"spec":{"paramRef":%s}}',
}

# The row's name -> what it works on -> the same afterwards.
EXAMPLES: dict[str, tuple[JsonObject, JsonObject]] = {
    "no node, priority or debug container": ({"spec": {"nodeName": "n", "priority": 1}}, {"spec": {}}),
    "no token volume": ({"spec": {"volumes": [TOKEN]}}, {"spec": {}}),
    "no restic-wait of an earlier restore": (
        {
            "spec": {
                "initContainers": [{"name": "restic-wait"}, {"name": "own"}],
                "volumes": [{"name": "ark-restore"}, {"name": "ark-restore-given-up"}],
            }
        },
        {"spec": {"initContainers": [{"name": "own"}]}},
    ),
    "no annotation of an earlier backup or restore": (
        {
            "metadata": {
                "annotations": {
                    "snapshot.ark.heptio.com/data": "1a2b3c4d",
                    "restore.ark.heptio.com/given-up": "{}",
                    "restore.ark.heptio.com/hooks-run": "{}",
                    "kept": "yes",
                }
            }
        },
        {"metadata": {"annotations": {"kept": "yes"}}},
    ),
    "no UID of the old job": (
        {"spec": {"template": {"metadata": {"labels": {"batch.kubernetes.io/controller-uid": "1", "app": "a"}}}}},
        {"spec": {"template": {"metadata": {"labels": {"app": "a"}}}}},
    ),
    "no address of the old cluster": (ADDRESSED, {"spec": {"ports": [{}]}}),
    "a claim that binds anew": (
        {"metadata": {"annotations": PROVISIONED}, "spec": {"volumeName": "pv"}},
        {"metadata": {}, "spec": {}},
    ),
    "a claim's storage class follows": (
        {
            "metadata": {"annotations": {"volume.beta.kubernetes.io/storage-class": "gp2"}},
            "spec": {"storageClassName": "gp2"},
        },
        {
            "metadata": {"annotations": {"volume.beta.kubernetes.io/storage-class": "fast"}},
            "spec": {"storageClassName": "fast"},
        },
    ),
    "a volume that binds anew": (
        {"spec": {"claimRef": {"namespace": "shop", "name": "data", "uid": "1", "resourceVersion": "2"}}},
        {"spec": {"claimRef": {"namespace": "shop-2", "name": "data"}}},
    ),
    "a volume's storage class follows": ({"spec": {"storageClassName": "gp2"}}, {"spec": {"storageClassName": "fast"}}),
    "no token of the old cluster": (
        {"type": "kubernetes.io/service-account-token", "data": {"token": "x", "own": "y"}},
        {"type": "kubernetes.io/service-account-token", "data": {"own": "y"}},
    ),
    "subjects follow": (SUBJECT, SUBJECT_AFTER),
    "schedules are paused": ({"spec": {"paused": False}}, {"spec": {"paused": True}}),
}
BY_RESOURCE: dict[tuple[str, str], JsonObject] = {
    ("storage classes of claims to come follow", "pods"): {"spec": EPHEMERAL},
    ("storage classes of claims to come follow", "statefulsets.apps"): {
        "spec": {"volumeClaimTemplates": [{"spec": {"storageClassName": "gp2"}}]}
    },
}


def nested(path: tuple[str, ...], value: JsonObject) -> JsonObject:
    obj: JsonObject = value
    for name in reversed(path):
        obj = {name: obj}
    return obj


def example(row: Action) -> tuple[JsonObject, JsonObject | None]:
    if row.name == "images follow":
        pod: JsonObject = {"initContainers": [{"image": "old.example/a:1"}], "containers": [{"image": "b"}]}
        after: JsonObject = {"initContainers": [{"image": "new.example/a:1"}], "containers": [{"image": "b"}]}
        path = POD_SPECS[row.resource]
        return nested(path, pod), nested(path, after)
    if row.name == "services and parameters follow":
        text = REFERENCES[row.resource]
        return json.loads(text % '{"namespace":"shop"}'), json.loads(text % '{"namespace":"shop-2"}')
    if (row.name, row.resource) in BY_RESOURCE:
        return BY_RESOURCE[row.name, row.resource], None
    return EXAMPLES[row.name]


@pytest.mark.parametrize("row", ACTIONS, ids=lambda row: f"{row.name}, {row.resource}")
def test_a_row_does_what_its_name_says(row: Action) -> None:
    before, expected = example(row)
    changed = copy.deepcopy(before)
    row.change(changed, Entry(group_resource=row.resource, namespace="shop", name="x", offset=0, size=0), FACTS)
    assert changed != before
    assert expected is None or changed == expected
    assert "gp2" not in str(changed)


def test_every_example_belongs_to_a_row() -> None:
    names = {row.name for row in ACTIONS}
    assert EXAMPLES.keys() <= names
    assert {name for name, _ in BY_RESOURCE} <= names


@pytest.mark.parametrize(
    ("image", "mapping", "expected"),
    [
        pytest.param("old/app:1", {"old/": "new/"}, "new/app:1", id="a registry"),
        pytest.param("old/app:1", {"old": "new"}, "new/app:1", id="a registry without its slash"),
        pytest.param("oldest/app", {"old": "new"}, "oldest/app", id="half a word is no part of a name"),
        pytest.param("nginx@sha256:1", {"nginx": "r/nginx"}, "r/nginx@sha256:1", id="a digest"),
        pytest.param("nginx", {"nginx": "r/nginx:2"}, "r/nginx:2", id="the whole name"),
        pytest.param("old/app/x", {"old/": "a/", "old/app/": "b/"}, "b/x", id="the longest prefix counts"),
        pytest.param("other/app", {"old/": "new/"}, "other/app", id="another registry stays"),
    ],
)
def test_an_image_follows_its_registry(image: str, mapping: dict[str, str], expected: str) -> None:
    assert mapped_image(image, mapping) == expected


def test_what_is_in_the_cluster_is_not_renamed_again() -> None:
    live = FACTS.of_live()
    obj: JsonObject = {"spec": {"storageClassName": "gp2"}}
    for row in ACTIONS:
        if row.resource == "persistentvolumeclaims":
            row.change(obj, Entry(group_resource=row.resource, namespace="shop", name="x", offset=0, size=0), live)
    assert text_at(obj, "spec", "storageClassName") == "gp2"
    assert value_at(obj, "spec", "volumeName") is None
