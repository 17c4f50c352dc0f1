"""The init container passes the strictest admission and changes nothing about the pod but the wait."""

from __future__ import annotations

import copy

import pytest

from pkg.apis.meta import JsonObject
from pkg.restore.captures import Capture, PodVolume
from pkg.restore.fields import object_at, objects_at
from pkg.restore.helper import Helper
from pkg.restore.podvolumes import is_best_effort, why_waiting, with_restic_wait

VOLUMES = [PodVolume(volume=name, claim="", capture=Capture(namespace="shop", snapshot_id="1")) for name in "ab"]
LIMITED: JsonObject = {"containers": [{"name": "c", "resources": {"limits": {"memory": "1Gi"}}}]}


def wait_of(spec: JsonObject) -> JsonObject:
    pod = with_restic_wait({"spec": spec}, VOLUMES, restore_uid="uid", helper=Helper(image="ark:1"))
    return objects_at(pod, "spec", "initContainers")[0]


def test_it_satisfies_pod_security_restricted() -> None:
    assert object_at(wait_of({}), "securityContext") == {
        "runAsNonRoot": True,
        "runAsUser": 65534,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_it_runs_the_helper_for_all_volumes() -> None:
    found = wait_of({})
    assert (found["command"], found["args"]) == (["ark-restic-restore-helper"], ["uid", "a", "b"])


def test_the_given_pod_is_left_as_it_is() -> None:
    pod: JsonObject = {"spec": {"containers": [{"name": "c"}]}}
    before = copy.deepcopy(pod)
    with_restic_wait(pod, VOLUMES, restore_uid="uid", helper=Helper(image="ark:1"))
    assert pod == before


def test_without_volumes_nothing_is_added() -> None:
    pod: JsonObject = {"spec": {"containers": []}}
    assert with_restic_wait(pod, [], restore_uid="uid", helper=Helper(image="ark:1")) == pod


@pytest.mark.parametrize(
    ("spec", "best_effort"),
    [
        pytest.param({"containers": [{"name": "c"}]}, True, id="nothing named"),
        pytest.param({"containers": [{"resources": {"limits": {"gpu": 1}}}]}, True, id="only another resource"),
        pytest.param(LIMITED, False, id="a limit"),
        pytest.param({"initContainers": [{"resources": {"requests": {"cpu": "1"}}}]}, False, id="an init container"),
        pytest.param({"resources": {"requests": {"cpu": "1"}}}, False, id="the pod itself"),
    ],
)
def test_the_quality_of_service_stays(spec: JsonObject, best_effort: bool) -> None:
    assert is_best_effort(spec) is best_effort
    named = object_at(wait_of(spec), "resources", "limits") or object_at(wait_of(spec), "resources", "requests")
    assert not (best_effort and named)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param({}, "", id="nothing"),
        pytest.param(
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes"}]},
            "it is not scheduled: 0/3 nodes",
            id="unschedulable",
        ),
        pytest.param(
            {
                "initContainerStatuses": [
                    {"name": "restic-wait", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no image"}}}
                ]
            },
            "restic-wait does not run: ImagePullBackOff no image",
            id="no image",
        ),
    ],
)
def test_a_pod_says_what_it_waits_for(status: JsonObject, expected: str) -> None:
    assert why_waiting({"status": status}) == expected
