"""What becomes of a claim whose pod went away during the backup: it is captured in the pod that took its place.

Pure. The pods that shared the capture and still run share the new one.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pkg.apis.ark import Backup
from pkg.apis.core import Pod
from pkg.apis.reasons import Reason
from pkg.backup.podvolumes import replacement
from pkg.volumes.ledger import EntryState, LedgerEntry
from pkg.volumes.selection import is_running


def replaced(backup: Backup, entries: tuple[LedgerEntry, ...], pods: Sequence[Pod]) -> tuple[LedgerEntry, ...]:
    """The ledger with a new capture for each lost one that some running pod can give."""
    running = {pod.metadata.uid for pod in pods if is_running(pod)}
    lost: dict[str, list[LedgerEntry]] = {}
    for entry in entries:
        if _is_lost(entry):
            lost.setdefault(entry.capture, []).append(entry)
    renewed = {name: _renewed(backup, group, pods, running) for name, group in lost.items()}
    result: list[LedgerEntry] = []
    for entry in entries:
        if not _is_lost(entry) or renewed[entry.capture] is None:
            result.append(entry)
        else:
            result += renewed[entry.capture] or []
            renewed[entry.capture] = []
    return tuple(result)


def _is_lost(entry: LedgerEntry) -> bool:
    return entry.state is EntryState.FAILED and entry.reason == Reason.POD_GONE and entry.claim_exists


def _renewed(
    backup: Backup, group: Sequence[LedgerEntry], pods: Sequence[Pod], running: set[str]
) -> list[LedgerEntry] | None:
    same_namespace = [pod for pod in pods if pod.metadata.namespace == group[0].namespace]
    first = replacement(backup, group[0], same_namespace)
    if first is None:
        return None
    others = [entry for entry in group if entry.pod_uid in running and entry.pod_uid != first.pod_uid]
    return [first, *(_shared(entry, first.capture) for entry in others)]


def _shared(entry: LedgerEntry, capture: str) -> LedgerEntry:
    return msgspec.structs.replace(entry, capture=capture, state=EntryState.EXPECTED, reason="", message="")
