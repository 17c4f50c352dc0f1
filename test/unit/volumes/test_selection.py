"""Every volume of a pod gets an answer: captured, or not and why."""

from __future__ import annotations

import datetime

import msgspec
import pytest

from pkg.apis.core import Pod
from pkg.apis.reasons import Reason
from pkg.volumes.selection import (
    Rejected,
    Selected,
    claim_of,
    excluded_paths,
    names_in,
    select_volumes,
    waits_for_restore,
)

NOW = datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC)
VOLUMES = [
    {"name": "data", "persistentVolumeClaim": {"claimName": "data-claim"}},
    {"name": "scratch", "emptyDir": {}},
    {"name": "node", "hostPath": {"path": "/var"}},
    {"name": "password", "secret": {"secretName": "s"}},
    {"name": "settings", "configMap": {"name": "c"}},
    {"name": "labels", "downwardAPI": {"items": []}},
    {"name": "token", "projected": {"sources": []}},
    {"name": "disk", "persistentVolumeClaim": {"claimName": "disk"}},
    {"name": "unused", "emptyDir": {}},
    {"name": "ark-restore", "emptyDir": {}},
    {"name": "ephemeral", "ephemeral": {}},
]
MOUNTED = ["data", "scratch", "node", "password", "settings", "labels", "token", "ark-restore"]


def pod(*, volumes: str = "", excludes: str = "", phase: str = "Running", **changes: object) -> Pod:
    annotations = {
        "backup.ark.heptio.com/backup-volumes": volumes,
        "backup.ark.heptio.com/backup-volumes-excludes": excludes,
    }
    raw = {
        "metadata": {"name": "db-0", "namespace": "shop", "uid": "u", "annotations": annotations},
        "spec": {
            "nodeName": "node1",
            "volumes": VOLUMES,
            "containers": [
                {
                    "name": "db",
                    "volumeMounts": [{"name": name} for name in MOUNTED],
                    "volumeDevices": [{"name": "disk"}],
                }
            ],
            "initContainers": [{"name": "init", "volumeMounts": [{"name": "ephemeral"}]}],
        },
        "status": {"phase": phase},
    }
    return msgspec.structs.replace(msgspec.convert(raw, Pod), **changes)


def answers(subject: Pod, *, default_all: bool = False) -> dict[str, Reason | None]:
    found = select_volumes(subject, default_all=default_all)
    return {
        one.volume.name if isinstance(one, Selected) else one.volume: None if isinstance(one, Selected) else one.reason
        for one in found
    }


def test_without_an_annotation_nothing_is_captured_and_everything_is_recorded() -> None:
    assert set(answers(pod()).values()) == {Reason.NOT_SELECTED}
    assert len(answers(pod())) == len(VOLUMES)


def test_by_default_each_volume_is_captured_or_has_its_reason() -> None:
    assert answers(pod(), default_all=True) == {
        "data": None,
        "scratch": None,
        "node": Reason.HOST_PATH,
        "password": Reason.FROM_API,
        "settings": Reason.FROM_API,
        "labels": Reason.FROM_API,
        "token": Reason.FROM_API,
        "disk": Reason.BLOCK_MODE,
        "unused": Reason.NOT_MOUNTED,
        "ark-restore": Reason.EXCLUDED,
        "ephemeral": None,
    }


@pytest.mark.parametrize(
    ("annotation", "captured"),
    [
        pytest.param("data", {"data"}, id="one name"),
        pytest.param(" data , scratch ", {"data", "scratch"}, id="names are trimmed"),
        pytest.param("data,data", {"data"}, id="a name given twice counts once"),
        pytest.param(",,", set(), id="empty names do not count"),
    ],
)
def test_the_annotation_names_volumes(annotation: str, captured: set[str]) -> None:
    found = answers(pod(volumes=annotation))
    assert {name for name, reason in found.items() if reason is None} == captured


def test_a_name_the_pod_lacks_is_an_answer_of_its_own() -> None:
    *_, last = select_volumes(pod(volumes="data,dta"), default_all=False)
    assert isinstance(last, Rejected)
    assert (last.volume, last.reason, last.opted_in_by_name) == ("dta", Reason.UNKNOWN_VOLUME, True)


