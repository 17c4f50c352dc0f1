"""`ark schedule`: made, shown, paused and deleted on the command line; and a backup of one made by hand."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
import yaml

from pkg.apis.meta import JsonObject
from pkg.kube import refs
from pkg.testing.fakeapi import FakeApi

Ark = Callable[..., tuple[int, str, str]]
TEMPLATE: JsonObject = {"includedNamespaces": ["*"], "ttl": "720h0m0s"}


def raw(api: FakeApi, name: str = "nightly") -> JsonObject:
    found = api.get(refs.SCHEDULES, "heptio-ark", name)
    assert found
    return found


def put(api: FakeApi, name: str, spec: JsonObject | None = None, status: JsonObject | None = None) -> None:
    whole: JsonObject = {"schedule": "0 1 * * *", "template": TEMPLATE, **(spec or {})}
    metadata: JsonObject = {
        "name": name,
        "namespace": "heptio-ark",
        "creationTimestamp": "2025-12-01T00:00:00Z",
        "labels": {"team": name[0]},
    }
    api.add(refs.SCHEDULES, {"metadata": metadata, "spec": whole, "status": status or {}})


def test_a_schedule_is_created(ark: Ark, api: FakeApi) -> None:
    code, out, err = ark("schedule", "create", "nightly", "--schedule", "@every 6h", "--labels", "team=a")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == 'Schedule "nightly" created successfully.'
    assert "The first backup is made at 20" in out
    assert "It expires in 720h0m0s." in out
    assert raw(api)["spec"] == {"schedule": "@every 6h", "template": TEMPLATE}
    metadata = raw(api)["metadata"]
    assert isinstance(metadata, dict)
    assert metadata["labels"] == {"team": "a"}


@pytest.mark.parametrize(
    ("flags", "spec", "told"),
    [
        pytest.param(["--time-zone", "Asia/Tokyo"], {"timeZone": "Asia/Tokyo"}, "UTC.", id="a time zone"),
        pytest.param(["--jitter", "30m"], {"jitter": "30m0s"}, "or up to 30m0s later.", id="a jitter"),
        pytest.param(["--run-on-create"], {"runOnCreate": True}, "is made at once", id="the first at once"),
        pytest.param(["--run-on-create=false"], {}, "is made at 20", id="the first not at once"),
        pytest.param(["--paused"], {"paused": True}, "It is paused", id="paused"),
        pytest.param(["--min-keep", "3"], {"minKeep": 3}, "is made at 20", id="three are kept"),
        pytest.param(["--min-keep=0"], {"minKeep": 0}, "is made at 20", id="none is kept"),
    ],
)
def test_flags_become_a_spec(ark: Ark, api: FakeApi, flags: list[str], spec: JsonObject, told: str) -> None:
    code, out, _ = ark("create", "schedule", "--schedule", "0 1 * * *", *flags, "nightly")
    assert code == 0
    assert told in out
    assert raw(api)["spec"] == {"schedule": "0 1 * * *", "template": TEMPLATE, **spec}


def test_the_flags_of_a_backup_become_the_template(ark: Ark, api: FakeApi) -> None:
    flags = ["--ttl", "24h", "--include-namespaces", "a,b", "-l", "app=web", "--default-volumes-to-restic"]
    assert ark("schedule", "create", "nightly", "--schedule", "@daily", *flags)[0] == 0
    spec = raw(api)["spec"]
    assert isinstance(spec, dict)
    assert spec["template"] == {
        "includedNamespaces": ["a", "b"],
        "ttl": "24h0m0s",
        "labelSelector": {"matchLabels": {"app": "web"}},
        "defaultVolumesToRestic": True,
    }


@pytest.mark.parametrize(
    ("flags", "cause"),
    [
        pytest.param([], "--schedule", id="no line"),
        pytest.param(["--schedule", ""], "non-empty", id="an empty line"),
        pytest.param(["--schedule", "61 * * * *"], "minute 61 is not between 0 and 59", id="a line that is none"),
        pytest.param(["--schedule", "@daily", "--time-zone", "Mars"], '"Mars"', id="an unknown time zone"),
        pytest.param(["--schedule", "@daily", "--jitter", "48h"], "jitter", id="a jitter over a day"),
        pytest.param(["--schedule", "@daily", "--min-keep", "-1"], "--min-keep", id="a negative number to keep"),
    ],
)
def test_what_cannot_run_is_a_usage_error(ark: Ark, api: FakeApi, flags: list[str], cause: str) -> None:
    code, _, err = ark("schedule", "create", "nightly", *flags)
    assert code == 64
    assert cause in err
    assert api.count("POST") == 0


def test_with_an_output_format_nothing_is_sent(ark: Ark, api: FakeApi) -> None:
    code, out, _ = ark("schedule", "create", "nightly", "--schedule", "@daily", "-o", "yaml")
    assert (code, yaml.safe_load(out)["kind"]) == (0, "Schedule")
    assert api.count("POST") == 0


def test_the_table(ark: Ark, api: FakeApi) -> None:
    status: JsonObject = {
        "phase": "Enabled",
        "lastBackup": "2025-12-31T22:00:00Z",
        "nextBackup": "2026-01-01T01:00:00Z",
    }
    put(api, "nightly", status=status)
    put(api, "audit", {"paused": True})
    for words in (("schedule", "get"), ("get", "schedules"), ("get", "schedule")):
        code, out, _ = ark(*words)
        assert code == 0
        assert [line.split()[:2] for line in out.splitlines()[1:]] == [["audit", "New"], ["nightly", "Enabled"]]
        assert "2h ago" in out
    wide = ark("schedule", "get", "nightly", "-o", "wide")[1]
    assert "PAUSED" in wide
    assert "NEXT BACKUP" in wide
    assert "1h" in wide.splitlines()[1].split()


def test_a_description(ark: Ark, api: FakeApi) -> None:
    spec: JsonObject = {"timeZone": "Europe/Berlin", "jitter": "10m0s", "minKeep": 2}
    status: JsonObject = {
        "phase": "Enabled",
        "reason": "Overlap",
        "message": "the run was left out",
        "lastBackup": "2025-12-31T00:00:00Z",
        "lastBackupName": "nightly-20251231000000",
        "nextBackup": "2026-01-02T00:00:00Z",
        "lastSkipped": "2026-01-01T00:00:00Z",
    }
    put(api, "nightly", spec, status)
    code, out, _ = ark("schedule", "describe", "nightly")
    assert code == 0
    pairs = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in out.splitlines())}
    assert pairs["Phase"] == "Enabled"
    assert pairs["Reason"] == "Overlap"
    assert pairs["Schedule"] == "0 1 * * *"
    assert pairs["Time zone"] == "Europe/Berlin"
    assert pairs["Kept beyond their TTL"] == "2"
    assert pairs["TTL"] == "720h0m0s"
    assert pairs["Last Backup Name"] == "nightly-20251231000000"
    assert pairs["Next Backup"] == "2026-01-02 00:00:00 +0000 UTC"
    assert pairs["Last Left Out"].startswith("2026-01-01")
    assert "Backup Template:" in out


def test_a_schedule_that_never_ran_says_so(ark: Ark, api: FakeApi) -> None:
    put(api, "nightly", {"schedule": "broken"}, {"phase": "FailedValidation", "validationErrors": ["it is broken"]})
    out = ark("describe", "schedules")[1]
    assert "Last Backup:  <never>" in out
    assert "it is broken" in out


def test_pause_and_unpause(ark: Ark, api: FakeApi) -> None:
    put(api, "nightly")
    assert ark("schedule", "pause", "nightly") == (0, 'Schedule "nightly" paused\n', "")
    assert dict(raw(api)["spec"])["paused"] is True  # type: ignore[arg-type]  # JSON by the test's own word
    assert ark("schedule", "unpause", "nightly") == (0, 'Schedule "nightly" unpaused\n', "")
    assert dict(raw(api)["spec"])["paused"] is False  # type: ignore[arg-type]  # JSON by the test's own word


def test_all_are_paused_or_those_with_a_label(ark: Ark, api: FakeApi) -> None:
    put(api, "audit")
    put(api, "nightly")
    assert ark("schedule", "pause", "-l", "team=a")[1] == 'Schedule "audit" paused\n'
    assert ark("schedule", "pause", "--all")[1] == 'Schedule "audit" paused\nSchedule "nightly" paused\n'


@pytest.mark.parametrize("verb", ["pause", "unpause", "delete"])
@pytest.mark.parametrize(
    "words", [[], ["nightly", "--all"], ["--all", "-l", "a=b"]], ids=["none", "name and all", "all and labels"]
)
def test_which_schedules_are_meant_is_said_in_one_way(ark: Ark, verb: str, words: list[str]) -> None:
    code, _, err = ark("schedule", verb, *words)
    assert code == 64
    assert "give names, or --selector, or --all" in err


def test_a_deleted_schedule_leaves_its_backups(ark: Ark, api: FakeApi) -> None:
    put(api, "nightly")
    api.add(refs.BACKUPS, {"metadata": {"name": "nightly-20260101000000", "namespace": "heptio-ark"}, "spec": {}})
    assert ark("delete", "schedule", "nightly") == (0, 'Schedule "nightly" deleted\n', "")
    assert api.get(refs.SCHEDULES, "heptio-ark", "nightly") is None
    assert api.get(refs.BACKUPS, "heptio-ark", "nightly-20260101000000")
    assert api.count("POST") == 0


def test_a_name_that_does_not_exist_is_said_after_the_others_are_deleted(ark: Ark, api: FakeApi) -> None:
    put(api, "nightly")
    code, out, err = ark("schedule", "delete", "daily", "nightly")
    assert (code, out) == (1, 'Schedule "nightly" deleted\n')
    assert 'there is no Schedule "daily" in namespace heptio-ark' in err


def test_to_delete_all_is_asked_for_unless_confirmed(ark: Ark, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    put(api, "audit")
    put(api, "nightly")
    code, out, _ = ark("schedule", "delete", "--all")
    assert code != 0
    assert "audit, nightly" in out
    assert len(api.list(refs.SCHEDULES, "heptio-ark")) == 2
    assert ark("schedule", "delete", "--all", "--confirm")[0] == 0
    assert api.list(refs.SCHEDULES, "heptio-ark") == []


def test_a_backup_of_a_schedule_made_by_hand(ark: Ark, api: FakeApi) -> None:
    put(api, "nightly", {"template": {"ttl": "1h0m0s", "hooks": {"resources": []}, "fieldOfTomorrow": 1}})
    code, out, _ = ark("backup", "create", "now", "--from-schedule", "nightly", "--labels", "why=upgrade")
    assert code == 0
    assert "It expires in 1h0m0s." in out
    made = api.get(refs.BACKUPS, "heptio-ark", "now")
    assert made
    assert made["spec"] == {"ttl": "1h0m0s", "hooks": {"resources": []}, "fieldOfTomorrow": 1}
    metadata = made["metadata"]
    assert isinstance(metadata, dict)
    assert metadata["labels"] == {"why": "upgrade", "ark-schedule": "nightly"}


def test_what_the_template_says_is_not_said_again(ark: Ark, api: FakeApi) -> None:
    put(api, "nightly")
    code, _, err = ark("backup", "create", "now", "--from-schedule", "nightly", "--ttl", "2h")
    assert code == 64
    assert "leave --ttl out" in err
    assert api.count("POST") == 0


def test_a_schedule_that_is_not_there_makes_no_backup(ark: Ark, api: FakeApi) -> None:
    code, _, err = ark("backup", "create", "now", "--from-schedule", "nightly")
    assert code == 1
    assert 'there is no Schedule "nightly"' in err
    assert api.count("POST") == 0
