"""From the pods, claims and volumes that pass by on their way into the tarball: which volumes the backup is about.

Only what the ledger needs is kept of them. `ledger_entries` is pure; what it lacks is read before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from pkg.apis.core import PersistentVolume, PersistentVolumeClaim, Pod, Volume
from pkg.apis.hooks import BackupHooks
from pkg.apis.reasons import Reason
from pkg.backup.hooks import HookedPod, hooked_pod
from pkg.backup.spool import Item
from pkg.kube.refs import PODS, PVCS, PVS, SERVICE_ACCOUNTS
from pkg.volumes.ledger import EntryState, LedgerEntry
from pkg.volumes.selection import Rejected, Selected, claim_of, excluded_paths, is_running, select_volumes
from pkg.volumes.source import volume_source

NOTED = frozenset({PODS, PVCS, PVS, SERVICE_ACCOUNTS})
Answers = tuple[Selected | Rejected, ...]

_POD = msgspec.json.Decoder(Pod)
_CLAIM = msgspec.json.Decoder(PersistentVolumeClaim)
_VOLUME = msgspec.json.Decoder(PersistentVolume)


@dataclass(slots=True, kw_only=True)
class Survey:
    """What was seen so far.

    Attributes:
        default_all: Volumes that nobody named are wanted too.
        hooks: Those of the backup's spec.
        hooked_pods: The running pods that have hooks, by annotation or spec, by UID.
        claims: By namespace and name.
        volumes: By name.
        accounts: The service accounts, by namespace and name.
    """

    default_all: bool
    hooks: BackupHooks | None = None
    hooked_pods: dict[str, HookedPod] = field(default_factory=dict)
    pods: list[tuple[Pod, Answers]] = field(default_factory=list)
    claims: dict[tuple[str, str], PersistentVolumeClaim] = field(default_factory=dict)
    volumes: dict[str, PersistentVolume] = field(default_factory=dict)
    accounts: set[tuple[str, str]] = field(default_factory=set)
    saw_pods: bool = False

    def see(self, item: Item) -> None:
        """Takes note of an item; raises msgspec.DecodeError for one that is not what its kind says."""
        if item.ref == PODS:
            pod = _POD.decode(item.body)
            self.saw_pods = True
            found = hooked_pod(pod, self.hooks) if is_running(pod) else None
            if found is not None:
                self.hooked_pods[found.uid] = found
            if pod.spec.volumes or pod.metadata.annotations:
                self.pods.append((pod, select_volumes(pod, default_all=self.default_all)))
        elif item.ref == PVCS:
            claim = _CLAIM.decode(item.body)
            self.claims[item.namespace, item.name] = claim
        elif item.ref == PVS:
            self.volumes[item.name] = _VOLUME.decode(item.body)
        elif item.ref == SERVICE_ACCOUNTS:
            self.accounts.add((item.namespace, item.name))

    def mounted_claims(self) -> set[tuple[str, str]]:
        """The claims of all pods, by namespace and name."""
        return {
            (pod.metadata.namespace, claim)
            for pod, _ in self.pods
            for volume in pod.spec.volumes or ()
            if (claim := claim_of(pod, volume))
        }

    def wanted_claims(self) -> set[tuple[str, str]]:
        """The claims of the volumes that are to be captured."""
        return {
            (pod.metadata.namespace, claim)
            for pod, answers in self.pods
            for one in answers
            if isinstance(one, Selected) and (claim := claim_of(pod, one.volume))
        }

    def bound_volumes(self) -> set[str]:
        """The persistent volumes behind the claims that were seen."""
        return {claim.spec.volume_name for claim in self.claims.values() if is_bound(claim)}


def is_bound(claim: PersistentVolumeClaim) -> bool:
    """Whether a claim has a volume (0.9's condition)."""
    return claim.status.phase == "Bound" and bool(claim.spec.volume_name)


def ledger_entries(survey: Survey) -> tuple[LedgerEntry, ...]:
    """One entry per volume of each pod, then one per claim that no pod of the backup mounts."""
    entries = [_entry(survey, pod, one) for pod, answers in survey.pods for one in answers]
    return (*entries, *_without_pod(survey))


def _entry(survey: Survey, pod: Pod, answer: Selected | Rejected) -> LedgerEntry:
    if isinstance(answer, Rejected):
        return _skipped(pod, answer)
    claim_name = claim_of(pod, answer.volume)
    claim = survey.claims.get((pod.metadata.namespace, claim_name)) if claim_name else None
    found = volume_source(pod, answer.volume, claim, survey.volumes.get(claim.spec.volume_name) if claim else None)
    if isinstance(found, Rejected):
        rejected = Rejected(
            volume=found.volume,
            reason=found.reason,
            message=found.message,
            opted_in_by_name=answer.opted_in_by_name,
        )
        return _skipped(pod, rejected, claim=claim)
    return msgspec.structs.replace(
        _of_pod(pod, answer.volume, claim),
        opted_in_by_name=answer.opted_in_by_name,
        source=found,
        excludes=excluded_paths(pod, answer.volume.name) or None,
    )


def _of_pod(pod: Pod, volume: Volume, claim: PersistentVolumeClaim | None) -> LedgerEntry:
    return LedgerEntry(
        namespace=pod.metadata.namespace,
        pod=pod.metadata.name,
        pod_uid=pod.metadata.uid,
        node=pod.spec.node_name,
        volume=volume.name,
        claim_name=claim_of(pod, volume),
        claim_uid=claim.metadata.uid if claim else "",
        claim_exists=claim is not None,
    )


def _skipped(pod: Pod, answer: Rejected, *, claim: PersistentVolumeClaim | None = None) -> LedgerEntry:
    volume = next((one for one in pod.spec.volumes or () if one.name == answer.volume), Volume(name=answer.volume))
    return msgspec.structs.replace(
        _of_pod(pod, volume, claim),
        opted_in_by_name=answer.opted_in_by_name,
        state=EntryState.SKIPPED,
        reason=answer.reason.value,
        message=answer.message,
    )


def _without_pod(survey: Survey) -> Iterator[LedgerEntry]:
    if not survey.saw_pods and not survey.default_all:
        return
    mounted = survey.mounted_claims()
    for (namespace, name), claim in sorted(survey.claims.items()):
        if (namespace, name) not in mounted and is_bound(claim):
            yield LedgerEntry(
                namespace=namespace,
                claim_name=name,
                claim_uid=claim.metadata.uid,
                claim_exists=True,
                # Where only named volumes are wanted nobody asked for this one; the table calls that "by name".
                opted_in_by_name=not survey.default_all,
                state=EntryState.SKIPPED,
                reason=Reason.NO_POD.value,
                message="no pod of this backup mounts it",
            )
