"""Which lists a backup reads follows from its spec and from what the server serves."""

from __future__ import annotations

import pytest

from pkg.apis.ark import BackupSpec
from pkg.apis.meta import LabelSelector
from pkg.backup.selection import ListRequest, plan_lists, scope_of
from pkg.kube import refs
from pkg.kube.discovery import ApiResource, Discovery
from pkg.kube.resources import ResourceRef

VERBS = ("create", "delete", "get", "list", "watch")


def served(
    group: str, plural: str, kind: str, *, namespaced: bool = True, verbs: tuple[str, ...] = VERBS
) -> ApiResource:
    ref = ResourceRef(group=group, plural=plural, kind=kind, namespaced=namespaced)
    return ApiResource(ref=ref, verbs=verbs, preferred=True)


DISCOVERY = Discovery(
    resources=(
        served("", "configmaps", "ConfigMap"),
        served("", "namespaces", "Namespace", namespaced=False),
        served("", "persistentvolumeclaims", "PersistentVolumeClaim"),
        served("", "persistentvolumes", "PersistentVolume", namespaced=False),
        served("", "pods", "Pod"),
        served("", "secrets", "Secret"),
        served("", "events", "Event"),
        served("", "bindings", "Binding", verbs=("create",)),
        served("extensions", "deployments", "Deployment"),
        served("apps", "deployments", "Deployment"),
        served("events.k8s.io", "events", "Event"),
        served("ark.heptio.com", "backups", "Backup"),
        served("ark.heptio.com", "schedules", "Schedule"),
        served("storage.k8s.io", "storageclasses", "StorageClass", namespaced=False),
    )
)


def plan(**spec: object) -> tuple[ListRequest, ...]:
    return plan_lists(scope_of(BackupSpec(**spec), DISCOVERY, own_namespace="heptio-ark"), DISCOVERY)  # type: ignore[arg-type]  # fields by name


def names(**spec: object) -> list[str]:
    return [one.ref.group_resource for one in plan(**spec)]


def test_everything_is_listed_once_pods_first_and_namespaces_last() -> None:
    assert names() == [
        "pods",
        "persistentvolumeclaims",
        "persistentvolumes",
        "configmaps",
        "secrets",
        "deployments.apps",
        "schedules.ark.heptio.com",
        "storageclasses.storage.k8s.io",
        "namespaces",
    ]


@pytest.mark.parametrize(
    ("namespaces", "flag", "listed"),
    [
        pytest.param(None, None, True, id="all namespaces, not said"),
        pytest.param(("*",), None, True, id="a star, not said"),
        pytest.param(("a",), None, False, id="some namespaces, not said"),
        pytest.param(None, False, False, id="all namespaces, refused"),
        pytest.param(("a",), True, True, id="some namespaces, wanted"),
    ],
)
def test_cluster_resources(namespaces: tuple[str, ...] | None, flag: bool | None, listed: bool) -> None:
    found = names(included_namespaces=namespaces, include_cluster_resources=flag)
    assert ("storageclasses.storage.k8s.io" in found) is listed
    assert "namespaces" in found


def test_an_excluded_namespace_keeps_cluster_resources_out_unless_said() -> None:
    assert "storageclasses.storage.k8s.io" not in names(excluded_namespaces=("a",))


def test_named_namespaces_are_listed_one_by_one() -> None:
    pods, *_, last = plan(included_namespaces=("b", "a"))
    assert (pods.namespaces, last.ref.plural, last.namespaces) == (("a", "b"), "namespaces", ("",))


def test_the_label_selector_goes_to_the_server_except_for_namespaces() -> None:
    pods, *_, last = plan(label_selector=LabelSelector(match_labels={"app": "shop"}))
    assert (pods.label_selector, last.label_selector) == ("app=shop", "")


@pytest.mark.parametrize("name", ["events", "events.events.k8s.io"])
def test_events_are_stored_where_the_backup_names_them(name: str) -> None:
    assert names(included_resources=(name,)) == ["events.events.k8s.io"]


@pytest.mark.parametrize("name", ["Deployment", "deployments.extensions", "deployments.apps"])
def test_one_of_cohabiting_resources_stands_for_all(name: str) -> None:
    assert names(included_resources=(name,)) == ["deployments.apps"]
    assert "deployments.apps" not in names(excluded_resources=(name,))


def test_arks_own_kinds_are_not_stored_even_by_name() -> None:
    assert names(included_resources=("backups", "schedules")) == ["schedules.ark.heptio.com"]


def test_a_name_that_does_not_resolve_is_never_passed_over() -> None:
    with pytest.raises(ValueError, match='no resource "widgets"'):
        plan(included_resources=("pods", "widgets"))


def test_secrets_of_arks_own_namespace_are_never_stored() -> None:
    scope = scope_of(BackupSpec(), DISCOVERY, own_namespace="heptio-ark")
    assert scope.takes_object(refs.SECRETS, "shop", "password")
    assert not scope.takes_object(refs.SECRETS, "heptio-ark", "cloud-credentials")
    assert scope.takes_object(refs.CONFIG_MAPS, "heptio-ark", "settings")


@pytest.mark.parametrize(
    ("spec", "labels", "used", "expected"),
    [
        pytest.param(BackupSpec(), {}, (), True, id="without a selector"),
        pytest.param(BackupSpec(excluded_namespaces=("shop",)), {}, ("shop",), False, id="an excluded one"),
        pytest.param(BackupSpec(label_selector=LabelSelector(match_labels={"a": "b"})), {}, (), False, id="no match"),
        pytest.param(
            BackupSpec(label_selector=LabelSelector(match_labels={"a": "b"})), {"a": "b"}, (), True, id="match"
        ),
        pytest.param(
            BackupSpec(label_selector=LabelSelector(match_labels={"a": "b"})), {}, ("shop",), True, id="in use"
        ),
        pytest.param(
            BackupSpec(label_selector=LabelSelector(match_labels={"a": "b"}), included_namespaces=("shop",)),
            {},
            (),
            True,
            id="named",
        ),
    ],
)
def test_a_namespace_object(spec: BackupSpec, labels: dict[str, str], used: tuple[str, ...], expected: bool) -> None:
    scope = scope_of(spec, DISCOVERY, own_namespace="heptio-ark")
    assert scope.takes_namespace_object("shop", labels, used) is expected
