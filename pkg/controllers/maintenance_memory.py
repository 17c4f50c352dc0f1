"""How much memory a maintenance Job will need, told from the size of the repository's index before it starts.

Restic holds the whole index in memory, and a prune a second time over. Measured with restic 0.19.1 on a repository
of many small files: 40 bytes of index in the store for each blob, and 16 times the index's size in memory at the
peak of a prune, above what an empty repository takes.
"""

from __future__ import annotations

import re

from pkg.objectstore.store import ObjectStore

MIB = 1 << 20
BASE_BYTES = 192 * MIB  # Python, restic without an index, one pack in each of its connections
PER_INDEX_BYTE = 16
_ROUND_TO = 64 * MIB
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)([KMGT]i?|k|m)?")
_FACTORS = {
    "": 1.0,
    "m": 1e-3,
    **{"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12},
    **{"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40},
}


def index_bytes(restic_store: ObjectStore, repository_directory: str) -> int:
    """How large the index of a repository is in the store; one listing.

    Raises:
        StoreError: It cannot be listed.
    """
    return sum(info.size_bytes for info in restic_store.list(f"{repository_directory}/index"))


def predicted_bytes(index_size_bytes: int) -> int:
    """How much memory a Job over an index of this size needs, rounded up to 64 MiB."""
    needed = BASE_BYTES + PER_INDEX_BYTE * index_size_bytes
    return -(-needed // _ROUND_TO) * _ROUND_TO


def too_low(limit: str, needed_bytes: int) -> str | None:
    """Why a memory limit does not do, with the number to set; None when it does or when there is none."""
    if not limit:
        return None
    if parse_quantity(limit) >= needed_bytes:
        return None
    return (
        f"the maintenance Job's memory limit is {limit}, this repository's index needs about "
        f"{needed_bytes // MIB}Mi: set memLimit to at least {needed_bytes // MIB}Mi in the ConfigMap of maintenance"
    )


def parse_quantity(text: str) -> float:
    """A quantity of Kubernetes, such as `512Mi`.

    Raises:
        ValueError: It is none.
    """
    found = _QUANTITY.fullmatch(text.strip())
    if found is None:
        raise ValueError(f'"{text}" is not a quantity such as 512Mi')
    return float(found[1]) * _FACTORS[found[2] or ""]
