"""What is in the tarball, and what becomes of lists that fail on the way."""

from __future__ import annotations

import queue
from pathlib import Path

import msgspec
import pytest

from pkg.apis.meta import JsonObject
from pkg.apis.reasons import BackupPhase, Reason
from pkg.backup import pages
from pkg.backup.engine import run_backup
from pkg.backup.pages import PageReader
from pkg.backup.selection import ListRequest
from pkg.kube import refs
from pkg.kube.errors import TransportError, status_error
from pkg.kube.pages import Page
from pkg.restore.fields import object_at
from pkg.testing.fakebackup import ARK, SERVICES, STORAGE_CLASSES, BackupWorld

EXPIRED = status_error("the provided continue parameter is too old", code=410, reason="Expired")
FORBIDDEN = status_error("services is forbidden", code=403, reason="Forbidden")


@pytest.fixture
def world(tmp_path: Path) -> BackupWorld:
    made = BackupWorld(tmp_path)
    made.namespace("shop", team="a")
    made.namespace("blog")
    made.config_map("shop", "one", labels={"app": "shop"})
    made.config_map("blog", "two")
    made.api.add(STORAGE_CLASSES, {"metadata": {"name": "fast"}})
    return made


def stored(world: BackupWorld) -> set[str]:
    run_backup(world.job(), world.stop)
    return {name.removeprefix("resources/").removesuffix(".json") for name in world.stored}


ONE, TWO = "configmaps/namespaces/shop/one", "configmaps/namespaces/blog/two"
SHOP, BLOG = "namespaces/cluster/shop", "namespaces/cluster/blog"
FAST = "storageclasses.storage.k8s.io/cluster/fast"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({}, {ONE, TWO, SHOP, BLOG, FAST}, id="everything"),
        pytest.param({"includedNamespaces": ["shop"]}, {ONE, SHOP}, id="one namespace"),
        pytest.param({"excludedNamespaces": ["shop"]}, {TWO, BLOG}, id="all but one"),
        pytest.param(
            {"includedNamespaces": ["shop"], "includeClusterResources": True}, {ONE, SHOP, FAST}, id="cluster too"
        ),
        pytest.param({"includeClusterResources": False}, {ONE, TWO, SHOP, BLOG}, id="without cluster resources"),
        pytest.param({"includedResources": ["cm"]}, set(), id="a short name that this server does not know"),
        pytest.param({"includedResources": ["configmaps"]}, {ONE, TWO}, id="one resource"),
        pytest.param({"excludedResources": ["ConfigMap"]}, {SHOP, BLOG, FAST}, id="all but one resource"),
        pytest.param(
            {"labelSelector": {"matchLabels": {"app": "shop"}}}, {ONE, SHOP}, id="labels, and their namespace"
        ),
    ],
)
def test_the_filters(world: BackupWorld, spec: dict[str, object], expected: set[str]) -> None:
    world.spec(spec)
    if not expected:
        assert run_backup(world.job(), world.stop).reason == Reason.INVALID_SPEC
        return
    assert stored(world) == expected


def test_objects_being_deleted_are_left_out(world: BackupWorld) -> None:
    world.config_map("shop", "leaving", deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["x"])
    assert "configmaps/namespaces/shop/leaving" not in stored(world)


def test_a_claim_being_deleted_under_a_running_pod_is_stored_for_that_pod(world: BackupWorld) -> None:
    leaving: JsonObject = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["kubernetes.io/pvc-protection"]}
    for name in ("data", "unused"):
        world.claim("shop", name)
        claim = world.api.get(refs.PVCS, "shop", name) or {}
        world.api.remove(refs.PVCS, "shop", name)
        world.api.add(refs.PVCS, {**claim, "metadata": {**object_at(claim, "metadata"), **leaving}})
    world.pod("shop", "db-0", claim="data")
    found = stored(world)
    assert "persistentvolumeclaims/namespaces/shop/data" in found
    assert "persistentvolumeclaims/namespaces/shop/unused" not in found


