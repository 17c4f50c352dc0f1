"""Tables, JSON, YAML and descriptions."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from pkg.apis.meta import Json, JsonObject
from pkg.kube import refs
from pkg.testing.fakeapi import FakeApi

Ark = Callable[..., tuple[int, str, str]]


def backup(api: FakeApi, name: str, *, spec: JsonObject | None = None, status: JsonObject | None = None) -> None:
    labels: JsonObject = {"example.com/team": "a"} if name == "b1" else {}
    api.add(
        refs.BACKUPS,
        {
            "metadata": {"name": name, "namespace": "heptio-ark", "uid": f"uid-{name}", "labels": labels},
            "spec": spec or {"ttl": "720h0m0s"},
            "status": status or {},
        },
    )


def test_backups_are_a_table_with_the_newest_of_a_schedule_first(ark: Ark, api: FakeApi) -> None:
    times: JsonObject = {"startTimestamp": "2026-01-01T10:00:00Z", "expiration": "2026-01-30T12:00:00Z"}
    backup(api, "daily-20260101000000", status={"phase": "Completed", **times})
    backup(api, "daily-20260102000000", status={"phase": "PartiallyFailed", **times})
    backup(api, "b1", spec={"labelSelector": {"matchLabels": {"app": "web"}}, "ttl": "0s"})
    code, out, _ = ark("backup", "get")
    assert code == 0
    assert out == (
        "NAME                   STATUS            CREATED                         EXPIRES   SELECTOR\n"
        "b1                     New               <n/a>                           n/a       app=web\n"
        "daily-20260102000000   PartiallyFailed   2026-01-01 10:00:00 +0000 UTC   29d       <none>\n"
        "daily-20260101000000   Completed         2026-01-01 10:00:00 +0000 UTC   29d       <none>\n"
    )


def test_labels_can_be_columns(ark: Ark, api: FakeApi) -> None:
    backup(api, "b1")
    lines = ark("get", "backups", "--label-columns", "example.com/team", "--show-labels")[1].splitlines()
    assert lines[0].endswith("TEAM      LABELS")
    assert lines[1].endswith("a         example.com/team=a")


def test_one_object_is_printed_as_itself_and_several_as_a_list(ark: Ark, api: FakeApi) -> None:
    backup(api, "b1")
    assert json.loads(ark("backup", "get", "-o", "json")[1])["kind"] == "Backup"
    backup(api, "b2")
    shown = json.loads(ark("backup", "get", "-o", "json")[1])
    assert (shown["kind"], [item["kind"] for item in shown["items"]]) == ("List", ["Backup", "Backup"])


def test_a_selector_reaches_the_server(ark: Ark, api: FakeApi) -> None:
    backup(api, "b1")
    backup(api, "b2")
    assert "b2" not in ark("backup", "get", "-l", "example.com/team=a")[1]


def test_restores_are_a_table(ark: Ark, api: FakeApi) -> None:
    made: JsonObject = {"name": "r1", "namespace": "heptio-ark", "creationTimestamp": "2026-01-01T10:00:00Z"}
    status: JsonObject = {"phase": "Completed", "warnings": 2}
    api.add(refs.RESTORES, {"metadata": made, "spec": {"backupName": "b1"}, "status": status})
    assert ark("restore", "get")[1] == (
        "NAME      BACKUP    STATUS      WARNINGS   ERRORS    CREATED                         SELECTOR\n"
        "r1        b1        Completed   2          0         2026-01-01 10:00:00 +0000 UTC   <none>\n"
    )


def test_a_restore_of_a_schedule_shows_the_backup_that_was_found(ark: Ark, api: FakeApi) -> None:
    spec: JsonObject = {"scheduleName": "nightly"}
    found: dict[str, JsonObject] = {"r1": {"backupName": "nightly-20260101000000"}, "r2": {}}
    for name, status in found.items():
        api.add(refs.RESTORES, {"metadata": {"name": name, "namespace": "heptio-ark"}, "spec": spec, "status": status})
    lines = ark("restore", "get")[1].splitlines()[1:]
    assert [line.split()[:2] for line in lines] == [["r1", "nightly-20260101000000"], ["r2", "<none>"]]


def test_repositories_are_a_table(ark: Ark, api: FakeApi) -> None:
    made: JsonObject = {"name": "shop", "namespace": "heptio-ark"}
    api.add(refs.RESTIC_REPOSITORIES, {"metadata": made, "status": {"phase": "Ready"}})
    assert ark("restic", "repo", "get")[1] == ("NAME      STATUS    LAST MAINTENANCE\nshop      Ready     <never>\n")


def test_a_wide_table_says_more(ark: Ark, api: FakeApi) -> None:
    backup(api, "b1", status={"reason": "VolumesMissing", "errors": 2, "volumes": {"expected": 3, "captured": 1}})
    lines = ark("backup", "get", "-o", "wide")[1].splitlines()
    assert lines[0].split()[-4:] == ["ERRORS", "WARNINGS", "VOLUMES", "REASON"]
    assert lines[1].split()[-4:] == ["2", "0", "1/3", "VolumesMissing"]


def test_names_are_printed_for_scripts_in_the_order_of_the_table(ark: Ark, api: FakeApi) -> None:
    for name in ("daily-20260101000000", "daily-20260102000000"):
        backup(api, name)
    shown = "backup.ark.heptio.com/daily-20260102000000\nbackup.ark.heptio.com/daily-20260101000000\n"
    assert ark("backup", "get", "-o", "name") == (0, shown, "")


@pytest.mark.parametrize("output", ["table", "wide", "json", "yaml", "name"])
def test_of_several_names_those_that_exist_are_shown_and_the_others_named(ark: Ark, api: FakeApi, output: str) -> None:
    backup(api, "b1")
    code, out, err = ark("get", "backups", "b9", "b1", "-o", output)
    assert (code, err.count("\n")) == (1, 1)
    assert 'there is no Backup "b9"' in err
    assert "b1" in out


def test_an_empty_table_says_so_beside_its_headings(ark: Ark) -> None:
    assert ark("backup", "get")[1:] == (
        "NAME      STATUS    CREATED   EXPIRES   SELECTOR\n",
        "no backups in namespace heptio-ark\n",
    )


def test_an_empty_list_is_a_list_for_programs(ark: Ark) -> None:
    code, out, err = ark("backup", "get", "-o", "json")
    assert (code, err, json.loads(out)) == (0, "", {"apiVersion": "v1", "kind": "List", "items": []})


def test_an_object_with_a_field_of_another_type_is_one_sentence(ark: Ark, api: FakeApi) -> None:
    backup(api, "b1", status={"errors": "many"})
    code, _, err = ark("backup", "get")
    assert code == 1
    assert "a Backup has a field of another type than Ark knows" in err
    assert "errors: many\n" in ark("backup", "get", "-o", "yaml")[1]


def test_a_backup_to_be_created_can_be_shown_as_a_table(ark: Ark, api: FakeApi) -> None:
    out = ark("backup", "create", "b1", "--labels", "a=b", "-o", "table", "--show-labels")[1]
    assert out.splitlines()[0].split() == ["NAME", "STATUS", "CREATED", "EXPIRES", "SELECTOR", "LABELS"]
    assert out.splitlines()[1].split() == ["b1", "New", "<n/a>", "n/a", "<none>", "a=b"]
    assert api.count("POST") == 0


def test_a_backup_that_is_not_there_is_named(ark: Ark) -> None:
    code, _, err = ark("backup", "describe", "b9")
    assert code == 1
    assert err == 'An error occurred: there is no Backup "b9" in namespace heptio-ark: `ark backup get` lists them\n'


def described(api: FakeApi) -> None:
    entries: list[Json] = [
        {"namespace": "shop", "pod": "web", "volume": "host", "phase": "skipped", "reason": "HostPath"},
        {"namespace": "shop", "pod": "web", "volume": "data", "phase": "captured"},
    ]
    volumes: JsonObject = {"expected": 2, "captured": 1, "failed": 1, "bytesDone": 4096, "entries": entries}
    backup(
        api,
        "b1",
        spec={"ttl": "24h0m0s", "includedNamespaces": ["shop"]},
        status={
            "phase": "PartiallyFailed",
            "reason": "VolumesMissing",
            "message": "1 volume not captured",
            "startTimestamp": "2026-01-01T10:00:00Z",
            "volumes": volumes,
        },
    )
    labels: JsonObject = {"ark.heptio.com/backup-name": "b1", "ark.heptio.com/backup-uid": "uid-b1"}
    statuses: tuple[tuple[str, JsonObject], ...] = (
        ("data", {"phase": "Completed", "progress": {"bytesDone": 4096}}),
        ("logs", {"phase": "InProgress", "progress": {"bytesDone": 512, "totalBytes": 1024}}),
        ("tmp", {"phase": "Failed", "reason": "NoProgress", "message": "nothing for 20 min"}),
    )
    for volume, status in statuses:
        api.add(
            refs.POD_VOLUME_BACKUPS,
            {
                "metadata": {"name": f"b1-{volume}", "namespace": "heptio-ark", "labels": labels},
                "spec": {"pod": {"namespace": "shop", "name": "web"}, "volume": volume},
                "status": status,
            },
        )


def test_a_description_says_what_became_of_a_backup(ark: Ark, api: FakeApi) -> None:
    described(api)
    code, out, _ = ark("backup", "describe", "b1")
    assert code == 0
    assert "Name:         b1\nNamespace:    heptio-ark\nLabels:       example.com/team=a\n" in out
    assert "Phase:    PartiallyFailed\nReason:   VolumesMissing\nMessage:  1 volume not captured\n" in out
    assert "  Included:        *\n  Excluded:        <none>\n  Cluster-scoped:  auto\n" in out
    assert "Pod volumes:\n  Expected:  2\n  Captured:  1 (4.0 KiB)\n  Failed:    1\n" in out
    assert "  shop/web: host  skipped  HostPath\n" in out
    assert "shop/web: data" not in out
    assert "Restic Backups (specify --details for more information):\n" in out
    assert "  Completed:    1\n  Failed:       1\n  In Progress:  1\n" in out


def test_with_details_every_volume_is_shown(ark: Ark, api: FakeApi) -> None:
    described(api)
    out = ark("backup", "describe", "b1", "--details")[1]
    assert ark("backup", "describe", "b1", "--volume-details")[1] == out
    assert "Restic Backups:\n  Completed:\n    shop/web  data  4.0 KiB\n" in out
    assert "  Failed:\n    shop/web  tmp  NoProgress: nothing for 20 min\n" in out
    assert "  In Progress:\n    shop/web  logs  50 % of 1.0 KiB\n" in out
    assert "  shop/web: data  captured\n" in out


def test_several_descriptions_are_apart(ark: Ark, api: FakeApi) -> None:
    backup(api, "b1")
    backup(api, "b2")
    assert ark("describe", "backups")[1].count("\n\n\nName:") == 1


@pytest.mark.parametrize(
    "arguments", [["version", "--client-only"], ["--help"], ["backup", "--help"], ["restic", "--help"]]
)
def test_what_needs_no_cluster_asks_none(ark: Ark, api: FakeApi, arguments: list[str]) -> None:
    code, out, _ = ark(*arguments)
    assert (code, api.requests) == (0, [])
    assert out
