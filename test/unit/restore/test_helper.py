"""How restic-wait is configured, and that its resources fit where the pod's own fit."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pkg.apis.meta import Json, JsonObject, ObjectMeta
from pkg.restore.captures import Capture, PodVolume
from pkg.restore.config_maps import ConfigMap
from pkg.restore.fields import object_at, objects_at
from pkg.restore.helper import SECURITY, Helper, configured_helper
from pkg.restore.podvolumes import with_restic_wait
from pkg.restore.quantities import quantity, resources_within

VOLUME = PodVolume(volume="data", claim="", capture=Capture(namespace="shop", snapshot_id="1"))


def configured(**data: str) -> tuple[Helper, list[str]]:
    return configured_helper([ConfigMap(metadata=ObjectMeta(name="helper"), data=data)], "ark:1")


def wait_of(helper: Helper, spec: JsonObject | None = None) -> JsonObject:
    pod = with_restic_wait({"spec": spec or {}}, [VOLUME], restore_uid="uid", helper=helper)
    return objects_at(pod, "spec", "initContainers")[0]


def container(requests: dict[str, Json] | None = None, limits: dict[str, Json] | None = None) -> Json:
    return {"name": "c", "resources": {"requests": {**(requests or {})}, "limits": {**(limits or {})}}}


def test_without_a_config_map_the_image_is_the_manifests() -> None:
    assert configured_helper([], "ark:1") == (Helper(image="ark:1"), [])


def test_every_key_counts() -> None:
    helper, problems = configured(
        image="registry.example/ark:2",
        command='["/bin/helper", "wait"]',
        cpuRequest="50m",
        memRequest="64Mi",
        cpuLimit="1",
        memLimit="1Gi",
        secCtxRunAsUser="1001",
        secCtxRunAsGroup="1002",
        timeout="4h",
    )
    assert problems == []
    found = wait_of(helper)
    assert (found["image"], found["command"]) == ("registry.example/ark:2", ["/bin/helper", "wait"])
    assert found["resources"] == {
        "requests": {"cpu": "50m", "memory": "64Mi"},
        "limits": {"cpu": "1", "memory": "1Gi"},
    }
    assert found["securityContext"] == {**SECURITY, "runAsUser": 1001, "runAsGroup": 1002}
    assert found["env"] == [{"name": "ARK_RESTORE_TIMEOUT_SECONDS", "value": "14400"}]


def test_a_whole_security_context_replaces_ours() -> None:
    helper, problems = configured(secCtx="capabilities:\n  drop: [ALL]\nrunAsUser: 0\n")
    assert (problems, helper.security) == ([], {"capabilities": {"drop": ["ALL"]}, "runAsUser": 0})


def test_root_is_not_refused_by_our_own_default() -> None:
    helper, _ = configured(secCtxRunAsUser="0", secCtxAllowPrivilegeEscalation="true")
    assert "runAsNonRoot" not in helper.security
    assert helper.security["allowPrivilegeEscalation"] is True


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        pytest.param({"cpuRequest": "much"}, 'ConfigMap helper: cpuRequest: "much" is no quantity', id="a quantity"),
        pytest.param({"secCtxRunAsUser": "me"}, 'ConfigMap helper: secCtxRunAsUser: "me" is no number', id="a user"),
        pytest.param({"secCtx": "- x"}, "ConfigMap helper: secCtx is no security context", id="a context"),
        pytest.param({"secCtx": "{"}, "ConfigMap helper: secCtx is no security context", id="no YAML"),
        pytest.param({"timeout": "soon"}, 'ConfigMap helper: timeout: invalid duration "soon"', id="a duration"),
        pytest.param({"command": "[1]"}, "ConfigMap helper: command: ", id="a command"),
        pytest.param({"imagee": "x"}, 'ConfigMap helper: "imagee" is no key', id="a key nobody knows"),
    ],
)
def test_what_means_nothing_is_said_and_the_default_counts(data: dict[str, str], problem: str) -> None:
    helper, [text] = configured(**data)
    assert text.startswith(problem)
    assert wait_of(helper)["securityContext"] == SECURITY


def test_two_config_maps_count_for_nothing() -> None:
    maps = [ConfigMap(metadata=ObjectMeta(name=name), data={"image": name}) for name in ("b", "a")]
    helper, [text] = configured_helper(maps, "ark:1")
    assert helper.image == "ark:1"
    assert "more than one ConfigMap (a, b)" in text


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        pytest.param([], {}, id="none named, so BestEffort stays"),
        pytest.param(
            [container({"cpu": "10m"}, {"cpu": "20m"})],
            {"requests": {"cpu": "10m"}, "limits": {"cpu": "20m"}},
            id="a small pod gets no more than it has",
        ),
        pytest.param(
            [container({"cpu": 2, "memory": "4Gi"}, {"cpu": 2, "memory": "4Gi"})],
            {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}},
            id="a guaranteed pod stays guaranteed",
        ),
        pytest.param(
            [container({"cpu": "10m", "memory": "1Gi"}), container({"cpu": "1", "memory": "16Mi"})],
            {"requests": {"cpu": "100m", "memory": "128Mi"}},
            id="the default where it lies between them",
        ),
        pytest.param([container({"nvidia.com/gpu": 1})], {}, id="other resources are not copied"),
    ],
)
def test_resources_stay_within_what_the_pod_has(containers: list[Json], expected: JsonObject) -> None:
    assert resources_within({"containers": containers}, {}) == expected


def test_what_an_operator_chose_counts_as_it_is() -> None:
    chosen = {"limits": {"memory": "32Mi"}}
    found = resources_within({"containers": [container({"cpu": "1"}, {"memory": "1Gi"})]}, chosen)
    assert found == {"requests": {"cpu": "1"}, "limits": {"memory": "32Mi"}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("100m", "0.1", id="thousandths"),
        pytest.param("1Ki", "1024", id="binary"),
        pytest.param("1.5", "1.5", id="a fraction"),
        pytest.param(2, "2", id="a number"),
        pytest.param("1e3", "1000", id="an exponent"),
        pytest.param("2M", "2000000", id="decimal"),
    ],
)
def test_a_quantity_is_read(text: Json, expected: str) -> None:
    assert quantity(text) == Decimal(expected)


@pytest.mark.parametrize("value", ["", "much", "-1", None, [], "1KiB"])
def test_what_is_no_quantity_is_none(value: Json) -> None:
    assert quantity(value) is None


def test_what_no_agent_can_tell_is_shown_through_the_downward_api() -> None:
    pod = with_restic_wait({"spec": {}}, [VOLUME], restore_uid="uid", helper=Helper(image="ark:1"))
    volumes = {volume["name"]: volume for volume in objects_at(pod, "spec", "volumes")}
    [item] = objects_at(volumes["ark-restore-given-up"], "downwardAPI", "items")
    assert object_at(item, "fieldRef") == {"fieldPath": "metadata.annotations['restore.ark.heptio.com/given-up']"}
