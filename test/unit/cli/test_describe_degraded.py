"""Volumes that are there and lack something: `describe --details` names the first files."""

from __future__ import annotations

from collections.abc import Callable

from pkg.apis.meta import JsonObject
from pkg.kube import refs
from pkg.testing.fakeapi import FakeApi

Ark = Callable[..., tuple[int, str, str]]
POD: JsonObject = {"namespace": "shop", "name": "web"}


def metadata(name: str, labels: JsonObject | None = None) -> JsonObject:
    return {"name": name, "namespace": "heptio-ark", "uid": "u1", "labels": labels or {}}


def test_a_backup_names_the_first_files_that_it_could_not_read(ark: Ark, api: FakeApi) -> None:
    api.add(refs.BACKUPS, {"metadata": metadata("b1"), "status": {"phase": "PartiallyFailed"}})
    labels: JsonObject = {"ark.heptio.com/backup-name": "b1", "ark.heptio.com/backup-uid": "u1"}
    status: JsonObject = {
        "phase": "Completed",
        "reason": "UnreadFiles",
        "message": "2 files could not be read, first: a\nb",
        "unreadFiles": 2,
        "unreadPaths": ["a\nb", "\x1b[31mred", "täglich/c d"],
    }
    spec: JsonObject = {"pod": POD, "volume": "data"}
    api.add(refs.POD_VOLUME_BACKUPS, {"metadata": metadata("v1", labels), "spec": spec, "status": status})
    out = ark("backup", "describe", "b1", "--details")[1]
    assert "    UnreadFiles in shop/web, data, first paths:\n" in out
    assert "      a\\nb\n      \\x1b[31mred\n      täglich/c d\n" in out
    assert "UnreadFiles: 2 files could not be read, first: a\\nb\n" in out
    assert "first paths" not in ark("backup", "describe", "b1")[1]


def test_a_restore_names_the_first_files_whose_metadata_is_lost(ark: Ark, api: FakeApi) -> None:
    spec: JsonObject = {"backupName": "b1", "strictMetadata": True}
    api.add(refs.RESTORES, {"metadata": metadata("r1"), "spec": spec, "status": {"phase": "Completed"}})
    status: JsonObject = {"phase": "Completed", "reason": "MetadataLost", "metadataPaths": ["/", "/a"]}
    labels: JsonObject = {"ark.heptio.com/restore-uid": "u1"}
    volume: JsonObject = {"pod": POD, "volume": "data"}
    api.add(refs.POD_VOLUME_RESTORES, {"metadata": metadata("v1", labels), "spec": volume, "status": status})
    out = ark("restore", "describe", "r1", "--details")[1]
    assert "    MetadataLost in shop/web, data, first paths:\n      /\n      /a\n" in out
    assert "Metadata:" in out