def test_an_answer_remembers_whether_somebody_asked_by_name() -> None:
    found = {
        one.volume if isinstance(one, Rejected) else one.volume.name: one.opted_in_by_name
        for one in select_volumes(pod(volumes="data,node"), default_all=True)
    }
    assert {name for name, by_name in found.items() if by_name} == {"data", "node"}


def test_an_exclusion_wins_over_default_and_name() -> None:
    assert answers(pod(volumes="data", excludes="data"), default_all=True)["data"] is Reason.EXCLUDED


@pytest.mark.parametrize(
    ("phase", "reason"),
    [
        ("Pending", Reason.NOT_RUNNING),
        ("Unknown", Reason.NOT_RUNNING),
        ("Succeeded", Reason.POD_FINISHED),
        ("Failed", Reason.POD_FINISHED),
    ],
)
def test_a_pod_that_does_not_run(phase: str, reason: Reason) -> None:
    assert answers(pod(volumes="data", phase=phase))["data"] is reason


def test_what_a_volume_is_counts_before_what_the_pod_does() -> None:
    found = answers(pod(phase="Pending"), default_all=True)
    assert (found["password"], found["data"]) == (Reason.FROM_API, Reason.NOT_RUNNING)


def test_a_pod_on_its_way_out_is_gone() -> None:
    subject = pod(volumes="data")
    leaving = msgspec.structs.replace(subject.metadata, deletion_timestamp=NOW)
    assert answers(msgspec.structs.replace(subject, metadata=leaving))["data"] is Reason.POD_GONE


def test_a_static_pod_is_not_looked_for_under_its_uid_of_the_api() -> None:
    subject = pod()
    static = msgspec.structs.replace(subject.metadata, annotations={"kubernetes.io/config.mirror": "x"})
    assert answers(msgspec.structs.replace(subject, metadata=static), default_all=True)["data"] is Reason.NOT_RUNNING


@pytest.mark.parametrize(
    ("phase", "statuses", "waits"),
    [
        pytest.param("Pending", [], True, id="not scheduled yet"),
        pytest.param("Pending", [{"name": "restic-wait", "state": {"running": {}}}], True, id="it runs"),
        pytest.param("Pending", [{"name": "restic-wait", "state": {"terminated": {}}}], True, id="it failed"),
        pytest.param("Pending", [{"name": "restic-wait", "ready": True}], False, id="it succeeded"),
        pytest.param("Running", [], False, id="the pod runs"),
    ],
)
def test_a_pod_in_restic_wait(phase: str, statuses: list[object], waits: bool) -> None:
    raw = {
        "metadata": {"name": "db-0", "annotations": {"backup.ark.heptio.com/backup-volumes": "data"}},
        "spec": {
            "nodeName": "n",
            "initContainers": [{"name": "restic-wait"}],
            "containers": [{"name": "db", "volumeMounts": [{"name": "data"}]}],
            "volumes": VOLUMES,
        },
        "status": {"phase": phase, "initContainerStatuses": statuses},
    }
    subject = msgspec.convert(raw, Pod)
    assert waits_for_restore(subject) is waits
    assert (answers(subject)["data"] is Reason.RESTORE_IN_PROGRESS) is waits


def test_the_claim_of_a_volume() -> None:
    subject = pod()
    claims = {volume.name: claim_of(subject, volume) for volume in subject.spec.volumes or ()}
    assert (claims["data"], claims["ephemeral"], claims["scratch"]) == ("data-claim", "db-0-ephemeral", "")


def test_excluded_paths_belong_to_one_volume() -> None:
    annotations = {"backup.ark.heptio.com/exclude-paths.data": "tmp, cache/*"}
    subject = msgspec.structs.replace(pod(), metadata=msgspec.structs.replace(pod().metadata, annotations=annotations))
    assert excluded_paths(subject, "data") == ("tmp", "cache/*")
    assert excluded_paths(subject, "scratch") == ()
    assert names_in(subject, "absent") == ()
