"""What can go wrong between a volume of the API and its directory.

VolumeError
├── VolumePathError   the directory is not there, or is not what it must be
└── VolumeListError   a backup's volume list does not decode
"""

from __future__ import annotations

from pkg.apis.reasons import Reason


class VolumeError(Exception):
    """Anything about a pod's volume."""


class VolumePathError(VolumeError):
    """The volume's directory cannot be used; `reason` says why in the words of a status."""

    def __init__(self, message: str, *, reason: Reason) -> None:
        super().__init__(message)
        self.reason = reason


class VolumeListError(VolumeError):
    """A `<backup>-volumes.json.gz` is damaged."""
