"""Kinds that nobody has heard of come back like any other: no list of kinds stands in the way.

The CRDs are made up here, so neither Ark nor its harness can know them. What is compared is everything that a
person wrote: labels, annotations and the rest of the object, but neither what the API server adds nor the status,
which belongs to a controller and is never restored.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator

import pytest

from pkg.testing.access import ClusterAccess
from pkg.testing.installation import Installation

BIG_BYTES = 900 * 1024
GROUP = f"toys{secrets.token_hex(3)}.example.dev"
GADGETS, PLANETS = f"gadgets.{GROUP}", f"planets.{GROUP}"
Object = dict[str, object]


def unique(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(3)}"


def definition(plural: str, kind: str, scope: str, versions: tuple[str, ...]) -> Object:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = [
        {"name": name, "served": True, "storage": index == 0, "schema": {"openAPIV3Schema": schema}}
        for index, name in enumerate(versions)
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}", "labels": {"made": "up"}},
        "spec": {
            "group": GROUP,
            "scope": scope,
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "versions": served,
        },
    }


def toy(kind: str, name: str, *, namespace: str = "", version: str = "v1", **content: object) -> Object:
    metadata = {
        "name": name,
        **({"namespace": namespace} if namespace else {}),
        "labels": {"of": name, "long.example.dev/label": "x" * 63},
        "annotations": {"note": 'kept, with "quotes"\nand lines'},
        "finalizers": [],
    }
    return {"apiVersion": f"{GROUP}/{version}", "kind": kind, "metadata": metadata, **content}


def written(access: ClusterAccess, resource: str, namespace: str = "") -> dict[str, object]:
    """What people wrote, by name: the objects without what the API server adds."""
    where = ["-n", namespace] if namespace else []
    items = json.loads(access.kubectl("get", resource, *where, "-o", "json"))["items"]
    return {item["metadata"]["name"]: without_traces(item) for item in items}


def without_traces(item: dict[str, dict[str, object]]) -> Object:
    labels = {
        key: value
        for key, value in dict(item["metadata"].get("labels") or {}).items()  # type: ignore[call-overload] # JSON
        if not key.startswith(("ark.heptio.com/", "ark-restore"))
    }
    kept = {"name": item["metadata"]["name"], "labels": labels, "annotations": item["metadata"].get("annotations")}
    return {**{field: value for field, value in item.items() if field != "status"}, "metadata": kept}


def define(access: ClusterAccess) -> None:
    access.apply(definition("gadgets", "Gadget", "Namespaced", ("v1", "v1alpha1")))
    access.apply(definition("planets", "Planet", "Cluster", ("v1",)))
    access.kubectl("wait", "--for=condition=Established", f"crd/{GADGETS}", f"crd/{PLANETS}", "--timeout=30s")


def populate(access: ClusterAccess, namespace: str) -> None:
    access.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {"keep": "me"}}})
    nested = {"a": [{"b": None}, 1.5, True, "", {}], "größe": "ünïcode", "count": 2**53}
    big = secrets.token_hex(BIG_BYTES // 2)
    for made in (
        toy("Gadget", "small", namespace=namespace, spec=nested, status={"seen": True}),
        toy("Gadget", "old", namespace=namespace, version="v1alpha1", spec={"size": 1}, loose=["top", "level"]),
        toy("Gadget", "big", namespace=namespace, spec={"blob": big}),
        toy("Planet", "mars", spec={"moons": ["phobos", "deimos"]}),
    ):
        access.apply(made)


@pytest.fixture
def made_up(installation: Installation) -> Iterator[str]:
    """A namespace with objects of two made-up kinds."""
    access, namespace = installation.access, unique("toys")
    define(access)
    populate(access, namespace)
    yield namespace
    access.kubectl("delete", "crd", GADGETS, PLANETS, "--ignore-not-found", "--timeout=60s", timeout_seconds=70)
    access.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")


def test_made_up_kinds_come_back_after_kinds_and_namespace_were_deleted(
    installation: Installation, made_up: str
) -> None:
    access, backup, other = installation.access, unique("b"), unique("other")
    before = {"gadgets": written(access, GADGETS, made_up), "planets": written(access, PLANETS)}
    assert len(json.dumps(before["gadgets"]["big"])) >= BIG_BYTES
    # Volumes may be there that other tests left, and go in the middle of ours.
    foreign = ("--exclude-resources", "persistentvolumes")
    scope = ("--include-namespaces", made_up, "--include-cluster-resources=true", *foreign)
    assert "Completed" in installation.ark("backup", "create", backup, *scope, "--wait").stdout
    access.kubectl("delete", "crd", GADGETS, PLANETS, "--timeout=60s", timeout_seconds=70)
    access.kubectl("delete", "namespace", made_up, "--timeout=60s", timeout_seconds=70)

    assert "Completed" in restore(installation, backup)
    after = {"gadgets": written(access, GADGETS, made_up), "planets": written(access, PLANETS)}
    assert after == before
    assert json.loads(access.kubectl("get", "namespace", made_up, "-o", "json"))["metadata"]["labels"]["keep"] == "me"

    assert "Completed" in restore(installation, backup, "--namespace-mappings", f"{made_up}:{other}")
    assert written(access, GADGETS, other) == before["gadgets"]
    access.kubectl("delete", "namespace", other, "--wait=false")


def restore(installation: Installation, backup: str, *options: str) -> str:
    done = installation.ark("restore", "create", unique("r"), "--from-backup", backup, *options, "--wait")
    return done.stdout


def test_only_objects_with_the_label_are_backed_up(installation: Installation, made_up: str) -> None:
    assert names_after(installation, made_up, "--selector", "of in (old, small)") == {"old", "small"}


def test_an_excluded_resource_is_left_out(installation: Installation, made_up: str) -> None:
    assert names_after(installation, made_up, "--exclude-resources", GADGETS) == set()


def test_an_included_resource_is_all_there_is(installation: Installation, made_up: str) -> None:
    installation.access.kubectl("create", "configmap", "settings", "-n", made_up)
    assert names_after(installation, made_up, "--include-resources", "gadget") == {"big", "old", "small"}
    found = written(installation.access, "configmaps", made_up)
    assert "settings" not in found


def names_after(installation: Installation, namespace: str, *options: str) -> set[str]:
    """Back up with these options, lose the namespace, restore it, and say which gadgets there are."""
    backup, access = unique("b"), installation.access
    installation.ark("backup", "create", backup, "--include-namespaces", namespace, *options, "--wait")
    access.kubectl("delete", "namespace", namespace, "--timeout=60s", timeout_seconds=70)
    access.kubectl("create", "namespace", namespace)
    restore(installation, backup)
    return set(written(access, GADGETS, namespace))


def test_an_excluded_namespace_is_left_out(installation: Installation, made_up: str) -> None:
    access, second, backup = installation.access, unique("toys"), unique("b")
    access.kubectl("create", "namespace", second)
    access.apply(toy("Gadget", "second", namespace=second, spec={}))
    options = ("--include-resources", GADGETS, "--exclude-namespaces", second)
    installation.ark("backup", "create", backup, *options, "--wait")
    access.kubectl("delete", GADGETS, "--all", "-n", second)
    access.kubectl("delete", GADGETS, "--all", "-n", made_up)
    restore(installation, backup)
    assert set(written(access, GADGETS, made_up)) == {"big", "old", "small"}
    assert written(access, GADGETS, second) == {}
    access.kubectl("delete", "namespace", second, "--wait=false")
