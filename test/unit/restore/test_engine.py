"""A whole restore on an API server in memory: what is created, in which order, and what the results say."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from pkg.apis.ark import RestoreSpec
from pkg.apis.meta import Json, JsonObject, LabelSelector
from pkg.apis.reasons import BackupPhase, Reason
from pkg.kube import refs
from pkg.kube.errors import TransportError, status_error
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken
from pkg.objectstore.errors import CredentialsRefusedError, StoreUnreachableError
from pkg.restore.engine import run_restore
from pkg.restore.errors import ApiUnavailableError, RestoreInterruptedError
from pkg.restore.fields import text_at
from pkg.restore.job import RestoreProgress
from pkg.testing.fakerestore import CLUSTER_ROLES, DEPLOYMENTS, RESTORE_UID, WIDGETS, RestoreWorld


def obj(kind: str, name: str, namespace: str = "shop", api_version: str = "v1", **fields: Json) -> JsonObject:
    metadata: JsonObject = {"name": name, "uid": f"old-{name}", "resourceVersion": "7"}
    if namespace:
        metadata["namespace"] = namespace
    made: JsonObject = {"apiVersion": api_version, "kind": kind, "metadata": metadata}
    labels = fields.pop("labels", None)
    if isinstance(labels, dict):
        metadata["labels"] = labels
    return {**made, **fields}


def namespace(name: str = "shop") -> JsonObject:
    return obj("Namespace", name, "", labels={"team": "a", "kubernetes.io/metadata.name": name})


CONFIG = obj("ConfigMap", "settings", data={"a": "1"})
DEPLOYMENT = obj("Deployment", "web", api_version="apps/v1", spec={"replicas": 1})
ROLE = obj("ClusterRole", "viewer", "", "rbac.authorization.k8s.io/v1", rules=[])


@pytest.fixture
def world() -> RestoreWorld:
    return RestoreWorld()


def labels_of(found: JsonObject | None) -> object:
    assert found is not None
    metadata = found["metadata"]
    assert isinstance(metadata, dict)
    return metadata.get("labels")


def test_objects_come_back_with_the_restores_labels_and_without_their_old_identity(world: RestoreWorld) -> None:
    world.store_backup(namespace(), CONFIG, ROLE)
    outcome = world.restore()
    assert (outcome.phase, outcome.warnings, outcome.errors) == (BackupPhase.COMPLETED, 0, 0)
    own = {"ark-restore": "r1", "ark.heptio.com/restore-uid": RESTORE_UID}
    assert labels_of(world.api.get(refs.CONFIG_MAPS, "shop", "settings")) == own
    assert labels_of(world.api.get(refs.NAMESPACES, "", "shop")) == {"team": "a", **own}
    assert world.api.get(CLUSTER_ROLES, "", "viewer") is not None
    assert outcome.items.items_done == 2


def created(world: RestoreWorld) -> list[str]:
    return [asked.ref.plural for asked in world.api.requests if asked.method == "POST"]


def test_the_order_is_classes_then_claims_then_pods_then_controllers(world: RestoreWorld) -> None:
    claim = obj("PersistentVolumeClaim", "data", spec={})
    world.store_backup(namespace(), DEPLOYMENT, ROLE, obj("Pod", "web-1", spec={"containers": []}), CONFIG, claim)
    world.restore()
    assert created(world) == [
        "namespaces",
        "persistentvolumeclaims",
        "configmaps",
        "pods",
        "clusterroles",
        "deployments",
    ]


def test_a_second_run_changes_nothing_and_warns_about_nothing(world: RestoreWorld) -> None:
    world.store_backup(namespace(), CONFIG, DEPLOYMENT, ROLE)
    world.restore()
    before = [world.api.list(ref) for ref in (refs.CONFIG_MAPS, DEPLOYMENTS, CLUSTER_ROLES, refs.NAMESPACES)]
    outcome = world.restore()
    assert (outcome.phase, outcome.warnings, outcome.errors) == (BackupPhase.COMPLETED, 0, 0)
    assert before == [world.api.list(ref) for ref in (refs.CONFIG_MAPS, DEPLOYMENTS, CLUSTER_ROLES, refs.NAMESPACES)]


def test_an_object_that_is_there_already_is_left_alone_and_warned_about_when_it_differs(world: RestoreWorld) -> None:
    world.store_backup(namespace(), CONFIG, obj("ConfigMap", "same", data={}))
    world.api.add(refs.CONFIG_MAPS, obj("ConfigMap", "settings", data={"a": "2"}))
    world.api.add(refs.CONFIG_MAPS, obj("ConfigMap", "same", data={}))
    outcome = world.restore()
    assert (outcome.phase, outcome.warnings) == (BackupPhase.COMPLETED, 1)
    text = (
        "configmaps shop/settings: not restored: it exists already and is different from the backed-up version (data.a)"
    )
    assert world.results().warnings.namespaces == {"shop": (text,)}
    live = world.api.get(refs.CONFIG_MAPS, "shop", "settings")
    assert live is not None
    assert live["data"] == {"a": "2"}


def test_a_service_account_gets_what_it_lacks_and_keeps_what_it_has(world: RestoreWorld) -> None:
    backed_up = obj(
        "ServiceAccount",
        "default",
        labels={"a": "old", "b": "2"},
        secrets=[{"name": "default-token-abcde"}, {"name": "own"}],
        imagePullSecrets=[{"name": "registry"}],
    )
    world.api.add(refs.SERVICE_ACCOUNTS, obj("ServiceAccount", "default", labels={"a": "1"}, secrets=[{"name": "x"}]))
    world.store_backup(namespace(), backed_up)
    assert world.restore().warnings == 0
    live = world.api.get(refs.SERVICE_ACCOUNTS, "shop", "default")
    assert live is not None
    assert (live["secrets"], live["imagePullSecrets"]) == ([{"name": "x"}, {"name": "own"}], [{"name": "registry"}])
    assert labels_of(live) == {"a": "1", "b": "2"}


def test_a_mapped_namespace_is_made_under_its_new_name(world: RestoreWorld) -> None:
    subject: JsonObject = {"kind": "ServiceAccount", "name": "web", "namespace": "shop"}
    binding = obj("RoleBinding", "web", api_version="rbac.authorization.k8s.io/v1", subjects=[subject])
    world.store_backup(namespace(), CONFIG, binding)
    world.restore(RestoreSpec(backup_name="b1", namespace_mapping={"shop": "shop-2"}))
    assert [text_at(found, "metadata", "name") for found in world.api.list(refs.NAMESPACES)] == ["shop-2"]
    assert world.api.get(refs.CONFIG_MAPS, "shop-2", "settings") is not None
    ref = ResourceRef(group="rbac.authorization.k8s.io", plural="rolebindings", kind="RoleBinding")
    mapped = world.api.get(ref, "shop-2", "web")
    assert mapped is not None
    assert mapped["subjects"] == [{**subject, "namespace": "shop-2"}]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(
            RestoreSpec(included_namespaces=("a",)), {"a/x", "viewer"}, id="only one namespace and cluster objects"
        ),
        pytest.param(RestoreSpec(excluded_namespaces=("a",)), {"b/x", "viewer"}, id="all namespaces but one"),
        pytest.param(RestoreSpec(include_cluster_resources=False), {"a/x", "b/x"}, id="no cluster objects"),
        pytest.param(RestoreSpec(included_resources=("ConfigMap",)), {"a/x", "b/x"}, id="a kind instead of a resource"),
        pytest.param(RestoreSpec(excluded_resources=("configmaps",)), {"viewer"}, id="all resources but one"),
        pytest.param(RestoreSpec(label_selector=LabelSelector(match_labels={"l": "b"})), {"b/x"}, id="a label"),
    ],
)
def test_only_what_was_asked_for_comes_back(world: RestoreWorld, spec: RestoreSpec, expected: set[str]) -> None:
    maps = [obj("ConfigMap", "x", ns, data={}, labels={"l": ns}) for ns in ("a", "b")]
    world.store_backup(*maps, ROLE)
    world.restore(msgspec.structs.replace(spec, backup_name="b1"))
    asked = [a for a in world.api.requests if a.method == "POST" and a.ref != refs.NAMESPACES]
    found = {f"{a.namespace}/{text_at(a.content, 'metadata', 'name')}".lstrip("/") for a in asked}
    assert found == expected


def test_an_unknown_resource_never_widens_the_restore(world: RestoreWorld) -> None:
    world.store_backup(namespace(), CONFIG)
    outcome = world.restore(RestoreSpec(backup_name="b1", included_resources=("nonsense",)))
    assert (outcome.phase, outcome.reason) == (BackupPhase.PARTIALLY_FAILED, Reason.ITEM_ERRORS)
    assert created(world) == []


def test_a_custom_resource_waits_for_its_definition(world: RestoreWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    crd = obj(
        "CustomResourceDefinition", "widgets.example.com", "", "apiextensions.k8s.io/v1", spec={"group": "example.com"}
    )
    world.store_backup(namespace(), obj("Widget", "w", api_version="example.com/v1", spec={}), crd)
    waits = world.clock.waits

    def established() -> bool:
        found = world.api.get(refs.CRDS, "", "widgets.example.com")
        if found is not None and len(waits) >= 3:
            world.api.add(refs.CRDS, {**found, "status": {"conditions": [{"type": "Established", "status": "True"}]}})
            world.api.resources = (*world.api.resources, WIDGETS)
        return False

    stop = StopToken()
    original = world.clock.wait

    def wait(token: StopToken, seconds: float) -> bool:
        return established() or original(token, seconds)

    monkeypatch.setattr(world.clock, "wait", wait)  # the cluster acts while the restore waits
    assert world.restore(stop=stop).phase is BackupPhase.COMPLETED
    assert world.api.get(WIDGETS, "shop", "w") is not None


def test_a_kind_that_the_cluster_does_not_serve_is_an_error_that_names_it(world: RestoreWorld) -> None:
    world.store_backup(namespace(), obj("Widget", "w", api_version="example.com/v1", spec={}), CONFIG)
    outcome = world.restore()
    assert (outcome.phase, outcome.errors) == (BackupPhase.PARTIALLY_FAILED, 1)
    text = "widgets.example.com shop/w: the cluster does not serve example.com/v1 Widget"
    assert world.results().errors.namespaces == {"shop": (text,)}
    assert world.api.get(refs.CONFIG_MAPS, "shop", "settings") is not None


def test_a_refused_object_does_not_stop_the_others(world: RestoreWorld) -> None:
    world.store_backup(namespace(), CONFIG, DEPLOYMENT)
    refused = status_error("admission webhook says no", code=422, reason="Invalid")
    world.api.fail_next(refused, method="POST", ref=refs.CONFIG_MAPS)
    outcome = world.restore()
    assert (outcome.phase, outcome.reason) == ("PartiallyFailed", Reason.ITEM_ERRORS)
    assert outcome.message == "1 error: configmaps shop/settings: not restored: admission webhook says no"
    assert world.api.get(DEPLOYMENTS, "shop", "web") is not None
    assert "admission webhook says no" in world.log()


def test_a_namespace_that_stays_terminating_is_an_error_after_its_deadline(world: RestoreWorld) -> None:
    dying = namespace()
    dying["metadata"] = {"name": "shop", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x"]}
    world.api.add(refs.NAMESPACES, dying)
    world.store_backup(namespace(), CONFIG, DEPLOYMENT, obj("ConfigMap", "x", "other"))
    outcome = world.restore()
    assert (outcome.phase, outcome.reason, outcome.errors) == ("PartiallyFailed", Reason.NAMESPACE_TERMINATING, 1)
    assert outcome.message.startswith("1 namespace still being deleted: NamespaceTerminating: namespace shop ")
    assert sum(world.clock.waits) >= 600
    assert world.api.get(refs.CONFIG_MAPS, "other", "x") is not None


def test_other_namespaces_go_on_while_one_is_terminating_and_it_follows_when_it_is_gone(world: RestoreWorld) -> None:
    dying = namespace()
    dying["metadata"] = {"name": "shop", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x"]}
    world.api.add(refs.NAMESPACES, dying)
    world.store_backup(namespace(), CONFIG, DEPLOYMENT, obj("ConfigMap", "x", "zoo"))
    job = dataclasses.replace(world.job(RestoreSpec(backup_name="b1")), on_progress=lambda progress: end_of_namespace())

    def end_of_namespace() -> None:
        if world.api.get(refs.CONFIG_MAPS, "zoo", "x") is not None and not created(world).count("deployments"):
            world.api.remove(refs.NAMESPACES, "", "shop")

    assert run_restore(job, StopToken()).phase is BackupPhase.COMPLETED
    assert world.api.get(DEPLOYMENTS, "shop", "web") is not None
    assert world.api.get(refs.CONFIG_MAPS, "shop", "settings") is not None


def test_a_missing_backup_fails_with_nothing_made_or_written(world: RestoreWorld) -> None:
    outcome = world.restore()
    assert (outcome.phase, outcome.reason) == (BackupPhase.FAILED, Reason.BACKUP_NOT_FOUND)
    assert '"b1"' in outcome.message
    assert (world.api.requests, world.store.files) == ([], {})


def test_a_damaged_tarball_fails_before_anything_is_made(world: RestoreWorld) -> None:
    world.store_backup(namespace(), CONFIG)
    world.store.files["b1/b1.tar.gz"] += b"x"
    outcome = world.restore()
    assert (outcome.phase, outcome.reason) == (BackupPhase.FAILED, Reason.BACKUP_DAMAGED)
    assert created(world) == []
    assert world.results().errors.ark is not None


def test_a_dead_store_fails_with_its_reason(world: RestoreWorld) -> None:
    world.store.broken = StoreUnreachableError("bucket ark at minio:9000 does not answer")
    outcome = world.restore()
    assert (outcome.phase, outcome.reason) == (BackupPhase.FAILED, Reason.BACKEND_UNREACHABLE)


def test_credentials_that_may_only_read_are_enough(world: RestoreWorld) -> None:
    world.store_backup(namespace(), CONFIG)
    world.store.read_only = CredentialsRefusedError("no put")
    outcome = world.restore()
    assert (outcome.phase, outcome.warnings) == (BackupPhase.COMPLETED, 1)
    assert "not stored" in outcome.message


def test_an_api_server_that_goes_away_ends_the_attempt_and_the_next_one_goes_on(world: RestoreWorld) -> None:
    world.store_backup(namespace(), CONFIG, DEPLOYMENT)
    for _ in range(7):
        world.api.fail_next(TransportError("connection refused"), method="POST", ref=DEPLOYMENTS)
    with pytest.raises(ApiUnavailableError):
        world.restore()
    assert (world.restore().phase, created(world).count("configmaps")) == (BackupPhase.COMPLETED, 2)


def test_a_process_that_ends_leaves_the_restore_to_the_next_one(world: RestoreWorld) -> None:
    world.store_backup(namespace(), CONFIG)
    stop = StopToken()
    stop.cancel("shutting down")
    with pytest.raises(RestoreInterruptedError):
        world.restore(stop=stop)
    assert "b1/restore-r1-results.gz" not in world.store.files


def test_a_cancelled_restore_ends_with_results(world: RestoreWorld) -> None:
    world.store_backup(namespace(), CONFIG)
    stop = StopToken()
    stop.cancel("Canceled")
    outcome = world.restore(stop=stop)
    assert (outcome.phase, outcome.reason) == (BackupPhase.PARTIALLY_FAILED, Reason.CANCELED)
    assert "b1/restore-r1-results.gz" in world.store.files


@pytest.mark.parametrize("reason", ["Canceled", "shutting down"])
def test_a_stop_after_the_last_step_changes_nothing(world: RestoreWorld, reason: str) -> None:
    world.store_backup(namespace(), CONFIG)
    stop = StopToken()

    def progressed(progress: RestoreProgress) -> None:
        if progress.items.items_done == progress.items.total_items:
            stop.cancel(reason)

    job = dataclasses.replace(world.job(RestoreSpec(backup_name="b1")), on_progress=progressed)
    assert run_restore(job, stop).phase is BackupPhase.COMPLETED
