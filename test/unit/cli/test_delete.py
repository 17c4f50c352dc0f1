"""`ark backup delete` and what else people say about deletion."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from pkg.apis.meta import JsonObject
from pkg.kube.refs import BACKUPS, CONFIGS, DELETE_BACKUP_REQUESTS, RESTORES
from pkg.kube.stop import StopToken
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock

Ark = Callable[..., tuple[int, str, str]]
NAMESPACE = "heptio-ark"


def add(api: FakeApi, name: str, *, annotations: JsonObject | None = None, schedule: str = "", **status: str) -> None:
    metadata: JsonObject = {"name": name, "namespace": NAMESPACE, "annotations": annotations or {}}
    metadata["labels"] = {"ark-schedule": schedule} if schedule else {}
    api.add(BACKUPS, {"metadata": metadata, "status": dict(status)})


def requests(api: FakeApi) -> list[object]:
    return [one["spec"] for one in api.list(DELETE_BACKUP_REQUESTS)]


def notes(api: FakeApi, name: str) -> dict[str, object]:
    metadata = (api.get(BACKUPS, NAMESPACE, name) or {})["metadata"]
    assert isinstance(metadata, dict)
    found = metadata.get("annotations")
    return dict(found) if isinstance(found, dict) else {}


def says(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


@pytest.mark.parametrize("path", [("backup", "delete"), ("delete", "backup"), ("delete", "backups")])
def test_a_confirmed_deletion_is_asked_for(ark: Ark, api: FakeApi, path: tuple[str, str]) -> None:
    add(api, "b1")
    code, out, _ = ark(*path, "b1", "--confirm")
    assert code == 0
    assert out == (
        'Request to delete backup "b1" submitted successfully.\n'
        "The backup will be fully deleted after all associated data (snapshots, backup files, restores) are removed.\n"
    )
    uid = (api.get(BACKUPS, NAMESPACE, "b1") or {})["metadata"]
    assert isinstance(uid, dict)
    assert requests(api) == [{"backupName": "b1", "backupUID": uid["uid"]}]


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        pytest.param("y\n", 1, id="yes"),
        pytest.param("n\n", 0, id="no"),
        pytest.param("what?\nY\n", 1, id="until it is an answer"),
    ],
)
def test_without_confirm_it_asks(
    ark: Ark, api: FakeApi, monkeypatch: pytest.MonkeyPatch, answer: str, asked: int
) -> None:
    add(api, "b1")
    says(monkeypatch, answer)
    code, out, _ = ark("backup", "delete", "b1")
    assert code == 0
    assert "Are you sure you want to continue (Y/N)? " in out
    assert len(requests(api)) == asked


def test_where_nobody_can_answer_nothing_is_deleted(ark: Ark, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    add(api, "b1")
    says(monkeypatch, "")
    code, _, err = ark("backup", "delete", "b1")
    assert code == 64
    assert "--confirm" in err
    assert requests(api) == []


def test_several_are_named_before_it_asks(ark: Ark, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    add(api, "b1")
    add(api, "b2")
    says(monkeypatch, "y\n")
    assert "Backups to delete: b1, b2" in ark("backup", "delete", "--all")[1]
    assert len(requests(api)) == 2


@pytest.mark.parametrize("arguments", [(), ("b1", "--all"), ("b1", "-l", "a=b")])
def test_which_ones_are_meant_must_be_clear(ark: Ark, api: FakeApi, arguments: tuple[str, ...]) -> None:
    add(api, "b1")
    assert ark("backup", "delete", *arguments, "--confirm")[0] == 64
    assert requests(api) == []


def test_a_backup_that_is_not_there(ark: Ark, api: FakeApi) -> None:
    api.add(BACKUPS, {"metadata": {"name": "b1", "namespace": NAMESPACE}})
    code, _, err = ark("backup", "delete", "b1", "b2", "--confirm")
    assert code == 1
    assert "b2" in err
    assert requests(api) == []


def test_force_is_passed_on(ark: Ark, api: FakeApi) -> None:
    add(api, "b1")
    ark("backup", "delete", "b1", "--confirm", "--force")
    assert "'force': True" in str(requests(api))


def test_a_pinned_backup_is_refused_at_once_and_the_others_with_it(ark: Ark, api: FakeApi) -> None:
    add(api, "b1")
    add(api, "b2", annotations={"ark.heptio.com/pinned": "audit"})
    code, _, err = ark("backup", "delete", "b1", "b2", "--confirm")
    assert code == 1
    assert "is pinned: audit" in err
    assert requests(api) == []


def test_a_freeze_is_told_at_once(ark: Ark, api: FakeApi) -> None:
    add(api, "b1")
    api.add(CONFIGS, {"metadata": {"name": "default", "namespace": NAMESPACE}})
    assert ark("freeze-deletions", "--reason", "incident 7")[0] == 0
    assert (api.get(CONFIGS, NAMESPACE, "default") or {})["deletionsFrozen"] == "incident 7"
    code, _, err = ark("backup", "delete", "b1", "--confirm")
    assert code == 1
    assert "incident 7" in err
    assert requests(api) == []
    assert "incident 7" in ark("unfreeze-deletions")[1]
    assert ark("backup", "delete", "b1", "--confirm")[0] == 0


def test_freezing_needs_a_reason_and_a_config(ark: Ark, api: FakeApi) -> None:
    assert ark("freeze-deletions")[0] == 64
    assert ark("freeze-deletions", "--reason", " ")[0] == 64
    assert "there is no Config" in ark("freeze-deletions", "--reason", "r")[2]


class Answering(FakeClock):
    """A clock at whose ticks the server answers the requests that are there."""

    def __init__(self, api: FakeApi, errors: list[str]) -> None:
        super().__init__(automatic=True)
        self._api = api
        self._errors = errors

    def wait(self, stop: StopToken, seconds: float) -> bool:
        for one in self._api.list(DELETE_BACKUP_REQUESTS):
            metadata = one["metadata"]
            assert isinstance(metadata, dict)
            status: JsonObject = {"phase": "Processed", "errors": list(self._errors)}
            self._api.client.patch_raw(
                DELETE_BACKUP_REQUESTS, NAMESPACE, str(metadata["name"]), {"status": status}, subresource="status"
            )
        return super().wait(stop, seconds)


class TestWait:
    @pytest.fixture
    def errors(self) -> list[str]:
        return []

    @pytest.fixture
    def clock(self, api: FakeApi, errors: list[str]) -> FakeClock:
        return Answering(api, errors)

    def test_the_end_is_told(self, ark: Ark, api: FakeApi) -> None:
        add(api, "b1")
        code, out, _ = ark("backup", "delete", "b1", "--confirm", "--wait")
        assert code == 0
        assert 'Backup "b1" deleted.' in out

    def test_what_was_not_deleted_is_exit_code_1(self, ark: Ark, api: FakeApi, errors: list[str]) -> None:
        errors.append("there is no bucket b")
        add(api, "b1")
        code, _, err = ark("backup", "delete", "b1", "--confirm", "--wait")
        assert code == 1
        assert "there is no bucket b" in err


def test_a_wait_that_takes_too_long_is_124(ark: Ark, api: FakeApi) -> None:
    add(api, "b1")
    assert ark("backup", "delete", "b1", "--confirm", "--wait", "--timeout", "5s")[0] == 124


def test_a_restore_is_deleted_as_an_object(ark: Ark, api: FakeApi) -> None:
    for name in ("r1", "r2"):
        api.add(RESTORES, {"metadata": {"name": name, "namespace": NAMESPACE}})
    assert ark("restore", "delete", "r1") == (0, 'Restore "r1" deleted\n', "")
    assert ark("delete", "restores", "--all", "--confirm")[1] == 'Restore "r2" deleted\n'
    assert api.list(RESTORES) == []


def test_pin_and_unpin(ark: Ark, api: FakeApi) -> None:
    add(api, "b1")
    assert ark("backup", "pin", "b1", "--reason", "audit 2026")[0] == 0
    assert notes(api, "b1") == {"ark.heptio.com/pinned": "audit 2026"}
    assert ark("backup", "unpin", "b1")[0] == 0
    assert notes(api, "b1") == {}
    assert ark("backup", "pin", "b1")[0] == 64
    assert "there is no Backup" in ark("backup", "pin", "never", "--reason", "r")[2]


def test_a_shrink_is_acknowledged(ark: Ark, api: FakeApi) -> None:
    add(api, "b1")
    assert ark("backup", "acknowledge-shrink", "b1")[0] == 0
    assert notes(api, "b1") == {"ark.heptio.com/shrink-acknowledged": "2026-01-01T00:00:00Z"}


def test_confirming_names_what_will_go_and_nothing_later(ark: Ark, api: FakeApi) -> None:
    held: JsonObject = {"type": "DeletionHeld", "status": "True", "reason": "MassDeletionHeld"}
    for name, conditions in (("d1", [held]), ("d2", []), ("d3", [])):
        metadata: JsonObject = {"name": name, "namespace": NAMESPACE, "labels": {"ark-schedule": "daily"}}
        api.add(BACKUPS, {"metadata": metadata, "status": {"conditions": list(conditions)}})
    api.add(
        DELETE_BACKUP_REQUESTS,
        {
            "metadata": {"name": "r", "namespace": NAMESPACE},
            "spec": {"backupName": "d2"},
            "status": {"phase": "New", "reason": "MassDeletionHeld"},
        },
    )
    code, out, _ = ark("backup", "confirm-deletions", "daily", "--confirm")
    assert code == 0
    assert "2 backups of schedule daily will be deleted: d1, d2" in out
    assert "ark.heptio.com/deletion-confirmed" in notes(api, "d1")
    assert "ark.heptio.com/deletion-confirmed" in notes(api, "d2")
    assert notes(api, "d3") == {}
    assert "No deletion" in ark("backup", "confirm-deletions", "weekly")[1]
