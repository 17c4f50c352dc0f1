"""A pod learns of volumes that nobody will fill, whatever its node does."""

from __future__ import annotations

import msgspec
import pytest

from pkg.apis.meta import Json, JsonObject
from pkg.apis.reasons import Reason
from pkg.kube import refs
from pkg.kube.errors import TransportError
from pkg.restore.fields import texts_at
from pkg.restore.given_up import given_up_text, tell_pod
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakerestore import RESTORE_UID, RestoreWorld, captured

ANNOTATION = "restore.ark.heptio.com/given-up"


def pod() -> JsonObject:
    mounts: list[Json] = [{"name": name, "mountPath": f"/{name}"} for name in ("a", "b")]
    spec: JsonObject = {
        "volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {}}],
        "containers": [{"name": "app", "volumeMounts": mounts}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"}, "spec": spec}


@pytest.fixture
def world() -> RestoreWorld:
    made = RestoreWorld()
    made.add_repository("shop")
    made.store_backup(pod(), volumes=[captured("shop", "web", "a"), captured("shop", "web", "b")])
    return made


def told(world: RestoreWorld) -> object:
    found = world.api.get(refs.PODS, "shop", "web")
    assert found is not None
    return msgspec.json.decode(texts_at(found, "metadata", "annotations")[ANNOTATION])


@pytest.mark.parametrize("reason", [Reason.NO_AGENT, Reason.NODE_GONE])
def test_a_node_without_an_agent(world: RestoreWorld, reason: Reason) -> None:
    world.agents.verdicts["node-1"] = (reason, "no agent tolerates the taint x")
    world.agents.on_wait = world.schedule
    world.restore()
    text = f"{reason}: no agent tolerates the taint x"
    assert told(world) == {"restore": RESTORE_UID, "volumes": {"a": text, "b": text}}


def test_a_pod_that_is_never_scheduled(world: RestoreWorld) -> None:
    world.agents.on_wait = lambda: None
    world.restore()
    assert "waited for the pod to be scheduled" in str(told(world))


def test_a_pod_that_is_gone_or_another_needs_no_word() -> None:
    api = FakeApi()
    tell_pod(api.client, ("shop", "web", "uid"), RESTORE_UID, {"a": "gone"})
    api.add(refs.PODS, pod())
    tell_pod(api.client, ("shop", "web", "another-uid"), RESTORE_UID, {"a": "gone"})
    found = api.get(refs.PODS, "shop", "web")
    assert found is not None
    assert ANNOTATION not in texts_at(found, "metadata", "annotations")


def test_an_api_that_is_away_does_not_end_the_restore() -> None:
    api = FakeApi()
    api.add(refs.PODS, pod())
    api.fail_next(TransportError("down"), method="PATCH", ref=refs.PODS)
    tell_pod(api.client, ("shop", "web", ""), RESTORE_UID, {"a": "gone"})


def test_a_long_reason_is_cut() -> None:
    assert len(given_up_text("uid", {"a": "x" * 10_000})) < 1000
