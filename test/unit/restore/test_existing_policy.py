"""`existingResourcePolicy`: none compares and reports, update changes what may be changed and nothing else."""

from __future__ import annotations

import pytest

from pkg.apis.ark import RestoreSpec
from pkg.apis.meta import Json, JsonObject
from pkg.kube import refs
from pkg.kube.errors import ConflictError, InvalidError
from pkg.kube.resources import ResourceRef
from pkg.restore.archive import Entry
from pkg.restore.fields import text_at
from pkg.restore.update_policy import update_policy
from pkg.testing.fakerestore import DEPLOYMENTS, SERVICES, RestoreWorld

UPDATE = RestoreSpec(backup_name="b1", existing_resource_policy="update")


def obj(kind: str, name: str, namespace: str = "shop", api_version: str = "v1", **fields: Json) -> JsonObject:
    metadata: JsonObject = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


@pytest.fixture
def world() -> RestoreWorld:
    return RestoreWorld()


def live(world: RestoreWorld, ref: ResourceRef, name: str, namespace: str = "shop") -> JsonObject:
    found = world.api.get(ref, namespace, name)
    assert found is not None
    return found


def warnings(world: RestoreWorld, namespace: str = "shop") -> tuple[str, ...]:
    return (world.results().warnings.namespaces or {}).get(namespace, ())


def test_an_object_that_differs_is_made_like_the_backups(world: RestoreWorld) -> None:
    world.store_backup(obj("ConfigMap", "settings", data={"a": "1"}))
    world.api.add(refs.CONFIG_MAPS, obj("ConfigMap", "settings", data={"a": "2", "b": "3"}))
    outcome = world.restore(UPDATE)
    assert (outcome.warnings, outcome.errors) == (0, 0)
    found = live(world, refs.CONFIG_MAPS, "settings")
    assert found["data"] == {"a": "1"}
    assert text_at(found, "metadata", "labels", "ark.heptio.com/restore-uid") == ""


def test_a_second_update_writes_nothing(world: RestoreWorld) -> None:
    world.store_backup(obj("ConfigMap", "settings", data={"a": "1"}))
    world.api.add(refs.CONFIG_MAPS, obj("ConfigMap", "settings", data={"a": "2"}))
    world.restore(UPDATE)
    written = world.api.count("PATCH", refs.CONFIG_MAPS)
    world.restore(UPDATE)
    assert world.api.count("PATCH", refs.CONFIG_MAPS) == written == 1


def test_addresses_and_status_stay_as_the_cluster_has_them(world: RestoreWorld) -> None:
    world.store_backup(obj("Service", "web", spec={"clusterIP": "10.0.0.1", "type": "ClusterIP"}, status={"old": 1}))
    world.api.add(SERVICES, obj("Service", "web", spec={"clusterIP": "10.9.9.9", "type": "X"}, status={"new": 1}))
    world.restore(UPDATE)
    found = live(world, SERVICES, "web")
    assert found["spec"] == {"clusterIP": "10.9.9.9", "type": "ClusterIP"}
    assert found["status"] == {"new": 1}


def test_an_immutable_field_is_reported_and_the_rest_goes_on(world: RestoreWorld) -> None:
    world.store_backup(obj("Deployment", "web", api_version="apps/v1", spec={"selector": 1}), obj("ConfigMap", "x"))
    world.api.add(DEPLOYMENTS, obj("Deployment", "web", api_version="apps/v1", spec={"selector": 2}))
    world.api.fail_next(InvalidError("spec.selector: field is immutable", code=422), method="PATCH", ref=DEPLOYMENTS)
    outcome = world.restore(UPDATE)
    assert (outcome.phase, outcome.warnings) == ("Completed", 1)
    assert warnings(world) == ("deployments.apps shop/web: not updated: spec.selector: field is immutable",)
    assert live(world, refs.CONFIG_MAPS, "x")


