"""Workloads wait for the data of their pods, so that no pod starts on a claim that is not filled."""

from __future__ import annotations

import dataclasses

import pytest

from pkg.apis.ark import RestoreSpec
from pkg.apis.meta import Json, JsonObject
from pkg.apis.volumes import PodVolumeRestoreStatus
from pkg.kube import refs
from pkg.kube.errors import InvalidError
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken
from pkg.restore.engine import run_restore
from pkg.restore.held import claims_used
from pkg.testing.fakerestore import DEPLOYMENTS, RestoreWorld, captured

DATA = captured("shop", "web", "data", claim="data")
MOUNTS: JsonObject = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}


def obj(kind: str, name: str, api_version: str = "v1", **fields: Json) -> JsonObject:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "shop"}, **fields}


def pod() -> JsonObject:
    container: JsonObject = {"name": "app", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    return obj("Pod", "web", spec={**MOUNTS, "containers": [container]}, status={"phase": "Running"})


CLAIM = obj("PersistentVolumeClaim", "data", spec={})
DEPLOYMENT = obj("Deployment", "web", "apps/v1", spec={"replicas": 3, "template": {"spec": MOUNTS}})
OTHER = obj("Deployment", "other", "apps/v1", spec={"template": {"spec": {"containers": []}}})


@pytest.fixture
def world() -> RestoreWorld:
    made = RestoreWorld()
    made.add_repository("shop")
    return made


def seen_while_filling(world: RestoreWorld) -> list[tuple[bool, bool]]:
    """Whether the two deployments were there each time that the engine waited for the volumes."""
    seen: list[tuple[bool, bool]] = []

    def act() -> None:
        seen.append((exists(world, "web"), exists(world, "other")))
        world.behave()

    world.agents.on_wait = act
    return seen


def exists(world: RestoreWorld, name: str, ref: ResourceRef = DEPLOYMENTS) -> bool:
    return world.api.get(ref, "shop", name) is not None


def test_a_controller_comes_when_the_claims_of_its_pods_are_filled(world: RestoreWorld) -> None:
    world.store_backup(pod(), CLAIM, DEPLOYMENT, OTHER, volumes=[DATA])
    seen = seen_while_filling(world)
    outcome = world.restore()
    assert (outcome.phase, outcome.errors) == ("Completed", 0)
    assert outcome.items.items_done == outcome.items.total_items == 4
    assert seen
    assert all(one == (False, True) for one in seen)
    assert exists(world, "web")


def test_a_controller_does_not_come_while_a_claim_of_its_pods_lacks_its_contents(world: RestoreWorld) -> None:
    world.store_backup(pod(), CLAIM, DEPLOYMENT, OTHER, volumes=[DATA])

    def fail() -> None:
        world.schedule()
        for name in world.agents.statuses:
            world.agents.statuses[name] = PodVolumeRestoreStatus(phase="Failed", reason="NoProgress", message="stuck")

    world.agents.on_wait = fail
    outcome = world.restore()
    assert (outcome.phase, outcome.errors) == ("PartiallyFailed", 2)
    assert (exists(world, "web"), exists(world, "other")) == (False, True)
    texts = (world.results().errors.namespaces or {})["shop"]
    assert any("its pods would start without the contents of data" in text for text in texts)


def test_nor_where_the_pod_that_would_bring_the_data_is_refused(world: RestoreWorld) -> None:
    world.store_backup(pod(), CLAIM, DEPLOYMENT, volumes=[DATA])
    world.api.fail_next(InvalidError("quota", code=422), method="POST", ref=refs.PODS)
    assert world.restore().phase == "PartiallyFailed"
    assert not exists(world, "web")


def test_a_restore_without_pods_brings_the_controller_at_once(world: RestoreWorld) -> None:
    world.store_backup(pod(), CLAIM, DEPLOYMENT, volumes=[DATA])
    outcome = world.restore(RestoreSpec(backup_name="b1", excluded_resources=("pods",)))
    assert (outcome.phase, exists(world, "web")) == ("Completed", True)


def test_named_kinds_wait_for_the_end_of_all_volumes_however_they_end(world: RestoreWorld) -> None:
    world.store_backup(pod(), CLAIM, OTHER, volumes=[DATA])
    seen = seen_while_filling(world)
    world.restore(RestoreSpec(backup_name="b1", restore_last=("deployments",)))
    assert seen
    assert not any(other for _, other in seen)
    assert exists(world, "other")


def test_a_kind_that_nobody_knows_is_an_error(world: RestoreWorld) -> None:
    world.store_backup(OTHER)
    outcome = world.restore(RestoreSpec(backup_name="b1", restore_last=("widgetz",)))
    assert (outcome.errors, exists(world, "other")) == (1, True)


def test_a_process_that_ends_while_they_wait_leaves_them_to_the_next_one(world: RestoreWorld) -> None:
    world.store_backup(pod(), CLAIM, DEPLOYMENT, volumes=[DATA])
    stop = StopToken()
    world.agents.on_wait = lambda: stop.cancel("shutdown")
    with pytest.raises(Exception, match="shutdown"):
        world.restore(stop=stop)
    assert not exists(world, "web")
    world.agents.on_wait = world.behave
    assert run_restore(dataclasses.replace(world.job(RestoreSpec(backup_name="b1"))), StopToken()).errors == 0
    assert exists(world, "web")


def test_a_cancelled_restore_does_not_bring_them(world: RestoreWorld) -> None:
    world.store_backup(pod(), CLAIM, DEPLOYMENT, volumes=[DATA])
    stop = StopToken()
    world.agents.on_wait = lambda: stop.cancel("Canceled")
    outcome = world.restore(stop=stop)
    assert (outcome.phase, outcome.reason, exists(world, "web")) == ("PartiallyFailed", "Canceled", False)


@pytest.mark.parametrize(
    ("resource", "found", "expected"),
    [
        pytest.param("deployments.apps", DEPLOYMENT, ["data"], id="a template that mounts it"),
        pytest.param("deployments.apps", OTHER, [], id="a template that does not"),
        pytest.param("pods", pod(), [], id="a pod waits by itself"),
        pytest.param("widgets.example.com", DEPLOYMENT, [], id="a kind of others"),
        pytest.param(
            "statefulsets.apps",
            obj("StatefulSet", "db", "apps/v1", spec={"volumeClaimTemplates": [{"metadata": {"name": "disk"}}]}),
            ["disk-db-0", "disk-db-12"],
            id="the claims of a stateful set",
        ),
        pytest.param(
            "cronjobs.batch",
            obj("CronJob", "c", "batch/v1", spec={"jobTemplate": {"spec": {"template": {"spec": MOUNTS}}}}),
            ["data"],
            id="a cron job",
        ),
    ],
)
def test_which_claims_a_workload_uses(resource: str, found: JsonObject, expected: list[str]) -> None:
    claims = {"data", "disk-db-0", "disk-db-12", "disk-db-x", "disk-dbx-0"}
    assert claims_used(found, resource, claims) == expected
