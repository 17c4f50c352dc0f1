"""Two Restores of one backup at the same time: one does each thing, the other says why it did not."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from pkg.apis.ark import RestoreSpec
from pkg.apis.meta import JsonObject, ObjectMeta
from pkg.apis.reasons import Reason
from pkg.kube import refs
from pkg.kube.stop import StopToken
from pkg.objectstore.layout import restore_keys
from pkg.restore.engine import run_restore
from pkg.restore.job import RestoreOutcome
from pkg.restore.results import decode_results
from pkg.testing.fakerestore import RESTORE_UID, RestoreWorld, captured


def obj(kind: str, name: str, **fields: JsonObject) -> JsonObject:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "shop"}, **fields}


def pod(name: str) -> JsonObject:
    container: JsonObject = {"name": "app", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    volume: JsonObject = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    return obj("Pod", name, spec={"volumes": [volume], "containers": [container]}, status={"phase": "Running"})


@pytest.fixture
def world() -> RestoreWorld:
    made = RestoreWorld()
    made.add_repository("shop")
    claim = obj("PersistentVolumeClaim", "data", spec={"volumeName": "pv-1"})
    settings = obj("ConfigMap", "settings", data={"color": "blue"})
    made.store_backup(pod("a"), pod("b"), claim, settings, volumes=[captured("shop", "a", "data", claim="data")])
    return made


def other_restore(world: RestoreWorld, spec: RestoreSpec) -> RestoreOutcome:
    job = world.job(spec)
    metadata = ObjectMeta(name="r2", namespace="heptio-ark", uid="another-restore")
    return run_restore(
        dataclasses.replace(job, restore=msgspec.structs.replace(job.restore, metadata=metadata)), StopToken()
    )


def errors_of_the_other(world: RestoreWorld) -> tuple[str, ...]:
    results = decode_results(world.store.files[restore_keys("b1", "r2").results])
    return (results.errors.namespaces or {}).get("shop", ())


def test_of_two_at_once_one_fills_the_volume_and_the_other_says_why_not(world: RestoreWorld) -> None:
    second: list[RestoreOutcome] = []

    def meanwhile() -> None:
        world.agents.on_wait = world.behave
        second.append(other_restore(world, RestoreSpec(backup_name="b1")))

    world.agents.on_wait = meanwhile
    first = world.restore()
    assert (first.phase, first.volumes.captured, first.errors) == ("Completed", 2, 0)
    assert (second[0].phase, second[0].reason, second[0].errors) == ("PartiallyFailed", Reason.VOLUMES_MISSING, 2)
    assert all("nothing is restored under a running application" in text for text in errors_of_the_other(world))
    assert {spec.restore_uid for spec in world.agents.specs.values()} == {RESTORE_UID}
    assert len(world.api.list(refs.PODS)) == 2


def test_one_that_makes_a_pod_of_its_own_does_not_fill_the_claim_that_the_other_fills(world: RestoreWorld) -> None:
    def meanwhile() -> None:
        world.agents.on_wait = world.behave
        world.api.remove(refs.PODS, "shop", "b")
        other_restore(world, RestoreSpec(backup_name="b1"))

    world.agents.on_wait = meanwhile
    world.restore()
    assert {spec.restore_uid for spec in world.agents.specs.values()} == {RESTORE_UID}
    assert "PersistentVolumeClaim shop/data is in use by pod a" in errors_of_the_other(world)[-1]


def test_a_claim_that_another_restore_fills_is_left_alone_and_said(world: RestoreWorld) -> None:
    world.agents.refusal = "Restore r2 fills the same claim at the same time, so this one leaves it alone"
    outcome = world.restore()
    assert (outcome.phase, outcome.volumes.failed, outcome.errors) == ("PartiallyFailed", 2, 2)
    assert "TargetUnusable: Restore r2 fills the same claim" in str(world.results().errors)
