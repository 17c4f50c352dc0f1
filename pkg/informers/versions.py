"""Which of two resourceVersions of one resource is newer.

They may be compared since Kubernetes 1.35: positive decimal numbers, of any length.
"""

from __future__ import annotations


def at_least(version: str, wanted: str) -> bool:
    """Whether a version is the wanted one or newer; an empty version is older than all others.

    Raises:
        ValueError: the wanted one is no resourceVersion.
    """
    if not _is_number(wanted):
        raise ValueError(f'"{wanted}" is no resourceVersion')
    return _is_number(version) and (len(version), version) >= (len(wanted), wanted)


def is_older(version: str, seen: str) -> bool:
    """Whether both are resourceVersions and the first is older than the second."""
    return _is_number(version) and _is_number(seen) and (len(version), version) < (len(seen), seen)


def _is_number(version: str) -> bool:
    return version.isascii() and version.isdigit() and version[0] != "0"