def test_arks_secrets_and_kinds_are_left_out(world: BackupWorld) -> None:
    world.namespace(ARK)
    world.api.add(refs.SECRETS, {"metadata": {"name": "cloud-credentials", "namespace": ARK}})
    world.api.add(refs.SECRETS, {"metadata": {"name": "password", "namespace": "shop"}})
    world.api.add(refs.SCHEDULES, {"metadata": {"name": "daily", "namespace": ARK}})
    world.api.add(refs.RESTIC_REPOSITORIES, {"metadata": {"name": "shop", "namespace": ARK}})
    found = stored(world)
    assert "secrets/namespaces/shop/password" in found
    assert f"schedules.ark.heptio.com/namespaces/{ARK}/daily" in found
    assert {name for name in found if ARK in name} == {
        f"schedules.ark.heptio.com/namespaces/{ARK}/daily",
        f"namespaces/cluster/{ARK}",
    }


@pytest.mark.parametrize(
    ("spec", "has_claim", "has_volume"),
    [
        pytest.param({"includedNamespaces": ["shop"]}, True, True, id="a bound claim brings its volume"),
        pytest.param(
            {"includedNamespaces": ["shop"], "includeClusterResources": False}, True, False, id="unless refused"
        ),
        pytest.param({"includedResources": ["pods"]}, False, False, id="unless the resources are filtered"),
        pytest.param(
            {"includedResources": ["pods", "persistentvolumeclaims"], "labelSelector": {"matchLabels": {"x": "y"}}},
            True,
            False,
            id="a pod brings its claims whatever their labels",
        ),
    ],
)
def test_what_a_stored_object_needs_comes_along(
    world: BackupWorld, spec: dict[str, object], has_claim: bool, has_volume: bool
) -> None:
    world.claim("shop", "data")
    world.pod("shop", "db-0", claim="data")
    pod = world.api.get(refs.PODS, "shop", "db-0") or {}
    world.api.remove(refs.PODS, "shop", "db-0")
    world.api.add(refs.PODS, pod | {"metadata": pod["metadata"] | {"labels": {"x": "y"}}})  # type: ignore[operator]  # JSON
    world.spec(spec)
    found = stored(world)
    assert ("persistentvolumeclaims/namespaces/shop/data" in found) is has_claim
    assert ("persistentvolumes/cluster/pv-data" in found) is has_volume
    assert len(world.capturer.started) == 1  # the volume is captured whatever the tarball holds


def test_a_list_that_fails_is_an_error_and_the_rest_is_stored(world: BackupWorld) -> None:
    world.api.fail_next(FORBIDDEN, ref=SERVICES)
    outcome = run_backup(world.job(), world.stop)
    assert (outcome.phase, outcome.reason, outcome.status.errors) == (
        BackupPhase.PARTIALLY_FAILED,
        Reason.ITEM_ERRORS,
        1,
    )
    assert outcome.message == "1 item error: services: services is forbidden"
    assert f"resources/{ONE}.json" in world.stored
    assert "Item not stored" in world.log


def test_a_resource_that_vanished_since_discovery_is_no_error(world: BackupWorld) -> None:
    world.api.fail_next(status_error("not found", code=404, reason="NotFound"), ref=SERVICES)
    assert run_backup(world.job(), world.stop).phase is BackupPhase.COMPLETED


def test_a_server_that_is_away_for_a_moment_costs_nothing(world: BackupWorld) -> None:
    world.api.fail_next(TransportError("reset"), ref=refs.CONFIG_MAPS)
    assert run_backup(world.job(), world.stop).phase is BackupPhase.COMPLETED


def test_an_api_group_that_does_not_answer_is_a_warning(world: BackupWorld) -> None:
    world.warnings = ("metrics.k8s.io/v1beta1 is skipped",)
    outcome = run_backup(world.job(), world.stop)
    assert (outcome.phase, outcome.status.warnings) == (BackupPhase.COMPLETED, 1)
    assert "metrics.k8s.io/v1beta1 is skipped" in world.log


@pytest.fixture
def pages_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "FIRST_PAGE_OBJECTS", 1)
    monkeypatch.setattr(pages, "MAX_PAGE_OBJECTS", 1)


@pytest.mark.usefixtures("pages_of_one")
def test_a_list_that_expired_is_read_again_and_nothing_is_stored_twice(world: BackupWorld) -> None:
    names = [f"c{number}" for number in range(5)]
    for name in names:
        world.config_map("shop", name)
    list_page, expired = world.api.client.list_page, iter([True])

    def expire_once(ref: object, *arguments: object, **options: str) -> Page:
        if ref == refs.CONFIG_MAPS and options["continue_token"] == "3" and next(expired, False):
            raise EXPIRED
        return list_page(ref, *arguments, **options)  # type: ignore[arg-type]  # passed on as they came

    world.api.client.list_page = expire_once  # type: ignore[method-assign,assignment]  # the fault is in the wire
    found = stored(world)
    assert {f"configmaps/namespaces/shop/{name}" for name in names} <= found
    assert len(found) == len(world.stored) == 5 + 5


