"""`ark backup create` and `ark restore create`: flags become a spec, and --wait becomes an exit code."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from pkg.apis.meta import JsonObject
from pkg.kube import refs
from pkg.kube.errors import TransportError, status_error
from pkg.kube.stop import StopToken
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock

Ark = Callable[..., tuple[int, str, str]]
EVERYTHING = {"includedNamespaces": ["*"], "ttl": "720h0m0s"}


def spec_of(api: FakeApi, name: str = "b1") -> object:
    found = api.get(refs.BACKUPS, "heptio-ark", name)
    assert found is not None
    return found["spec"]


def test_a_backup_of_everything(ark: Ark, api: FakeApi) -> None:
    code, out, err = ark("backup", "create", "b1")
    assert (code, err) == (0, "")
    assert out == (
        'Backup request "b1" submitted successfully.\n'
        "It expires in 720h0m0s.\n"
        "Run `ark backup describe b1` for more details.\n"
    )
    assert spec_of(api) == EVERYTHING


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param(["--include-namespaces", "a, b"], {"includedNamespaces": ["a", "b"]}, id="namespaces"),
        pytest.param(["--exclude-namespaces=a"], {"excludedNamespaces": ["a"]}, id="excluded namespaces"),
        pytest.param(["--include-resources", "pods,deploy"], {"includedResources": ["pods", "deploy"]}, id="resources"),
        pytest.param(["--exclude-resources", "nodes"], {"excludedResources": ["nodes"]}, id="excluded resources"),
        pytest.param(["-l", "app=web"], {"labelSelector": {"matchLabels": {"app": "web"}}}, id="a selector"),
        pytest.param(["--ttl", "24h"], {"ttl": "24h0m0s"}, id="a time to live"),
        pytest.param(["--ttl", "0"], {"ttl": "0s"}, id="kept for ever"),
        pytest.param(["--snapshot-volumes"], {"snapshotVolumes": True}, id="a bare boolean"),
        pytest.param(["--snapshot-volumes=false"], {"snapshotVolumes": False}, id="a boolean that is false"),
        pytest.param(["--include-cluster-resources=true"], {"includeClusterResources": True}, id="cluster resources"),
        pytest.param(["--default-volumes-to-restic"], {"defaultVolumesToRestic": True}, id="all volumes"),
        pytest.param(["--max-freeze", "90s"], {"maxFreeze": "1m30s"}, id="the longest freeze"),
        pytest.param(["--tolerate-unread-files"], {"tolerateUnreadFiles": True}, id="unread files"),
    ],
)
def test_flags_become_a_spec(ark: Ark, api: FakeApi, flags: list[str], expected: dict[str, object]) -> None:
    assert ark("backup", "create", *flags, "b1")[0] == 0
    assert spec_of(api) == {**EVERYTHING, **expected}


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_labels_are_set_and_the_namespace_may_stand_anywhere(ark: Ark, api: FakeApi, place: int) -> None:
    line = ["backup", "create", "b1", "--labels", "a=1,b=2"]
    assert ark(*line[:place], "-n", "other", *line[place:])[0] == 0
    found = api.get(refs.BACKUPS, "other", "b1")
    assert found is not None
    metadata = found["metadata"]
    assert isinstance(metadata, dict)
    assert metadata["labels"] == {"a": "1", "b": "2"}


def test_with_an_output_format_nothing_is_sent(ark: Ark, api: FakeApi) -> None:
    code, out, _ = ark("backup", "create", "b1", "-o", "yaml")
    shown = yaml.safe_load(out)
    assert (code, shown["kind"], shown["metadata"]["namespace"]) == (0, "Backup", "heptio-ark")
    assert api.count("POST") == 0


def test_a_name_that_is_taken_is_said(ark: Ark) -> None:
    ark("backup", "create", "b1")
    code, out, err = ark("backup", "create", "b1")
    assert (code, out) == (1, "")
    assert err == 'An error occurred: a backup "b1" exists already: choose another name\n'


def test_a_cluster_without_ark_is_said(ark: Ark, api: FakeApi) -> None:
    missing = status_error("the server could not find the requested resource", code=404, reason="NotFound")
    api.fail_next(missing, method="POST")
    code, _, err = ark("backup", "create", "b1")
    assert code == 1
    assert "Ark is not installed" in err


def test_a_cluster_that_does_not_answer_is_one_sentence(ark: Ark, api: FakeApi) -> None:
    api.fail_next(TransportError("https://10.0.0.1:6443 refused the connection"))
    code, _, err = ark("backup", "get")
    assert code == 1
    assert err.startswith("An error occurred: the Kubernetes API cannot be reached: ")
    assert "https://10.0.0.1:6443 refused the connection" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["backup", "create"], id="a missing name"),
        pytest.param(["backup", "create", "b1", "--ttl", "soon"], id="a duration that is none"),
        pytest.param(["backup", "create", "b1", "--ttl=-1h"], id="a time to live that is negative"),
        pytest.param(["backup", "create", "b1", "--max-freeze=-1s"], id="a freeze that is negative"),
        pytest.param(["backup", "create", "b1", "--nonsense"], id="an unknown flag"),
        pytest.param(["backup", "create", "b1", "--labels", "x"], id="a label without a value"),
        pytest.param(["backup", "create", "b1", "-l", "a in"], id="a selector that is none"),
        pytest.param(["backup", "create", "b1", "--wait=perhaps"], id="a boolean that is none"),
        pytest.param(["backup", "get", "-o", "xml"], id="an unknown output format"),
        pytest.param(["restore", "create"], id="no backup to restore"),
        pytest.param(["restore", "create", "--from-backup", "a", "--from-schedule", "b"], id="two sources"),
        pytest.param(["restore", "create", "--from-backup", "a", "--existing-resource-policy", "x"], id="no policy"),
        pytest.param(["nonsense"], id="an unknown command"),
    ],
)
def test_usage_errors_end_with_64(ark: Ark, api: FakeApi, arguments: list[str]) -> None:
    code, _, err = ark(*arguments)
    assert code == 64
    assert "Traceback" not in err
    assert api.requests == []


def end_with(api: FakeApi, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, status: JsonObject, name: str) -> None:
    """The server's work: after three looks the object has ended."""
    original, ref = clock.wait, refs.BACKUPS if name == "b1" else refs.RESTORES

    def wait(stop: StopToken, seconds: float) -> bool:
        if len(clock.waits) >= 2:
            found = api.get(ref, "heptio-ark", name)
            assert found is not None
            api.add(ref, {**found, "status": status})
        return original(stop, seconds)

    monkeypatch.setattr(clock, "wait", wait)