def test_an_object_that_changes_meanwhile_is_looked_at_again(world: RestoreWorld) -> None:
    world.store_backup(obj("ConfigMap", "settings", data={"a": "1"}))
    world.api.add(refs.CONFIG_MAPS, obj("ConfigMap", "settings", data={"a": "2"}))
    world.api.fail_next(ConflictError("changed", code=409), method="PATCH", ref=refs.CONFIG_MAPS)
    assert world.restore(UPDATE).warnings == 0
    assert live(world, refs.CONFIG_MAPS, "settings")["data"] == {"a": "1"}


@pytest.mark.parametrize("namespace", ["kube-system", "heptio-ark"])
def test_the_clusters_and_arks_own_namespaces_are_updated_only_by_name(world: RestoreWorld, namespace: str) -> None:
    world.store_backup(obj("ConfigMap", "settings", namespace, data={"a": "1"}))
    world.api.add(refs.CONFIG_MAPS, obj("ConfigMap", "settings", namespace, data={"a": "2"}))
    assert world.restore(UPDATE).warnings == 1
    assert live(world, refs.CONFIG_MAPS, "settings", namespace)["data"] == {"a": "2"}
    assert "only updated where the Restore names that namespace (data.a)" in warnings(world, namespace)[0]
    named = RestoreSpec(backup_name="b1", existing_resource_policy="update", included_namespaces=(namespace,))
    assert world.restore(named).warnings == 0
    assert live(world, refs.CONFIG_MAPS, "settings", namespace)["data"] == {"a": "1"}


def test_without_the_policy_nothing_is_written(world: RestoreWorld) -> None:
    world.store_backup(obj("ConfigMap", "settings", data={"a": "1"}))
    world.api.add(refs.CONFIG_MAPS, obj("ConfigMap", "settings", data={"a": "2"}))
    world.restore()
    assert world.api.count("PATCH", refs.CONFIG_MAPS) == 0
    assert warnings(world)[0].endswith("different from the backed-up version (data.a)")


@pytest.mark.parametrize(
    ("resource", "found", "expected"),
    [
        pytest.param("pods", {}, "pods are never updated", id="a pod"),
        pytest.param("persistentvolumes", {}, "persistentvolumes are never updated", id="a volume"),
        pytest.param(
            "clusterroles.rbac.authorization.k8s.io",
            {"metadata": {"labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}}},
            "the cluster keeps it itself",
            id="a role of the cluster's own",
        ),
        pytest.param(
            "clusterrolebindings.rbac.authorization.k8s.io",
            {"subjects": [{"namespace": "heptio-ark"}]},
            "it gives Ark its own rights",
            id="Ark's own rights",
        ),
        pytest.param("storageclasses.storage.k8s.io", {}, "", id="another one"),
    ],
)
def test_what_is_never_updated(resource: str, found: JsonObject, expected: str) -> None:
    entry = Entry(group_resource=resource, namespace="", name="x", offset=0, size=0)
    assert update_policy(UPDATE, "heptio-ark").why_not(entry, found, "") == expected


def test_rights_are_not_taken_from_a_namespace_that_is_only_copied() -> None:
    spec = RestoreSpec(backup_name="b1", existing_resource_policy="update", namespace_mapping={"shop": "copy"})
    entry = Entry(
        group_resource="clusterrolebindings.rbac.authorization.k8s.io", namespace="", name="x", offset=0, size=0
    )
    found: JsonObject = {"subjects": [{"namespace": "shop"}]}
    assert "would lose them" in update_policy(spec, "heptio-ark").why_not(entry, found, "")


@pytest.mark.parametrize("mapping", [{"shop": "copy"}, None], ids=["copied", "restored as it was"])
def test_a_webhook_is_not_turned_away_from_a_namespace_that_is_only_copied(mapping: dict[str, str] | None) -> None:
    spec = RestoreSpec(backup_name="b1", existing_resource_policy="update", namespace_mapping=mapping)
    resource = "validatingwebhookconfigurations.admissionregistration.k8s.io"
    entry = Entry(group_resource=resource, namespace="", name="x", offset=0, size=0)
    found: JsonObject = {"webhooks": [{"clientConfig": {"service": {"namespace": "shop", "name": "checks"}}}]}
    why_not = update_policy(spec, "heptio-ark").why_not(entry, found, "")
    assert ("no longer be asked" in why_not) == bool(mapping)
    assert bool(why_not) == bool(mapping)