@pytest.mark.usefixtures("pages_of_one")
def test_a_list_that_expires_for_ever_is_an_error_and_what_came_is_kept(world: BackupWorld) -> None:
    list_page = world.api.client.list_page

    def expire(ref: object, *arguments: object, **options: str) -> Page:
        if ref == refs.CONFIG_MAPS and options["continue_token"]:
            raise EXPIRED
        return list_page(ref, *arguments, **options)  # type: ignore[arg-type]  # passed on as they came

    world.api.client.list_page = expire  # type: ignore[method-assign,assignment]  # the fault is in the wire
    outcome = run_backup(world.job(), world.stop)
    assert outcome.reason == Reason.ITEM_ERRORS
    assert f"resources/{TWO}.json" in world.stored
    assert f"resources/{ONE}.json" not in world.stored


@pytest.mark.parametrize(
    ("sizes", "limit"),
    [
        pytest.param([100] * 50, pages.MAX_PAGE_OBJECTS, id="small objects come by the full page"),
        pytest.param([1 << 20] * 50, 8, id="objects of 1 MiB come by a few"),
        pytest.param([64 << 20], 1, id="an object larger than a page comes alone"),
        pytest.param([], pages.MAX_PAGE_OBJECTS, id="an empty page says nothing"),
    ],
)
def test_pages_are_as_large_as_memory_allows(sizes: list[int], limit: int) -> None:
    items = [msgspec.Raw(bytes(size)) for size in sizes]
    assert pages.next_limit(Page(items=items, resource_version="1", continue_token="c")) == limit


def test_a_pod_that_does_not_decode_is_stored_and_told(world: BackupWorld) -> None:
    world.api.add(refs.PODS, {"metadata": {"name": "odd", "namespace": "shop"}, "spec": {"volumes": 7}})
    outcome = run_backup(world.job(), world.stop)
    assert outcome.reason == Reason.ITEM_ERRORS
    assert "resources/pods/namespaces/shop/odd.json" in world.stored


def test_progress_grows_and_ends_with_all_items_done(world: BackupWorld) -> None:
    run_backup(world.job(), world.stop)
    totals = [total for total, _, _ in world.progress]
    assert totals == sorted(totals)
    assert world.progress[-1][:2] == (5, 5)


def test_the_next_page_is_asked_for_while_one_is_stored(world: BackupWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "FIRST_PAGE_OBJECTS", 1)
    monkeypatch.setattr(pages, "MAX_PAGE_OBJECTS", 1)
    request = ListRequest(ref=refs.CONFIG_MAPS, namespaces=("shop",), label_selector="")
    for number in range(3):
        world.api.add(refs.CONFIG_MAPS, {"metadata": {"name": f"settings-{number}", "namespace": "shop"}})
    asked, list_page = queue.SimpleQueue[str](), world.api.client.list_page

    def note(*arguments: object, **options: str) -> Page:
        asked.put(options["continue_token"])
        return list_page(*arguments, **options)  # type: ignore[arg-type]  # passed on as they came

    world.api.client.list_page = note  # type: ignore[method-assign,assignment]  # the wire is watched
    with PageReader(world.api.client, [(request, "shop")], stop=world.stop, clock=world.clock) as reader:
        found = reader.pages(request, "shop")
        first = next(found)
        assert asked.get(timeout=5) == ""
        assert asked.get(timeout=5) == first.continue_token != ""
        assert sum(len(page.items) for page in found) >= 2


def test_a_namespace_that_is_named_and_gone_is_an_error_and_the_others_are_stored(world: BackupWorld) -> None:
    world.spec({"includedNamespaces": ["shop", "gone"]})
    outcome = run_backup(world.job(), world.stop)
    assert (outcome.phase, outcome.status.errors) == ("PartiallyFailed", 1)
    assert 'msg="Namespace not backed up"' in world.log
    assert f"resources/{ONE}.json" in world.stored
