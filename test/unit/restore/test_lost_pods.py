"""A pod that goes away in mid-restore is told with what to do, whoever noticed it: the agent or the server."""

from __future__ import annotations

import pytest

from pkg.apis.meta import JsonObject
from pkg.apis.reasons import Reason
from pkg.apis.volumes import PodVolumeRestoreStatus
from pkg.testing.fakerestore import RestoreWorld, captured

CONTAINER: JsonObject = {"name": "app", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
VOLUME: JsonObject = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}


@pytest.fixture
def world() -> RestoreWorld:
    made = RestoreWorld()
    made.add_repository("shop")
    pod: JsonObject = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"volumes": [VOLUME], "containers": [CONTAINER]},
        "status": {"phase": "Running"},
    }
    claim: JsonObject = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "shop"},
        "spec": {"volumeName": "pv-1"},
    }
    made.store_backup(pod, claim, volumes=[captured("shop", "web", "data", claim="data")])
    return made


@pytest.mark.parametrize(
    ("reason", "advised"),
    [
        pytest.param(Reason.POD_DELETED, True, id="the pod is being deleted"),
        pytest.param(Reason.POD_GONE, True, id="the pod is not there any more"),
        pytest.param(Reason.NO_PROGRESS, False, id="something else"),
    ],
)
def test_what_an_agent_noticed_comes_with_advice(world: RestoreWorld, reason: Reason, *, advised: bool) -> None:
    def act() -> None:
        world.schedule()
        for name in world.agents.specs:
            world.agents.statuses[name] = PodVolumeRestoreStatus(phase="Failed", reason=reason.value, message="it went")

    world.agents.on_wait = act
    outcome = world.restore()
    assert (outcome.phase, outcome.reason, outcome.errors) == ("PartiallyFailed", Reason.VOLUMES_MISSING, 1)
    assert ("delete the controller and the claim, and restore again" in str(world.results().errors)) is advised
