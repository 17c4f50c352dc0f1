"""What a storage class costs: which ones make rewriting dear, and which must be thawed before anything can be read.

The class of the repositories is the Config's `resticStorageClass`. It is handed to restic where restic can set it
(S3, Azure); on Google Cloud Storage it says what the bucket's default class is.
"""

from __future__ import annotations

from enum import StrEnum

from pkg.objectstore.location import StorageLocation

_THAWED_FIRST = frozenset({"GLACIER", "DEEP_ARCHIVE"})


class StorageTier(StrEnum):
    """What reading and rewriting costs."""

    STANDARD = "standard"
    COLD = "cold"
    FROZEN = "frozen"


def tier_of(location: StorageLocation) -> StorageTier:
    """The tier of a location's repositories; an unknown class counts as cold, so that little is rewritten."""
    name = location.config.get("resticStorageClass", "").upper().replace("-", "_")
    if name in _THAWED_FIRST or (name == "ARCHIVE" and location.provider == "azure"):
        return StorageTier.FROZEN
    if name in ("", "STANDARD", "HOT", "REDUCED_REDUNDANCY", "EXPRESS_ONEZONE"):
        return StorageTier.STANDARD
    return StorageTier.COLD
