"""Which repositories are being restored from: what is lost comes first, so no new backup begins in them.

Pure. A restore that nobody takes on must not keep backups away for ever: one whose agent has not begun counts for an
hour, as long as it may have to wait for a slot.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from pkg.apis.reasons import VolumePhase
from pkg.apis.volumes import PodVolumeRestore

NOT_BEGUN_COUNTS = datetime.timedelta(hours=1)
_TERMINAL = frozenset({VolumePhase.COMPLETED, VolumePhase.FAILED})


def being_restored(fillings: Iterable[PodVolumeRestore], now: datetime.datetime) -> frozenset[str]:
    """The names of those repositories."""
    return frozenset(one.spec.repository for one in fillings if one.spec.repository and _counts(one, now))


def _counts(filling: PodVolumeRestore, now: datetime.datetime) -> bool:
    if filling.status.phase in _TERMINAL or filling.spec.marker_only:
        return False
    if filling.status.phase == VolumePhase.IN_PROGRESS:
        return True
    created = filling.metadata.creation_timestamp
    return created is not None and now - created < NOT_BEGUN_COUNTS
