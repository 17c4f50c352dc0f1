"""The stand-in's provisioner: makes PersistentVolumes for claims of its storage classes, and takes them away again.

Binding is left to the real controller manager; a volume that it finds released is deleted with its data, as its
reclaim policy says.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from pkg.apis.meta import JsonObject
from pkg.kube.refs import PVS
from pkg.kube.resources import ResourceRef
from pkg.testing.standin_api import Api
from pkg.testing.standin_kinds import Claim, PersistentVolume, StorageClass
from pkg.testing.standin_volumes import DRIVER

STORAGE_CLASSES = ResourceRef(group="storage.k8s.io", plural="storageclasses", kind="StorageClass", namespaced=False)
CSI_DRIVERS = ResourceRef(group="storage.k8s.io", plural="csidrivers", kind="CSIDriver", namespaced=False)
IMMEDIATE, WAITING = "standin", "standin-wait"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"


def register(api: Api) -> None:
    """Make the two storage classes and the driver object, where they are missing."""
    for name, mode in ((IMMEDIATE, "Immediate"), (WAITING, "WaitForFirstConsumer")):
        storage_class: JsonObject = {
            "apiVersion": STORAGE_CLASSES.api_version,
            "kind": STORAGE_CLASSES.kind,
            "metadata": {"name": name},
            "provisioner": DRIVER,
            "volumeBindingMode": mode,
        }
        api.create(STORAGE_CLASSES, "", storage_class)
    driver: JsonObject = {
        "apiVersion": CSI_DRIVERS.api_version,
        "kind": CSI_DRIVERS.kind,
        "metadata": {"name": DRIVER},
        "spec": {"attachRequired": False, "fsGroupPolicy": "None"},
    }
    api.create(CSI_DRIVERS, "", driver)


def to_provision(claims: Sequence[Claim], classes: Mapping[str, StorageClass], node: str) -> list[Claim]:
    """Return the claims that wait for a volume of ours, and for no other node's stand-in."""
    return [claim for claim in claims if _waits_for_us(claim, classes, node)]


def _waits_for_us(claim: Claim, classes: Mapping[str, StorageClass], node: str) -> bool:
    storage_class = classes.get(claim.spec.storage_class_name or "")
    if claim.status.phase != "Pending" or claim.spec.volume_name or claim.metadata.deletion_timestamp:
        return False
    if not storage_class or storage_class.provisioner != DRIVER:
        return False
    return storage_class.volume_binding_mode == "Immediate" or claim.metadata.annotation(SELECTED_NODE) == node


def volume_for(claim: Claim, storage_class: StorageClass) -> JsonObject:
    """Return the PersistentVolume for a claim, under a name that follows from the claim."""
    name = f"pvc-{claim.metadata.uid}"
    return {
        "apiVersion": PVS.api_version,
        "kind": PVS.kind,
        "metadata": {"name": name, "annotations": {PROVISIONED_BY: DRIVER}},
        "spec": {
            "storageClassName": storage_class.metadata.name,
            "persistentVolumeReclaimPolicy": storage_class.reclaim_policy,
            "accessModes": list(claim.spec.access_modes or ()),
            "capacity": dict(claim.spec.resources.get("requests", {})),
            "volumeMode": claim.spec.volume_mode or "Filesystem",
            "csi": {"driver": DRIVER, "volumeHandle": name},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": claim.metadata.namespace,
                "name": claim.metadata.name,
                "uid": claim.metadata.uid,
            },
        },
    }


def to_reclaim(volumes: Sequence[PersistentVolume]) -> list[PersistentVolume]:
    """Return our volumes whose claim is gone and whose data are to go with it."""
    return [
        volume
        for volume in volumes
        if volume.status.phase == "Released"
        and volume.metadata.annotation(PROVISIONED_BY) == DRIVER
        and volume.spec.persistent_volume_reclaim_policy == "Delete"
    ]


def provision(
    api: Api,
    claims: Sequence[Claim],
    volumes: Sequence[PersistentVolume],
    *,
    classes: Mapping[str, StorageClass],
    backing: Path,
    node: str,
    known: set[str],
) -> None:
    """Make the volumes that are missing and delete those that are done with.

    Another node's stand-in may delete a volume that has data here, so what is `known` and gone is removed too.
    """
    for claim in to_provision(claims, classes, node):
        api.create(PVS, "", volume_for(claim, classes[claim.spec.storage_class_name or ""]))
    for volume in to_reclaim(volumes):
        if volume.spec.csi and volume.spec.csi.volume_handle:
            shutil.rmtree(backing / volume.spec.csi.volume_handle, ignore_errors=True)
        api.delete(PVS, "", volume.metadata.name, volume.metadata.uid)
    present = {volume.spec.csi.volume_handle for volume in volumes if volume.spec.csi}
    for handle in known - present:
        shutil.rmtree(backing / handle, ignore_errors=True)
    known.clear()
    known.update(present - {""})
