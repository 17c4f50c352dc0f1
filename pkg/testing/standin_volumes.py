"""The directories of a pod's volumes, laid out as a kubelet does it.

What is below `<pods>/<uid>/volumes` is all that an agent goes by, so names, mount points and the files beside them
are the kubelet's: an emptyDir is a plain directory, a CSI volume a bind mount with `vol_data.json` beside it.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pkg.apis.core import Volume
from pkg.testing.standin_kinds import Claim, PersistentVolume, Pod
from pkg.testing.standin_mounts import bind, mount_points, unmount

DRIVER = "standin.csi.test"
CSI = "kubernetes.io~csi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """One volume's place below `volumes` of its pod."""

    name: str
    """What the pod calls the volume."""
    path: str
    backing: str = ""
    """Name of the directory that is mounted there; empty for a plain directory."""
    volume: str = ""
    """Name of the CSI PersistentVolume, for `vol_data.json`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """The cluster's claims by (namespace, name) and volumes by name."""

    claims: Mapping[tuple[str, str], Claim]
    volumes: Mapping[str, PersistentVolume]

    def bound_to(self, namespace: str, claim_name: str) -> PersistentVolume | None:
        """Return the volume that a claim is bound to, None while there is none."""
        claim = self.claims.get((namespace, claim_name))
        if not claim or claim.status.phase != "Bound" or claim.metadata.deletion_timestamp:
            return None
        return self.volumes.get(claim.spec.volume_name)


def plan_directories(pod: Pod, storage: Storage) -> list[Directory] | None:
    """Return the directories that a pod's volumes need; None while a claim is not bound."""
    planned: list[Directory] = []
    for volume in pod.spec.volumes or ():
        claim_name = _claim_name(pod, volume)
        if not claim_name:
            planned += _of_pod(pod, volume)
        elif bound := storage.bound_to(pod.metadata.namespace, claim_name):
            planned += _of_claim(volume.name, bound)
        else:
            return None
    return planned


def _claim_name(pod: Pod, volume: Volume) -> str:
    if volume.persistent_volume_claim:
        return volume.persistent_volume_claim.claim_name
    return f"{pod.metadata.name}-{volume.name}" if volume.ephemeral else ""


def _of_pod(pod: Pod, volume: Volume) -> list[Directory]:
    if volume.csi:
        backing = f"inline-{pod.metadata.uid}-{volume.name}"
        return [Directory(name=volume.name, path=f"{CSI}/{volume.name}/mount", backing=backing, volume=volume.name)]
    kinds = {
        "empty-dir": volume.empty_dir,
        "secret": volume.secret,
        "configmap": volume.config_map,
        "downward-api": volume.downward_api,
        "projected": volume.projected,
    }
    return [
        Directory(name=volume.name, path=f"kubernetes.io~{kind}/{volume.name}")
        for kind, source in kinds.items()
        if source
    ]


def _of_claim(name: str, bound: PersistentVolume) -> list[Directory]:
    volume = bound.metadata.name
    if bound.spec.volume_mode == "Block" or bound.spec.host_path:
        return []  # the kubelet makes no directory for either below `volumes`
    if bound.spec.csi:
        backing = bound.spec.csi.volume_handle or volume
        return [Directory(name=name, path=f"{CSI}/{volume}/mount", backing=backing, volume=volume)]
    kind = "local-volume" if bound.spec.local else "nfs"
    return [Directory(name=name, path=f"kubernetes.io~{kind}/{volume}", backing=volume)]


def set_up(directory: Directory, volumes: Path, backing: Path, node: str) -> None:
    """Make one volume's directory and mount what belongs there; doing it again changes nothing."""
    target = volumes / directory.path
    if not target.exists():
        target.mkdir(parents=True)
        target.chmod(0o750 if directory.backing else 0o777)
    if directory.volume:
        _write_volume_data(target.parent / "vol_data.json", directory, node)
    if directory.backing and target not in mount_points(target):
        (backing / directory.backing).mkdir(parents=True, exist_ok=True)
        bind(backing / directory.backing, target)


def _write_volume_data(file: Path, directory: Directory, node: str) -> None:
    file.write_text(
        json.dumps(
            {
                "driverName": DRIVER,
                "nodeName": node,
                "specVolID": directory.volume,
                "volumeHandle": directory.backing,
                "volumeLifecycleMode": "Persistent",
            }
        )
    )


def tear_down(pod_directory: Path) -> None:
    """Unmount and remove all of a pod's volumes.

    Raises:
        OSError: with EBUSY while somebody is in a volume; what was not unmounted keeps its data.
    """
    for point in mount_points(pod_directory):
        unmount(point)
    if pod_directory.exists():
        shutil.rmtree(pod_directory)