@pytest.mark.parametrize(
    ("phase", "expected"), [("Completed", 0), ("Failed", 1), ("PartiallyFailed", 2), ("FailedValidation", 3)]
)
def test_waiting_ends_with_the_phases_code(
    ark: Ark, api: FakeApi, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, phase: str, expected: int
) -> None:
    end_with(api, clock, monkeypatch, {"phase": phase, "message": "because"}, "b1")
    code, out, err = ark("backup", "create", "b1", "--wait")
    assert (code, err) == (expected, "because\n")
    assert f"Backup completed with status: {phase}." in out


def test_waiting_shows_plain_lines_where_there_is_no_terminal(
    ark: Ark, api: FakeApi, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    volumes: JsonObject = {"expected": 2, "captured": 2, "bytesDone": 2048, "totalBytes": 2048}
    status: JsonObject = {"phase": "Completed", "progress": {"totalItems": 3, "itemsDone": 3}, "volumes": volumes}
    end_with(api, clock, monkeypatch, status, "b1")
    out = ark("backup", "create", "b1", "-w")[1]
    assert "\nNew\nCompleted: 3 of 3 objects, 2 of 2 volumes, 2.0 KiB of 2.0 KiB\n" in out


def test_waiting_gives_up_with_124_and_says_that_nobody_took_it_up(ark: Ark) -> None:
    code, _, err = ark("backup", "create", "b1", "--wait", "--timeout", "40s")
    assert code == 124
    assert "no Ark server has taken it up for 30 s" in err
    assert "timed out after 40 s" in err


def test_waiting_survives_an_api_server_that_is_away_for_a_moment(
    ark: Ark, api: FakeApi, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.fail_next(TransportError("gone"), method="GET", ref=refs.BACKUPS)
    end_with(api, clock, monkeypatch, {"phase": "Completed"}, "b1")
    assert ark("backup", "create", "b1", "--wait")[0] == 0


def test_a_restore_needs_its_backup(ark: Ark, api: FakeApi) -> None:
    code, _, err = ark("restore", "create", "r1", "--from-backup", "b1")
    assert (code, api.count("POST")) == (1, 0)
    assert 'there is no Backup "b1" in namespace heptio-ark: `ark backup get` lists them' in err


def test_a_restore_with_its_flags(ark: Ark, api: FakeApi) -> None:
    ark("backup", "create", "b1")
    flags = ["--namespace-mappings", "a:b,c:d", "--restore-volumes=false", "--include-namespaces", "a,c"]
    assert ark("restore", "create", "r1", "--from-backup", "b1", *flags)[0] == 0
    found = api.get(refs.RESTORES, "heptio-ark", "r1")
    assert found is not None
    assert found["spec"] == {
        "backupName": "b1",
        "includedNamespaces": ["a", "c"],
        "namespaceMapping": {"a": "b", "c": "d"},
        "restorePVs": False,
    }


def test_a_restore_with_the_flags_that_0_9_did_not_have(ark: Ark, api: FakeApi) -> None:
    flags = ["--storage-class-mappings", "gp2:fast", "--image-mappings", "old:5000/=new:5000/", "--disable-hooks"]
    flags += ["--existing-resource-policy", "update", "--restore-last", "deployments,widgets", "--strict-metadata"]
    assert ark("restore", "create", "r1", "--from-schedule", "daily", *flags)[0] == 0
    found = api.get(refs.RESTORES, "heptio-ark", "r1")
    assert found is not None
    assert found["spec"] == {
        "scheduleName": "daily",
        "includedNamespaces": ["*"],
        "storageClassMapping": {"gp2": "fast"},
        "imageMapping": {"old:5000/": "new:5000/"},
        "existingResourcePolicy": "update",
        "restoreLast": ["deployments", "widgets"],
        "disableHooks": True,
        "strictMetadata": True,
    }


def test_a_restore_without_a_name_gets_one(ark: Ark, api: FakeApi) -> None:
    ark("backup", "create", "b1")
    code, out, _ = ark("create", "restore", "--from-backup", "b1")
    assert (code, len(api.list(refs.RESTORES))) == (0, 1)
    assert 'Restore request "b1-20' in out
