"""Every label, annotation, tag and fixed name that Ark reads or writes; nothing else spells one out."""

from __future__ import annotations

GROUP = "ark.heptio.com"
VERSION = "v1"
API_VERSION = f"{GROUP}/{VERSION}"

DEFAULT_NAMESPACE = "heptio-ark"
DEFAULT_LOCATION = "default"
CONFIG_NAME = "default"

# Labels
BACKUP_NAME_LABEL = "ark.heptio.com/backup-name"
BACKUP_UID_LABEL = "ark.heptio.com/backup-uid"
RESTORE_NAME_LABEL = "ark.heptio.com/restore-name"
RESTORE_UID_LABEL = "ark.heptio.com/restore-uid"
RESTORE_LABEL = "ark-restore"  # 0.9's label on every restored object
SCHEDULE_LABEL = "ark-schedule"
POD_UID_LABEL = "ark.heptio.com/pod-uid"
PVC_UID_LABEL = "ark.heptio.com/pvc-uid"
NODE_LABEL = "ark.heptio.com/node"
VOLUME_NAMESPACE_LABEL = "ark.heptio.com/volume-namespace"

# Annotations
BACKUP_VOLUMES_ANNOTATION = "backup.ark.heptio.com/backup-volumes"
BACKUP_VOLUMES_EXCLUDES_ANNOTATION = "backup.ark.heptio.com/backup-volumes-excludes"
EXCLUDE_PATHS_ANNOTATION_PREFIX = "backup.ark.heptio.com/exclude-paths."  # + volume: patterns, comma-separated
SNAPSHOT_ANNOTATION_PREFIX = "snapshot.ark.heptio.com/"
PRE_HOOK_PREFIXES = ("pre.hook.backup.ark.heptio.com/", "hook.backup.ark.heptio.com/")  # the second is older
POST_HOOK_PREFIXES = ("post.hook.backup.ark.heptio.com/",)
POD_VOLUME_TIMEOUT_ANNOTATION = "ark.heptio.com/pod-volume-timeout"  # on a Backup or Restore: a Go duration
IMPORTED_ANNOTATION = "ark.heptio.com/imported"
GENERATED_ANNOTATION = "ark.heptio.com/generated"
POST_RESTORE_HOOK_PREFIX = "post.hook.restore.ark.heptio.com/"
PINNED_ANNOTATION = "ark.heptio.com/pinned"  # on a Backup: never deleted by age; the value says why
DELETION_CONFIRMED_ANNOTATION = "ark.heptio.com/deletion-confirmed"  # on a Backup held in a mass deletion: may go
SHRINK_ACKNOWLEDGED_ANNOTATION = "ark.heptio.com/shrink-acknowledged"  # on a Backup with a SuspiciousShrink
ADOPT_ANNOTATION = "ark.heptio.com/adopt-cluster"  # on Config: the clusters whose backups become ours, `;` and when
ADOPTED_ANNOTATION = "ark.heptio.com/adopted"  # on an imported Backup: since when it counts as ours
LOCATION_RECORD = "ark-location"  # ConfigMap: whose the place in the bucket is, and which places were ours
SOURCE_CLUSTER_ANNOTATION = "ark.heptio.com/source-cluster"  # on an imported Backup: who made it
SCHEMA_HASH_ANNOTATION = "ark.heptio.com/schema-hash"
MIRROR_POD_ANNOTATION = "kubernetes.io/config.mirror"

# restic
CREDENTIALS_SECRET = "ark-restic-credentials"
PASSWORD_KEY = "repository-password"
RESTIC_HOST = "ark"
RESTIC_DAEMONSET = "restic"
AGENT_POD_LABEL = ("name", "restic")

RECOVERY_KIT_CONDITION = "RecoveryKitUnverified"
DELETION_HELD_CONDITION = "DeletionHeld"  # on an expired Backup; its reason says what keeps it
RECOVERY_KIT_VERIFIED_ANNOTATION = "ark.heptio.com/recovery-kit-verified"  # on the Secret: digest of what was verified

# Maintenance Jobs
MAINTENANCE_ACCOUNT = "ark-maintenance"
MAINTENANCE_LABEL = ("ark.heptio.com/component", "maintenance")
REPOSITORY_LABEL = "ark.heptio.com/repository"
MAINTENANCE_CONFIG_LABEL = ("ark.heptio.com/plugin-config", "maintenance")  # ConfigMap with resources and placement
MAINTAIN_ANNOTATION = "ark.heptio.com/maintain"  # on a ResticRepository: verbs asked for, and when
REPLACE_ANNOTATION = "ark.heptio.com/replace-repository"  # on a ResticRepository: the pinned id that is given up
DAMAGED_CONDITION = "Damaged"  # on a ResticRepository: errors that were confirmed under a lock
ORPHANS_CONFIG_MAP = "ark-orphans"

# Limits of the work on volumes
LIMITS_CONFIG_MAP = "ark-limits"
SLOTS_LABEL = "ark.heptio.com/restic-slots"  # on a Node: backups at once
RESTORE_SLOTS_LABEL = "ark.heptio.com/restic-restore-slots"

# Restore helper
HELPER_CONFIG_LABEL = ("ark.heptio.com/plugin-config", "restic-restore")  # ConfigMap with image and resources
RESTIC_WAIT_CONTAINER = "restic-wait"
MARKER_VOLUME = "ark-restore"
MARKER_MOUNT_PATH = "/ark-restore"
GIVEN_UP_VOLUME = "ark-restore-given-up"  # shows restic-wait the annotation below
GIVEN_UP_MOUNT_PATH = "/ark-restore-given-up"
RESTORE_ANNOTATION_PREFIX = "restore.ark.heptio.com/"  # on restored pods; goes at the next restore
GIVEN_UP_ANNOTATION = RESTORE_ANNOTATION_PREFIX + "given-up"  # volumes that no agent will fill, as JSON
HOOKS_RUN_ANNOTATION = RESTORE_ANNOTATION_PREFIX + "hooks-run"  # how many post-restore hooks ended, as JSON
STORAGE_CLASS_CONFIG_LABEL = (HELPER_CONFIG_LABEL[0], "change-storage-class")  # ConfigMap: old class to new one
IMAGE_CONFIG_LABEL = (HELPER_CONFIG_LABEL[0], "change-image-name")  # ConfigMap: image prefixes, `old,new` each

# Names that a backup must not have, because its prefix in the bucket would be something else's.
RESERVED_BACKUP_NAMES = frozenset({"restic", "backups", "restores", "metadata"})
