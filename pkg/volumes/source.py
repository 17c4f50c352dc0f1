"""Where a volume lies below its pod's directory on a node, as far as the API tells.

The kubelet puts each volume at `<pods dir>/<pod uid>/volumes/<plugin>/<name>`; for some plugins the API does not name
the plugin's directory, then the path begins with `*/` and the agent looks for the one that is there. What is mounted
there must be a mount point also in the agent, or an unpropagated mount would be taken for an empty volume.
"""

from __future__ import annotations

import msgspec

from pkg.apis.core import PersistentVolume, PersistentVolumeClaim, Pod, Volume
from pkg.apis.reasons import Reason
from pkg.apis.volumes import VolumeSource
from pkg.volumes.selection import Rejected, claim_of

_CSI = "kubernetes.io~csi"
_EMPTY_DIR = "kubernetes.io~empty-dir"
_LOCAL = "kubernetes.io~local-volume"
_NFS = "kubernetes.io~nfs"
ANY_PLUGIN = "*"


def volume_source(
    pod: Pod, volume: Volume, claim: PersistentVolumeClaim | None, persistent_volume: PersistentVolume | None
) -> VolumeSource | Rejected:
    """Where a selected volume lies, or why it cannot be captured after all.

    Args:
        pod: Its pod.
        volume: The volume.
        claim: Its claim; None where it has none, or where that is gone.
        persistent_volume: What the claim is bound to.

    Returns:
        A Rejected has `opted_in_by_name` False; the caller knows better.
    """
    if not claim_of(pod, volume):
        return _own_source(volume)
    if claim is None:
        return _rejected(volume, Reason.INTERNAL, f"its claim {claim_of(pod, volume)} is gone")
    if not claim.spec.volume_name or persistent_volume is None:
        return _rejected(volume, Reason.NOT_RUNNING, f"its claim {claim.metadata.name} is not bound to a volume")
    if "Block" in (claim.spec.volume_mode, persistent_volume.spec.volume_mode):
        return _rejected(volume, Reason.BLOCK_MODE, "raw block volumes are not captured")
    if persistent_volume.spec.host_path is not None:
        message = f"its persistent volume {persistent_volume.metadata.name} is a hostPath"
        return _rejected(volume, Reason.HOST_PATH, message)
    return msgspec.structs.replace(
        _bound_source(persistent_volume), claim_name=claim.metadata.name, claim_uid=claim.metadata.uid
    )


def _own_source(volume: Volume) -> VolumeSource:
    if volume.empty_dir is not None:
        directory = f"{_EMPTY_DIR}/{volume.name}"
        return VolumeSource(directory=directory, must_be_mount=bool(volume.empty_dir.medium))
    if volume.csi is not None:
        return VolumeSource(directory=f"{_CSI}/{volume.name}/mount", must_be_mount=True, driver=volume.csi.driver)
    plugin = _NFS if volume.nfs is not None else ANY_PLUGIN
    return VolumeSource(directory=f"{plugin}/{volume.name}", must_be_mount=True)


def _bound_source(persistent_volume: PersistentVolume) -> VolumeSource:
    name, spec = persistent_volume.metadata.name, persistent_volume.spec
    if spec.csi is not None:
        return VolumeSource(directory=f"{_CSI}/{name}/mount", must_be_mount=True, pv_name=name, driver=spec.csi.driver)
    plugin = _LOCAL if spec.local is not None else _NFS if spec.nfs is not None else ANY_PLUGIN
    return VolumeSource(directory=f"{plugin}/{name}", must_be_mount=True, pv_name=name)


def _rejected(volume: Volume, reason: Reason, message: str) -> Rejected:
    return Rejected(volume=volume.name, reason=reason, message=message)
