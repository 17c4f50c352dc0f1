"""`ark backup describe`: every section of 0.9 in its order, and what is ours between them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable

import pytest

from pkg.apis.meta import Json, JsonObject
from pkg.cli import volume_list
from pkg.kube import refs
from pkg.kube.stop import StopToken
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.volumes.ledger import EntryState, Ledger, LedgerEntry, to_json_gz

Ark = Callable[..., tuple[int, str, str]]
SPEC: JsonObject = {
    "ttl": "24h0m0s",
    "includedNamespaces": ["shop"],
    "snapshotVolumes": True,
    "maxFreeze": "5m0s",
    "hooks": {
        "resources": [
            {
                "name": "freeze",
                "includedNamespaces": ["shop"],
                "excludedResources": ["jobs"],
                "pre": [{"exec": {"container": "db", "command": ["fsfreeze", "-f"], "timeout": "1m0s"}}],
                "post": [{"exec": {"command": ["fsfreeze", "-u"], "onError": "Continue"}}],
            }
        ]
    },
}
STATUS: JsonObject = {
    "version": 1,
    "phase": "Completed",
    "startTimestamp": "2026-01-01T10:00:00Z",
    "completionTimestamp": "2026-01-01T10:05:00Z",
    "expiration": "2026-01-02T10:00:00Z",
    "frozenSeconds": 12,
    "openHooks": [{"namespace": "shop", "pod": "db", "since": "2026-01-01T10:01:00Z"}],
    "volumeBackups": {"pv-1": {"snapshotID": "snap-1", "type": "gp2", "availabilityZone": "a"}},
    "conditions": [{"type": "RecoveryKitUnverified", "status": "True", "message": "save the kit"}],
}
ANNOTATIONS: JsonObject = {"ark.heptio.com/pinned": "audit", "ark.heptio.com/imported": "true"}


def add(api: FakeApi, *, spec: JsonObject = SPEC, status: JsonObject = STATUS) -> None:
    metadata: JsonObject = {"name": "b1", "namespace": "heptio-ark", "uid": "u1", "annotations": ANNOTATIONS}
    api.add(refs.BACKUPS, {"metadata": metadata, "spec": spec, "status": status})


def test_the_sections_of_0_9_stand_in_their_order(ark: Ark, api: FakeApi) -> None:
    add(api)
    labels: JsonObject = {"ark.heptio.com/backup-name": "b1", "ark.heptio.com/backup-uid": "u1"}
    request: JsonObject = {"name": "b1-x", "namespace": "heptio-ark", "labels": labels}
    api.add(refs.DELETE_BACKUP_REQUESTS, {"metadata": request, "status": {"phase": "Processed", "errors": ["no"]}})
    out = ark("backup", "describe", "b1")[1]
    sections = [
        "Name:",
        "Namespace:",
        "Labels:",
        "Annotations:",
        "\nPhase:",
        "\nNamespaces:",
        "\nResources:",
        "  Cluster-scoped:",
        "\nLabel selector:",
        "\nSnapshot PVs:",
        "\nTTL:",
        "\nHooks:",
        "\nBackup Format Version:",
        "\nStarted:",
        "\nCompleted:",
        "\nExpiration:",
        "\nPersistent Volumes:",
        "\nDeletion Attempts (1 failed):",
    ]
    places = [out.find(section) for section in sections]
    assert -1 not in places, sections[places.index(-1)]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param("  freeze:\n    Namespaces:\n      Included:", id="a hook has filters of its own"),
        pytest.param("    Pre Exec Hook:\n      Container:", id="a command before"),
        pytest.param("fsfreeze -u\n      On Error:   Continue\n      Timeout:    2m\n", id="a command after"),
        pytest.param("Pinned:                  audit\n", id="pinned"),
        pytest.param("Imported:                made by an Ark 0.9\n", id="imported"),
        pytest.param("RecoveryKitUnverified:   save the kit\n", id="a condition"),
        pytest.param("Longest freeze of a pod:  12 s", id="frozen for how long"),
        pytest.param("Frozen now:              shop/db since 2026-01-01 10:01:00 +0000 UTC", id="frozen now"),
        pytest.param("  pv-1:\n    Snapshot ID:        snap-1\n    Type:               gp2\n", id="a disk of 0.9"),
        pytest.param("    IOPS:               <N/A>\n", id="a disk without a speed"),
    ],
)
def test_what_is_known_of_a_backup_is_shown(ark: Ark, api: FakeApi, lines: str) -> None:
    add(api)
    out = ark("backup", "describe", "b1")[1]
    assert " ".join(lines.split()) in " ".join(out.split())


def test_a_backup_kept_for_ever_says_so(ark: Ark, api: FakeApi) -> None:
    add(api, spec={"ttl": "0s"})
    assert "TTL:  0s (kept for ever)\n" in ark("backup", "describe", "b1")[1]


def many(count: int) -> JsonObject:
    entries: list[Json] = [
        {"namespace": "shop", "pod": f"web-{number}", "volume": "data", "phase": "captured"} for number in range(count)
    ]
    return {**STATUS, "volumes": {"expected": 150, "captured": 150, "entries": entries}}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, api: FakeApi, clock: FakeClock) -> list[str]:
    """What was asked of the bucket; the server says no."""
    found: list[str] = []
    original = clock.wait

    def wait(stop: StopToken, seconds: float) -> bool:
        for request in api.list(refs.DOWNLOAD_REQUESTS):
            spec = request["spec"]
            assert isinstance(spec, dict)
            found.append(str(spec["target"]))
            api.add(refs.DOWNLOAD_REQUESTS, {**request, "status": {"phase": "Processed", "reason": "No"}})
        return original(stop, seconds)

    monkeypatch.setattr(clock, "wait", wait)
    return found


@pytest.mark.parametrize(
    ("count", "flags", "expected"),
    [
        pytest.param(99, ["--details"], 0, id="all are in the status"),
        pytest.param(100, [], 0, id="nobody wants all"),
        pytest.param(100, ["--details"], 1, id="some are in the bucket only"),
        pytest.param(100, ["--volume-details"], 1, id="0.9's name of the flag"),
    ],
)
def test_the_list_in_the_bucket_is_asked_for_only_when_the_status_is_cut(
    ark: Ark, api: FakeApi, asked: list[str], count: int, flags: list[str], expected: int
) -> None:
    add(api, status=many(count))
    assert ark("backup", "describe", "b1", *flags)[0] == 0
    assert len(asked) == expected


def test_without_the_list_the_volumes_of_the_status_are_shown_with_the_reason(
    ark: Ark, api: FakeApi, asked: list[str]
) -> None:
    add(api, status=many(100))
    out = ark("backup", "describe", "b1", "--details")[1]
    assert "  only 100 are shown: No\n" in out
    assert "shop/web-99: data" in out


def test_the_list_in_the_bucket_has_every_volume_with_its_excluded_paths(
    ark: Ark, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = tuple(
        LedgerEntry(namespace="shop", pod=f"web-{number}", volume="data", state=EntryState.CAPTURED, excludes=("/tmp",))
        for number in range(150)
    )
    data = to_json_gz(Ledger(backup_name="b1", entries=entries))
    monkeypatch.setattr(volume_list, "downloaded", lambda *_, **__: _file(data))
    add(api, status=many(100))
    out = ark("backup", "describe", "b1", "--details")[1]
    assert out.count("captured\n") == 150
    assert "  Excluded paths of shop/web-149: data: /tmp\n" in out
    assert "--details" not in out


def _file(data: bytes) -> contextlib.AbstractContextManager[io.BytesIO]:
    return contextlib.nullcontext(io.BytesIO(data))
