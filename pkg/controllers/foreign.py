"""Whose the place in the bucket is, decided from what is seen and from nothing else (operators.md 4).

Two situations look alike from the bucket, a stamp `ark-cluster.json` that names another cluster, and must not be
treated alike. An installation that has just been pointed at the backups of another one wants to restore from them:
it starts in restoreOnly mode and writes nothing. An installation that wrote here before and finds another's stamp
has a second writer beside it: it is not Ready and says both names. What tells them apart is this installation's own
record of having held the place (`location_record.py`), which lies in its cluster and not in the bucket.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pkg.controllers.ownership import ARK_0_9

ADOPTION_TIME_MARK = ";"


class Tenure(StrEnum):
    """Whose a place is; the values are what the record shows."""

    OURS = "Ours"
    FREE = "Free"
    ADOPTABLE = "Adoptable"
    FOREIGN = "RestoreOnly"
    CONTESTED = "Contested"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """Which clusters' backups somebody decided to take over.

    Attributes:
        text: The annotation as it stands on the Config; a decision is carried out once.
    """

    text: str = ""

    @property
    def clusters(self) -> frozenset[str]:
        """Identities of the clusters; `ark-0.9` for backups that name none."""
        listed = self.text.partition(ADOPTION_TIME_MARK)[0]
        return frozenset(name.strip() for name in listed.split(",") if name.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a place.

    Attributes:
        stamp: The cluster that `ark-cluster.json` names; empty where there is none.
        foreign_owner: Only where there is no stamp: who made a backup here that is not ours; empty for nobody.
        held_before: This installation wrote here in its past.
        adoption: What the Config asks for.
        carried_out: The adoption that was carried out already.
    """

    cluster_id: str
    stamp: str
    foreign_owner: str = ""
    held_before: bool = False
    adoption: Adoption = Adoption()
    carried_out: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whose a place is; `owner` is the cluster in question, ours where it is ours."""

    tenure: Tenure
    owner: str

    @property
    def writable(self) -> bool:
        """Whether this installation may write there."""
        return self.tenure in (Tenure.OURS, Tenure.FREE)


def judge(evidence: Evidence) -> Standing:
    """Whose a place is."""
    if evidence.stamp == evidence.cluster_id:
        return Standing(tenure=Tenure.OURS, owner=evidence.cluster_id)
    owner = evidence.stamp or evidence.foreign_owner
    if not owner:
        return Standing(tenure=Tenure.FREE, owner="")
    # A decision counts once: if the other cluster takes the place back, nobody takes it from it without a new one.
    if owner in evidence.adoption.clusters and evidence.adoption.text != evidence.carried_out:
        return Standing(tenure=Tenure.ADOPTABLE, owner=owner)
    if not evidence.held_before:
        return Standing(tenure=Tenure.FOREIGN, owner=owner)
    if not evidence.stamp:  # the stamp was ours and got lost; backups of others lay beside ours before
        return Standing(tenure=Tenure.FREE, owner="")
    return Standing(tenure=Tenure.CONTESTED, owner=owner)


def explain(standing: Standing, *, place: str, cluster_id: str) -> str:
    """The sentence for status, readiness and log; empty where there is nothing to say."""
    owner = "Ark 0.9" if standing.owner == ARK_0_9 else f"cluster {standing.owner}"
    match standing.tenure:
        case Tenure.FOREIGN | Tenure.ADOPTABLE:
            return (
                f"{place} holds backups of {owner}, this is cluster {cluster_id}: this installation only restores "
                f"from there (restoreOnly mode) and writes nothing; to make them this cluster's: ark adopt; or give "
                f"this cluster a place of its own (backupStorageProvider.prefix)"
            )
        case Tenure.CONTESTED:
            return (
                f"{place} is written by {owner} now, and was by this cluster {cluster_id} before; two clusters must "
                f"not write to one place: give one of them a prefix of its own (backupStorageProvider.prefix), or "
                f"stop the other one and take the place back: ark adopt"
            )
        case _:
            return ""
