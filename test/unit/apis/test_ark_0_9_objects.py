"""Every object that Ark 0.9 put into the API decodes, nulls and all, and every field and name of it is kept."""

from __future__ import annotations

import msgspec
import pytest

from pkg.apis import ark, hooks, names, volumes
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


# Every field of 0.9, by the struct that holds it.
FIELDS: dict[type[msgspec.Struct], str] = {
    ark.BackupSpec: (
        "includedNamespaces excludedNamespaces includedResources excludedResources labelSelector snapshotVolumes ttl "
        "includeClusterResources hooks"
    ),
    hooks.BackupHooks: "resources",
    hooks.BackupResourceHookSpec: (
        "name includedNamespaces excludedNamespaces includedResources excludedResources labelSelector hooks pre post"
    ),
    hooks.BackupResourceHook: "exec",
    hooks.ExecHook: "container command onError timeout",
    ark.BackupStatus: "version expiration phase volumeBackups validationErrors startTimestamp completionTimestamp",
    ark.VolumeBackupInfo: "snapshotID type availabilityZone iops",
    ark.RestoreSpec: (
        "backupName includedNamespaces excludedNamespaces includedResources excludedResources namespaceMapping "
        "labelSelector restorePVs includeClusterResources"
    ),
    ark.RestoreStatus: "phase validationErrors warnings errors",
    ark.ScheduleSpec: "template schedule",
    ark.ScheduleStatus: "phase lastBackup validationErrors",
    ark.Config: (
        "persistentVolumeProvider backupStorageProvider backupSyncPeriod gcSyncPeriod scheduleSyncPeriod "
        "podVolumeOperationTimeout resourcePriorities restoreOnlyMode"
    ),
    ark.StorageProvider: "name config bucket resticLocation",
    ark.DownloadTarget: "kind name",
    ark.DownloadRequestStatus: "phase downloadURL expiration",
    ark.DeleteBackupRequestSpec: "backupName",
    ark.DeleteBackupRequestStatus: "phase errors",
    volumes.ResticRepositorySpec: "maintenanceFrequency resticIdentifier",
    volumes.ResticRepositoryStatus: "phase message lastMaintenanceTime",
    volumes.PodVolumeBackupSpec: "node pod volume repoIdentifier tags",
    volumes.PodVolumeBackupStatus: "phase path snapshotID message",
    volumes.PodVolumeRestoreSpec: "pod volume repoIdentifier snapshotID",
    volumes.PodVolumeRestoreStatus: "phase message",
}


@pytest.mark.parametrize("struct", FIELDS, ids=lambda struct: str(struct.__name__))
def test_every_field_of_0_9_is_kept_under_its_name(struct: type[msgspec.Struct]) -> None:
    ours = {field.encode_name for field in msgspec.structs.fields(struct)}
    assert sorted(set(FIELDS[struct].split()) - ours) == []


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (names.BACKUP_VOLUMES_ANNOTATION, "backup.ark.heptio.com/backup-volumes"),
        (names.SNAPSHOT_ANNOTATION_PREFIX, "snapshot.ark.heptio.com/"),
        (names.BACKUP_NAME_LABEL, "ark.heptio.com/backup-name"),
        (names.BACKUP_UID_LABEL, "ark.heptio.com/backup-uid"),
        (names.RESTORE_NAME_LABEL, "ark.heptio.com/restore-name"),
        (names.RESTORE_UID_LABEL, "ark.heptio.com/restore-uid"),
        (names.POD_UID_LABEL, "ark.heptio.com/pod-uid"),
        (names.POD_VOLUME_TIMEOUT_ANNOTATION, "ark.heptio.com/pod-volume-timeout"),
        (names.RESTORE_LABEL, "ark-restore"),
        (names.SCHEDULE_LABEL, "ark-schedule"),
        (names.PRE_HOOK_PREFIXES, ("pre.hook.backup.ark.heptio.com/", "hook.backup.ark.heptio.com/")),
        (names.POST_HOOK_PREFIXES, ("post.hook.backup.ark.heptio.com/",)),
        (names.MIRROR_POD_ANNOTATION, "kubernetes.io/config.mirror"),
        (names.CREDENTIALS_SECRET, "ark-restic-credentials"),
        (names.PASSWORD_KEY, "repository-password"),
        (names.RESTIC_DAEMONSET, "restic"),
        (names.AGENT_POD_LABEL, ("name", "restic")),
        (names.RESTIC_WAIT_CONTAINER, "restic-wait"),
        (names.RESTIC_HOST, "ark"),
        (names.DEFAULT_NAMESPACE, "heptio-ark"),
        (names.CONFIG_NAME, "default"),
    ],
)
def test_every_label_annotation_and_name_of_0_9_is_kept(ours: object, theirs: object) -> None:
    assert ours == theirs
