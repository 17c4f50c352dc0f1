"""What a webhook refuses because it is not up yet comes when it is, or is an error in the end."""

from __future__ import annotations

import pytest

from pkg.apis.ark import RestoreSpec
from pkg.apis.meta import Json, JsonObject
from pkg.kube import refs
from pkg.kube.errors import ServerError
from pkg.kube.resources import ResourceRef
from pkg.restore.run import AGAIN_SECONDS
from pkg.testing.fakerestore import DEPLOYMENTS, SERVICES, RestoreWorld

DOWN = ServerError('failed calling webhook "checks.shop": connection refused', code=500)


def obj(kind: str, name: str, api_version: str = "v1", **fields: Json) -> JsonObject:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "shop"}, **fields}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> RestoreWorld:
    """A webhook looks at ConfigMaps and Services; it runs in a Deployment of the same backup."""
    made = RestoreWorld()
    made.store_backup(
        *(obj("ConfigMap", f"c-{number}") for number in range(30)),
        obj("Service", "web", spec={}),
        obj("Deployment", "checks", "apps/v1", spec={}),
    )
    create = made.api.client.create_raw

    def watched(ref: ResourceRef, namespace: str, wanted: JsonObject) -> JsonObject:
        if ref.plural in ("configmaps", "services") and not made.api.list(DEPLOYMENTS):
            refusals.append(ref.plural)
            raise DOWN
        return create(ref, namespace, wanted)

    refusals.clear()
    monkeypatch.setattr(made.api.client, "create_raw", watched)
    return made


refusals: list[str] = []


def test_what_was_refused_comes_when_the_webhook_is_up(world: RestoreWorld) -> None:
    outcome = world.restore()
    assert (outcome.phase, outcome.errors) == ("Completed", 0)
    assert refusals
    assert len(world.api.list(refs.CONFIG_MAPS)) == 30
    assert world.api.get(SERVICES, "shop", "web")
    assert (outcome.items.items_done, outcome.items.total_items) == (32, 32)
    assert world.clock.monotonic() < AGAIN_SECONDS


def test_a_webhook_that_stays_down_is_an_error_of_each_object_in_the_end(world: RestoreWorld) -> None:
    spec = RestoreSpec(backup_name="b1", excluded_resources=("deployments",))
    outcome = world.restore(spec)
    assert (outcome.phase, outcome.errors) == ("PartiallyFailed", 31)
    assert "configmaps shop/c-0: not restored: failed calling webhook" in str(world.results().errors.namespaces)
    assert outcome.items.items_done == outcome.items.total_items == 31
    assert len(refusals) < 31 * 2 * 6, "the second and later rounds ask for one of each kind only"
