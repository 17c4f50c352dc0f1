"""Names that follow from what they stand for, so that a second run of the same step finds the object of the first."""

from __future__ import annotations

import base64
import hashlib
import re

_LABEL_LIMIT = 63
_HASH_LENGTH = 10
_PREFIX_LIMIT = 40
_ORDINAL = re.compile(r"-(\d+)$")


def capture_stem(backup_name: str, backup_uid: str, *, claim_uid: str = "", pod_uid: str = "", volume: str = "") -> str:
    """A PodVolumeBackup's name without its ordinal.

    Pods that share a claim share the stem; where there is no claim the pod and its volume count.
    """
    parts = (backup_uid, "claim", claim_uid) if claim_uid else (backup_uid, "pod", pod_uid, volume)
    return f"{_prefix(backup_name)}-{_hash(*parts)}"


def capture_name(stem: str, ordinal: int) -> str:
    """A PodVolumeBackup's name; a new ordinal stands for the same volume in another pod."""
    return f"{stem}-{ordinal}"


def ordinal_of(name: str) -> int:
    """The ordinal at a capture's end; -1 where there is none."""
    found = _ORDINAL.search(name)
    return int(found[1]) if found else -1


def restore_volume_name(restore_uid: str, pod_uid: str, volume: str, *, restore_name: str = "restore") -> str:
    """A PodVolumeRestore's name."""
    return f"{_prefix(restore_name)}-{_hash(restore_uid, pod_uid, volume)}"


def deletion_name(backup_name: str, backup_uid: str) -> str:
    """Name of the DeleteBackupRequest for a backup that has expired."""
    return f"{_prefix(backup_name)}-gc-{_hash(backup_uid)}"


def label_value(text: str) -> str:
    """A text as a label's value: itself, or its beginning and a hash where it is too long or has other characters."""
    if len(text) <= _LABEL_LIMIT and re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?", text):
        return text
    head = re.sub(r"[^A-Za-z0-9_.-]", "_", text)[: _LABEL_LIMIT - _HASH_LENGTH - 1].strip("_.-")
    return f"{head}-{_hash(text)}".lstrip("-")


def _prefix(name: str) -> str:
    return name[:_PREFIX_LIMIT].rstrip(".-")


def _hash(*parts: str) -> str:
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:_HASH_LENGTH]
