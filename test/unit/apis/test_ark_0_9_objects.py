"""Every object that Ark 0.9 put into the API decodes, nulls and all."""

from __future__ import annotations

import msgspec
import pytest

from pkg.apis.ark import Backup, Config, DeleteBackupRequest, DownloadRequest, Restore, Schedule
from pkg.apis.meta import Object
from pkg.apis.volumes import PodVolumeBackup, PodVolumeRestore, ResticRepository
from pkg.testing import ark09

STRUCTS: dict[str, type[Object]] = {
    struct.__name__: struct
    for struct in (
        Backup,
        Config,
        DeleteBackupRequest,
        DownloadRequest,
        PodVolumeBackup,
        PodVolumeRestore,
        ResticRepository,
        Restore,
        Schedule,
    )
}
OBJECTS = ark09.api_objects()


def test_there_is_one_of_every_kind() -> None:
    assert sorted(str(given["kind"]) for given in OBJECTS.values()) == sorted(STRUCTS)


@pytest.mark.parametrize("kind", sorted(OBJECTS))
def test_an_object_decodes(kind: str) -> None:
    given = OBJECTS[kind]
    found = msgspec.json.decode(msgspec.json.encode(given), type=STRUCTS[str(given["kind"])])
    assert found.kind == given["kind"]


def test_a_repository_of_0_9_is_its_names_namespace() -> None:
    given = msgspec.json.encode(OBJECTS["resticrepository"])
    assert msgspec.json.decode(given, type=ResticRepository).volume_namespace == "shop09"
