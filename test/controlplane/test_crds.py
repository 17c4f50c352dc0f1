"""The generated definitions on a real API server."""

from __future__ import annotations

import json
import pathlib

import pytest

from pkg.apis.names import API_VERSION
from pkg.apis.schema_kinds import KINDS, KindSpec
from pkg.testing.access import ClusterAccess
from pkg.testing.assets import REPOSITORY

CRD_DIRECTORY = pathlib.Path(REPOSITORY) / "config" / "crd"
TIME = "2018-11-08T10:00:00Z"


@pytest.fixture(scope="module")
def with_crds(control_plane: ClusterAccess) -> ClusterAccess:
    control_plane.kubectl("apply", "--server-side", "--filename", str(CRD_DIRECTORY))
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "--filename", str(CRD_DIRECTORY))
    return control_plane


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.kind))
def test_a_definition_is_accepted_without_complaint(with_crds: ClusterAccess, kind: KindSpec) -> None:
    shown = json.loads(with_crds.kubectl("get", "crd", f"{kind.plural}.ark.heptio.com", "--output=json"))
    conditions = {one["type"]: one["status"] for one in shown["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}  # NonStructuralSchema would be a third


def test_the_category_lists_all_kinds(with_crds: ClusterAccess, namespace: str) -> None:
    for kind in KINDS:
        with_crds.apply(_object(kind.kind, namespace))
    listed = with_crds.kubectl("get", "ark", "--namespace", namespace, "--output=name").split()
    assert len(listed) == len(KINDS)


NULLS_OF_0_9: dict[str, dict[str, object]] = {
    "Backup": {
        "spec": {
            "includedNamespaces": ["*"],
            "excludedNamespaces": None,
            "includedResources": None,
            "excludedResources": None,
            "labelSelector": None,
            "snapshotVolumes": None,
            "ttl": "720h0m0s",
            "includeClusterResources": None,
            "hooks": {"resources": None},
        },
        "status": {
            "version": 1,
            "expiration": None,
            "phase": "",
            "volumeBackups": None,
            "validationErrors": None,
            "startTimestamp": None,
            "completionTimestamp": None,
        },
    },
    "Restore": {
        "spec": {
            "backupName": "nightly",
            "includedNamespaces": None,
            "excludedNamespaces": None,
            "includedResources": None,
            "excludedResources": None,
            "namespaceMapping": None,
        },
        "status": {"phase": "", "validationErrors": None, "warnings": 0, "errors": 0},
    },
    "Schedule": {
        "spec": {"template": {"includedNamespaces": None, "hooks": {"resources": None}}, "schedule": "@daily"},
        "status": {"phase": "", "lastBackup": None, "validationErrors": None},
    },
    "Config": {
        "persistentVolumeProvider": None,
        "backupStorageProvider": {"name": "aws", "config": None, "bucket": "ark", "resticLocation": ""},
        "backupSyncPeriod": "0s",
        "resourcePriorities": None,
    },
    "DownloadRequest": {"status": {"phase": "", "downloadURL": "", "expiration": None}},
    "DeleteBackupRequest": {"spec": {"backupName": "nightly"}, "status": {"phase": "", "errors": None}},
    "PodVolumeBackup": {"spec": {"node": "n", "tags": None, "pod": {"kind": "Pod", "name": "p"}}},
    "PodVolumeRestore": {"spec": {"snapshotID": "abcdef12"}, "status": {"phase": "", "message": ""}},
    "ResticRepository": {"status": {"phase": "", "message": "", "lastMaintenanceTime": None}},
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.kind))
def test_the_nulls_of_0_9_are_accepted(with_crds: ClusterAccess, namespace: str, kind: KindSpec) -> None:
    fields = NULLS_OF_0_9[kind.kind]
    with_crds.apply(_object(kind.kind, namespace) | fields)
    if kind.has_status and "status" in fields:
        patch = json.dumps({"status": fields["status"]})
        target = f"{kind.plural}.ark.heptio.com/example"
        with_crds.kubectl("patch", target, "-n", namespace, "--subresource=status", "--type=merge", "--patch", patch)


def test_status_is_written_only_through_its_subresource(with_crds: ClusterAccess, namespace: str) -> None:
    target = ("backups.ark.heptio.com/example", "--namespace", namespace)
    with_crds.apply(_object("Backup", namespace) | {"status": {"phase": "Completed"}})
    assert with_crds.kubectl("get", *target, "--output=jsonpath={.status.phase}") == ""
    patch = json.dumps({"status": {"phase": "Completed", "startTimestamp": TIME, "laterField": {"a": [1]}}})
    with_crds.kubectl("patch", *target, "--subresource=status", "--type=merge", "--patch", patch)
    shown = json.loads(with_crds.kubectl("get", *target, "--output=json"))["status"]
    assert shown == {"phase": "Completed", "startTimestamp": TIME, "laterField": {"a": [1]}}


def test_the_columns_say_what_a_backup_is_doing(with_crds: ClusterAccess, namespace: str) -> None:
    with_crds.apply(_object("Backup", namespace))
    patch = json.dumps(
        {"status": {"phase": "InProgress", "progress": {"itemsDone": 7}, "volumes": {"expected": 3, "captured": 2}}}
    )
    target = ("backups.ark.heptio.com/example", "--namespace", namespace)
    with_crds.kubectl("patch", *target, "--subresource=status", "--type=merge", "--patch", patch)
    header, row = with_crds.kubectl("get", "arkb", "--namespace", namespace).splitlines()
    assert header.split() == ["NAME", "PHASE", "ITEMS", "CAPTURED", "VOLUMES", "ERRORS", "EXPIRES", "AGE"]
    assert row.split()[:5] == ["example", "InProgress", "7", "2", "3"]


def test_explain_tells_what_a_field_means(with_crds: ClusterAccess) -> None:
    shown = with_crds.kubectl("explain", "backups.ark.heptio.com.spec.tolerateUnreadFiles")
    assert "degrade a volume to a warning" in shown


def _object(kind: str, namespace: str) -> dict[str, object]:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "example", "namespace": namespace}}
