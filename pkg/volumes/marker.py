"""The markers that tell a waiting pod that a volume is filled, or why it is not.

They lie in the pod's `ark-restore` emptyDir, which only restic-wait mounts: never in user data. A marker appears by
rename, so it is there whole or not at all.
"""

from __future__ import annotations

import os
from pathlib import Path

from pkg.apis.names import MARKER_VOLUME
from pkg.apis.volumes import PodVolumeRestoreSpec


class MarkerError(Exception):
    """The marker cannot be written: the pod's `ark-restore` volume is not there."""


def marker_directory(pods_dir: Path, pod_uid: str) -> Path:
    """Where the pod's markers lie on its node."""
    return pods_dir / pod_uid / "volumes" / "kubernetes.io~empty-dir" / MARKER_VOLUME


def marker_name(restore_uid: str, volume: str, outcome: str) -> str:
    """File name of a marker; the outcome is `done` or `failed`."""
    return f"{restore_uid}.{volume}.{outcome}"


def is_done(pods_dir: Path, spec: PodVolumeRestoreSpec) -> bool:
    """Whether the volume was filled already."""
    return _path(pods_dir, spec, "done").exists()


def done_text(pods_dir: Path, spec: PodVolumeRestoreSpec) -> str:
    """What the marker of a filled volume says; empty without one."""
    try:
        return _path(pods_dir, spec, "done").read_text()
    except OSError:
        return ""


def write_done(pods_dir: Path, spec: PodVolumeRestoreSpec, text: str = "") -> None:
    """Lets the pod go on as far as this volume is concerned; the text is for the agent's own next look."""
    _write(pods_dir, spec, "done", text)


def write_failed(pods_dir: Path, spec: PodVolumeRestoreSpec, text: str) -> None:
    """Makes restic-wait end with the reason."""
    _write(pods_dir, spec, "failed", text)


def _path(pods_dir: Path, spec: PodVolumeRestoreSpec, outcome: str) -> Path:
    return marker_directory(pods_dir, spec.pod.uid) / marker_name(spec.restore_uid, spec.volume, outcome)


def _write(pods_dir: Path, spec: PodVolumeRestoreSpec, outcome: str, text: str) -> None:
    directory = marker_directory(pods_dir, spec.pod.uid)
    name = marker_name(spec.restore_uid, spec.volume, outcome)
    temporary = directory / f".{name}.partial"
    try:
        temporary.write_text(text)
        temporary.chmod(0o644)  # restic-wait runs as nobody
        os.replace(temporary, directory / name)
    except OSError as error:
        raise MarkerError(f"marker {name} in {directory}: {error.strerror or error}") from error
