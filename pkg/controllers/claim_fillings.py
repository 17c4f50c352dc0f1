"""Which Restore fills which claim, so that two Restores at once never fill the same one.

Each asks before it begins with a claim. What this process remembers counts from that moment; what an earlier one began
is seen by its PodVolumeRestores. A Restore that was made before another one's filling had ended does not begin after
that end either: the application of the other one may be running on it by then.
"""

from __future__ import annotations

import threading

from pkg.apis.ark import Restore
from pkg.apis.names import RESTORE_NAME_LABEL, RESTORE_UID_LABEL
from pkg.apis.reasons import VolumePhase
from pkg.apis.volumes import PodVolumeRestore
from pkg.controllers.volume_plan import is_open
from pkg.informers.lister import Lister


class ClaimFillings:
    """One for all Restores of a server.

    Args:
        lister: The PodVolumeRestores.
    """

    def __init__(self, lister: Lister[PodVolumeRestore]) -> None:
        self._lister = lister
        self._lock = threading.Lock()
        self._taken: dict[str, tuple[str, str]] = {}  # claim's UID -> UID and name of the Restore

    def take(self, claim_uid: str, restore: Restore) -> str:
        """The name of the other Restore that has the claim; empty where this one has it from now on."""
        own, seen = restore.metadata.uid, self._lister.list(restore.metadata.namespace)
        other = next((rival for one in seen if (rival := rival_of(one, claim_uid, restore))), "")
        with self._lock:
            uid, name = self._taken.get(claim_uid, (own, ""))
            if uid != own:
                return name
            if not other:
                self._taken[claim_uid] = own, restore.metadata.name
        return other

    def release(self, restore_uid: str) -> None:
        """Forgets a Restore that has ended; its objects tell of it from now on."""
        with self._lock:
            self._taken = {claim: taker for claim, taker in self._taken.items() if taker[0] != restore_uid}


def rival_of(filling: PodVolumeRestore, claim_uid: str, restore: Restore) -> str:
    """The name of the Restore that a PodVolumeRestore is of, where it keeps another one away from the claim."""
    spec, status, uid = filling.spec, filling.status, filling.metadata.label(RESTORE_UID_LABEL)
    if spec.source.claim_uid != claim_uid or spec.marker_only or uid == restore.metadata.uid:
        return ""
    since, ended = restore.metadata.creation_timestamp, status.completion_timestamp
    overlaps = is_open(status.phase) or (
        status.phase == VolumePhase.COMPLETED and since is not None and ended is not None and ended >= since
    )
    return filling.metadata.label(RESTORE_NAME_LABEL) or "of that time" if overlaps else ""
