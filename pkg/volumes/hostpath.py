"""A volume's directory as an agent sees it on its node.

An agent that started without mount propagation sees an empty directory where a volume is mounted. Such a directory
must never be backed up as the volume's contents, nor filled by a restore: what must be a mount point is looked up in
the agent's own mountinfo, and no setting weakens that.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from pkg.apis.reasons import Reason
from pkg.apis.volumes import VolumeSource
from pkg.volumes.errors import VolumePathError
from pkg.volumes.source import ANY_PLUGIN, volume_source

__all__ = ["VolumePathError", "file_system_of", "mount_points", "resolve_directory", "volume_source"]

_ESCAPE = re.compile(r"\\([0-7]{3})")
_MOUNT_POINT_FIELD = 4


def resolve_directory(pods_dir: Path, pod_uid: str, source: VolumeSource, mountinfo_text: str) -> Path:
    """The directory of a volume's contents.

    Args:
        pods_dir: The kubelet's pods directory as this process sees it.
        pod_uid: The pod.
        source: What the server resolved.
        mountinfo_text: /proc/self/mountinfo, read after the pod was found running.

    Raises:
        VolumePathError: it is not there (NotPropagated), or leads elsewhere (Internal).
    """
    volumes = pods_dir.resolve() / _single(pod_uid) / "volumes"
    relative = PurePosixPath(source.directory)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts:
        raise VolumePathError(f'"{source.directory}" is not a path below the pod', reason=Reason.INTERNAL)
    directory = _present(volumes, relative)
    if directory.resolve() != directory:
        raise VolumePathError(f"{directory} is reached through a symbolic link", reason=Reason.INTERNAL)
    if source.must_be_mount and str(directory) not in mount_points(mountinfo_text):
        raise VolumePathError(
            f"{directory} is not a mount point in the agent: its mount of the pods directory needs "
            "mountPropagation: HostToContainer",
            reason=Reason.NOT_PROPAGATED,
        )
    return directory


def mount_points(mountinfo_text: str) -> frozenset[str]:
    """The mount points of a mountinfo, unescaped."""
    fields = (line.split(" ") for line in mountinfo_text.splitlines())
    return frozenset(_unescaped(one[_MOUNT_POINT_FIELD]) for one in fields if len(one) > _MOUNT_POINT_FIELD)


def file_system_of(directory: Path, mountinfo_text: str) -> str:
    """The type of the file system that is mounted on a directory; empty where none is."""
    found = ""
    for line in mountinfo_text.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) > _MOUNT_POINT_FIELD and _unescaped(fields[_MOUNT_POINT_FIELD]) == str(directory):
            found = after.partition(" ")[0]  # the last one covers those before it
    return found


def _present(volumes: Path, relative: PurePosixPath) -> Path:
    found = _candidates(volumes, relative)
    if len(found) == 1:
        return found[0]
    count = f"{len(found)} directories" if found else "no directory"
    raise VolumePathError(
        f"{count} for {relative} below {volumes}: the kubelet's pods directory must be mounted in the agent",
        reason=Reason.NOT_PROPAGATED,
    )


def _candidates(volumes: Path, relative: PurePosixPath) -> list[Path]:
    if relative.parts[0] != ANY_PLUGIN:
        return [volumes / relative] if (volumes / relative).is_dir() else []
    below = relative.parts[1:]
    plugins = sorted(volumes.iterdir()) if volumes.is_dir() else []
    return [plugin.joinpath(*below) for plugin in plugins if plugin.joinpath(*below).is_dir()]


def _single(name: str) -> str:
    if not name or "/" in name or name in (".", ".."):
        raise VolumePathError(f'"{name}" is not a pod UID', reason=Reason.INTERNAL)
    return name


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), text)
