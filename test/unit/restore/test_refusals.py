"""Each row of the table of what is never restored."""

from __future__ import annotations

import pytest

from pkg.apis.meta import JsonObject
from pkg.restore.archive import Entry
from pkg.restore.plan import Facts
from pkg.restore.refusals import refusal_of, refusal_of_resource

FACTS = Facts(
    kept_volumes=frozenset({"pv-kept"}),
    selector_services=frozenset({("shop", "web")}),
    jobs_with_data=frozenset({("shop", "loads")}),
)
SLICES = "endpointslices.discovery.k8s.io"
API_SERVICES = "apiservices.apiregistration.k8s.io"
CRDS = "customresourcedefinitions.apiextensions.k8s.io"


def refused(resource: str, name: str, obj: JsonObject) -> bool:
    entry = Entry(group_resource=resource, namespace="shop", name=name, offset=0, size=0)
    return bool(refusal_of(obj, entry, FACTS))


def meta(**fields: dict[str, str]) -> JsonObject:
    return {"metadata": {key: dict(value) for key, value in fields.items()}}


OWNER: JsonObject = {"metadata": {"ownerReferences": [{"kind": "Pod", "controller": True}]}}
SET_OWNER: JsonObject = {"metadata": {"ownerReferences": [{"kind": "StatefulSet", "controller": True}]}}
JOB_OWNER: JsonObject = {"metadata": {"ownerReferences": [{"kind": "Job", "name": "once", "controller": True}]}}
DATA_JOB_OWNER: JsonObject = {"metadata": {"ownerReferences": [{"kind": "Job", "name": "loads", "controller": True}]}}
FAILED_JOB: JsonObject = {"status": {"conditions": [{"type": "Failed", "status": "True"}]}}
RUNNING_JOB: JsonObject = {"status": {"conditions": [{"type": "Complete", "status": "False"}], "active": 1}}
MANAGED = meta(labels={"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"})
BY_HAND = meta(labels={"endpointslice.kubernetes.io/managed-by": "staff", "kubernetes.io/service-name": "ext"})
AUTO = meta(labels={"kube-aggregator.kubernetes.io/automanaged": "onstart"})


@pytest.mark.parametrize(
    ("resource", "name", "obj", "expected"),
    [
        pytest.param("pods", "p", meta(annotations={"kubernetes.io/config.mirror": "x"}), True, id="a mirror pod"),
        pytest.param("pods", "p", {"status": {"phase": "Succeeded"}}, True, id="a pod that succeeded"),
        pytest.param("pods", "p", {"status": {"phase": "Failed"}}, True, id="a pod that failed"),
        pytest.param("pods", "p", {"status": {"phase": "Running"}}, False, id="a running pod"),
        pytest.param("pods", "p", {"status": {"phase": "Pending"}}, False, id="a pending pod"),
        pytest.param("pods", "p", JOB_OWNER, True, id="a pod that its job makes anew"),
        pytest.param("pods", "p", DATA_JOB_OWNER, False, id="a pod of a job that carries data"),
        pytest.param("pods", "p", SET_OWNER, False, id="a pod of a stateful set"),
        pytest.param("jobs.batch", "j", {"status": {"completionTime": "2026"}}, True, id="a job that completed"),
        pytest.param("jobs.batch", "j", FAILED_JOB, True, id="a job that failed"),
        pytest.param("jobs.batch", "j", RUNNING_JOB, False, id="a running job"),
        pytest.param("endpoints", "web", {}, True, id="endpoints of a service with a selector"),
        pytest.param("endpoints", "ext", {}, False, id="endpoints that a person made"),
        pytest.param(SLICES, "web-1", MANAGED, True, id="a slice of the controller"),
        pytest.param(SLICES, "ext-1", BY_HAND, False, id="a slice that a person made"),
        pytest.param("persistentvolumes", "pv-kept", {}, False, id="a volume that is kept"),
        pytest.param("persistentvolumes", "pv-1", {}, True, id="a volume that is made anew"),
        pytest.param("persistentvolumeclaims", "c", OWNER, True, id="a claim of an ephemeral volume"),
        pytest.param("persistentvolumeclaims", "c", SET_OWNER, False, id="a claim of a stateful set"),
        pytest.param("configmaps", "kube-root-ca.crt", {}, True, id="the cluster's certificate"),
        pytest.param("configmaps", "ca.crt", {}, False, id="another certificate"),
        pytest.param(API_SERVICES, "v1.", AUTO, True, id="a local API service"),
        pytest.param(API_SERVICES, "v1beta1.metrics.k8s.io", {}, False, id="an aggregated API service"),
        pytest.param(
            CRDS, "backups.ark.heptio.com", {"spec": {"group": "ark.heptio.com"}}, True, id="Ark's definition"
        ),
        pytest.param(CRDS, "w.example.com", {"spec": {"group": "example.com"}}, False, id="another definition"),
    ],
)
def test_an_object_is_restored_or_not(resource: str, name: str, obj: JsonObject, expected: bool) -> None:
    assert refused(resource, name, obj) is expected


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ("nodes", True),
        ("events", True),
        ("events.events.k8s.io", True),
        ("leases.coordination.k8s.io", True),
        ("csinodes.storage.k8s.io", True),
        ("volumeattachments.storage.k8s.io", True),
        ("backups.ark.heptio.com", True),
        ("restores.ark.heptio.com", True),
        ("deletebackuprequests.ark.heptio.com", True),
        ("downloadrequests.ark.heptio.com", True),
        ("podvolumebackups.ark.heptio.com", True),
        ("podvolumerestores.ark.heptio.com", True),
        ("resticrepositories.ark.heptio.com", True),
        ("schedules.ark.heptio.com", False),
        ("configs.ark.heptio.com", False),
        ("pods", False),
    ],
)
def test_a_resource_is_restored_or_not(resource: str, expected: bool) -> None:
    assert bool(refusal_of_resource(resource)) is expected


def test_a_pod_of_a_job_comes_back_where_its_job_does_not() -> None:
    entry = Entry(group_resource="pods", namespace="shop", name="p", offset=0, size=0)
    assert not refusal_of(JOB_OWNER, entry, Facts(jobs_restored=False))
