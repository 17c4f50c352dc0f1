"""Which volumes of which pods have contents in restic, and in which snapshot.

The volume list in the bucket decides. Only a backup of 0.9, which has none, is read by the pods' own
`snapshot.ark.heptio.com/<volume>` annotations. Pods that share a claim share its capture, whichever of them it was
taken through.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pkg.apis.meta import JsonObject
from pkg.apis.names import SNAPSHOT_ANNOTATION_PREFIX
from pkg.apis.reasons import Effect
from pkg.apis.volumes import RootMetadata, VolumeSize
from pkg.restore.fields import containers, object_at, objects_at, text_at, texts_at
from pkg.volumes.ledger import EntryState, Ledger, effect_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A snapshot of one volume.

    Attributes:
        namespace: Whose repository holds it.
        repository_id: Id that the repository must have; empty for 0.9's snapshots.
        root: Metadata of the volume's root directory; None for 0.9's snapshots.
        bytes: Size of the contents as far as known.
        size: The same with what else is known of it; None for 0.9's snapshots.
    """

    namespace: str
    snapshot_id: str
    repository: str = ""
    repository_id: str = ""
    repo_identifier: str = ""
    root: RootMetadata | None = None
    bytes: int = 0
    size: VolumeSize | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PodVolume:
    """A volume of a pod that is to be filled; `claim` is empty for one without a claim."""

    volume: str
    claim: str
    capture: Capture
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Captures:
    """Every capture of a backup, by (namespace, pod, volume) and by (namespace, claim).

    Attributes:
        lacking: By (namespace, pod), what the backup should have captured of it and did not, in sentences.
        without_claims: The Restore leaves claims out, so it has no business with their contents.
    """

    by_volume: Mapping[tuple[str, str, str], Capture] = field(default_factory=dict)
    by_claim: Mapping[tuple[str, str], Capture] = field(default_factory=dict)
    lacking: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    without_claims: bool = False

    def of_pod(self, pod: JsonObject) -> tuple[PodVolume, ...]:
        """The volumes of a backed-up pod that are to be filled: they have a capture and some container mounts them."""
        return tuple(one for one in self._captured(pod) if not (one.claim and self.without_claims))

    def left_out(self, pod: JsonObject) -> tuple[PodVolume, ...]:
        """The volumes of a backed-up pod that have a capture and are not filled, because claims are left out."""
        return tuple(one for one in self._captured(pod) if one.claim and self.without_claims)

    def _captured(self, pod: JsonObject) -> tuple[PodVolume, ...]:
        namespace, name = text_at(pod, "metadata", "namespace"), text_at(pod, "metadata", "name")
        mounted = _mounted(pod)
        found = []
        for volume in objects_at(pod, "spec", "volumes"):
            volume_name, claim = text_at(volume, "name"), claim_name(name, volume)
            capture = self.by_claim.get((namespace, claim)) if claim else None
            capture = capture or self.by_volume.get((namespace, name, volume_name))
            if capture is not None and volume_name in mounted:
                read_only = object_at(volume, "persistentVolumeClaim").get("readOnly") is True
                found.append(PodVolume(volume=volume_name, claim=claim, capture=capture, read_only=read_only))
        return tuple(found)


def captures_of_list(ledger: Ledger) -> Captures:
    """The captures of a volume list."""
    by_volume: dict[tuple[str, str, str], Capture] = {}
    by_claim: dict[tuple[str, str], Capture] = {}
    for entry in ledger.entries:
        if entry.state is not EntryState.CAPTURED or not entry.snapshot_id:
            continue
        capture = Capture(
            namespace=entry.namespace,
            snapshot_id=entry.snapshot_id,
            repository=entry.repository,
            repository_id=entry.repository_id,
            repo_identifier=entry.repo_identifier,
            root=entry.root,
            bytes=entry.bytes,
            size=VolumeSize(files=entry.files, bytes=entry.bytes, used_bytes=entry.used_bytes),
        )
        by_volume[entry.namespace, entry.pod, entry.volume] = capture
        if entry.claim_name:
            by_claim[entry.namespace, entry.claim_name] = capture
    return Captures(by_volume=by_volume, by_claim=by_claim, lacking=_lacking(ledger, by_claim))


def _lacking(ledger: Ledger, by_claim: Mapping[tuple[str, str], Capture]) -> dict[tuple[str, str], tuple[str, ...]]:
    """What made the backup PartiallyFailed, but for claims that were captured through another pod."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for entry in ledger.entries:
        captured = entry.state is EntryState.CAPTURED
        elsewhere = not captured and (entry.namespace, entry.claim_name) in by_claim
        if elsewhere or effect_of(entry) is not Effect.PARTIALLY_FAILED:
            continue
        why = f"{entry.reason}: {entry.message}" if entry.message else entry.reason
        what = "is restored without what the backup could not read" if captured else "was not captured by the backup"
        pod = (entry.namespace, entry.pod)
        found[pod] = (*found.get(pod, ()), f"volume {entry.volume} {what} ({why})")
    return found


def captures_of_pods(pods: Iterable[JsonObject]) -> Captures:
    """The captures that 0.9 wrote into its pods' annotations."""
    by_volume: dict[tuple[str, str, str], Capture] = {}
    by_claim: dict[tuple[str, str], Capture] = {}
    for pod in pods:
        namespace, name = text_at(pod, "metadata", "namespace"), text_at(pod, "metadata", "name")
        snapshots = _annotated(pod)
        for volume in objects_at(pod, "spec", "volumes"):
            snapshot = snapshots.get(text_at(volume, "name"), "")
            if snapshot:
                capture = Capture(namespace=namespace, snapshot_id=snapshot)
                by_volume[namespace, name, text_at(volume, "name")] = capture
                if claim := claim_name(name, volume):
                    by_claim[namespace, claim] = capture
    return Captures(by_volume=by_volume, by_claim=by_claim)


def claim_name(pod_name: str, volume: JsonObject) -> str:
    """The claim behind a pod's volume, empty when it has none; a generic ephemeral volume's is derived."""
    if "ephemeral" in volume:
        return f"{pod_name}-{text_at(volume, 'name')}"
    return text_at(volume, "persistentVolumeClaim", "claimName")


def _annotated(pod: JsonObject) -> dict[str, str]:
    annotations = texts_at(pod, "metadata", "annotations")
    prefix = SNAPSHOT_ANNOTATION_PREFIX
    return {key.removeprefix(prefix): value for key, value in annotations.items() if key.startswith(prefix)}


def _mounted(pod: JsonObject) -> set[str]:
    mounts = [objects_at(container, "volumeMounts") for container in containers(object_at(pod, "spec"))]
    return {text_at(mount, "name") for mounted in mounts for mount in mounted}
