"""Who of ours may hold locks in a repository, told before the first one is taken.

A lock names its host and process and nothing more. With this record it can be told whose it is, and whether that
process can still be alive.
"""

from __future__ import annotations

import datetime

from pkg.apis.meta import ApiStruct


class LockHolder(ApiStruct, frozen=True, kw_only=True):
    """A process of Ark's that takes locks in a repository.

    Attributes:
        pod: Name of its pod, whose UID is the key of the map.
        node: Where the pod runs.
        host: The name that restic writes into its locks; that of the pod, where nobody else can have it.
        started_at: When the process began; the pod's container may have had others before.
    """

    pod: str = ""
    node: str = ""
    host: str = ""
    started_at: datetime.datetime | None = None

    @property
    def is_unique(self) -> bool:
        """Whether no other process can have that host's name: it is the pod's own."""
        return bool(self.host) and self.host == self.pod[:63].rstrip("-.")
