"""The resources that Ark itself reads and writes."""

from __future__ import annotations

from pkg.apis.names import GROUP, VERSION
from pkg.kube.resources import ResourceRef


def _ark(plural: str, kind: str) -> ResourceRef:
    return ResourceRef(group=GROUP, version=VERSION, plural=plural, kind=kind)


BACKUPS = _ark("backups", "Backup")
RESTORES = _ark("restores", "Restore")
SCHEDULES = _ark("schedules", "Schedule")
CONFIGS = _ark("configs", "Config")
DOWNLOAD_REQUESTS = _ark("downloadrequests", "DownloadRequest")
DELETE_BACKUP_REQUESTS = _ark("deletebackuprequests", "DeleteBackupRequest")
POD_VOLUME_BACKUPS = _ark("podvolumebackups", "PodVolumeBackup")
POD_VOLUME_RESTORES = _ark("podvolumerestores", "PodVolumeRestore")
RESTIC_REPOSITORIES = _ark("resticrepositories", "ResticRepository")

PODS = ResourceRef(plural="pods", kind="Pod")
PVCS = ResourceRef(plural="persistentvolumeclaims", kind="PersistentVolumeClaim")
PVS = ResourceRef(plural="persistentvolumes", kind="PersistentVolume", namespaced=False)
NODES = ResourceRef(plural="nodes", kind="Node", namespaced=False)
NAMESPACES = ResourceRef(plural="namespaces", kind="Namespace", namespaced=False)
SECRETS = ResourceRef(plural="secrets", kind="Secret")
CONFIG_MAPS = ResourceRef(plural="configmaps", kind="ConfigMap")
SERVICE_ACCOUNTS = ResourceRef(plural="serviceaccounts", kind="ServiceAccount")
EVENTS = ResourceRef(plural="events", kind="Event")
DAEMON_SETS = ResourceRef(group="apps", plural="daemonsets", kind="DaemonSet")
JOBS = ResourceRef(group="batch", plural="jobs", kind="Job")
LEASES = ResourceRef(group="coordination.k8s.io", plural="leases", kind="Lease")
CRDS = ResourceRef(
    group="apiextensions.k8s.io", plural="customresourcedefinitions", kind="CustomResourceDefinition", namespaced=False
)

ARK_KINDS = (
    BACKUPS,
    RESTORES,
    SCHEDULES,
    CONFIGS,
    DOWNLOAD_REQUESTS,
    DELETE_BACKUP_REQUESTS,
    POD_VOLUME_BACKUPS,
    POD_VOLUME_RESTORES,
    RESTIC_REPOSITORIES,
)
