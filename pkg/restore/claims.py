"""The claims of one restore: which it made, which were there, and which of them will have their contents.

A claim that this restore made and did not fill is empty; whatever starts on it takes an empty disk for the truth.
"""

from __future__ import annotations

from collections.abc import Sequence

from pkg.kube.errors import ApiStatusError
from pkg.kube.refs import PVCS
from pkg.restore.captures import PodVolume
from pkg.restore.fields import text_at
from pkg.restore.items import ItemResult, Outcome
from pkg.restore.job import RestoreApi
from pkg.restore.refusals import is_of_pod
from pkg.restore.results import Results

Claim = tuple[str, str]
PRESENT = (Outcome.CREATED, Outcome.OWN)


class Claims:
    """Keeps account of claims by (target namespace, name); used by one thread.

    Args:
        pods_wanted: Whether the Restore asks for pods at all; without them claims stay empty by intent.
    """

    def __init__(self, api: RestoreApi, results: Results, *, pods_wanted: bool) -> None:
        self._api = api
        self._results = results
        self._pods_wanted = pods_wanted
        self._new: dict[Claim, str] = {}
        self._found: set[Claim] = set()
        self._filling: set[Claim] = set()

    def record(self, claim: Claim, result: ItemResult, *, about: str, captured: bool, was_bound: bool) -> None:
        """Takes note of what became of a claim.

        Args:
            claim: The claim.
            result: What became of it.
            about: How messages call it.
            captured: Whether restic holds its contents.
            was_bound: Whether it had a volume when it was backed up.
        """
        if result.outcome is Outcome.FAILED:
            return
        if result.outcome not in PRESENT:
            self._found.add(claim)
        elif captured:
            self._new[claim] = about
        elif was_bound and not text_at(result.live, "spec", "volumeName"):
            text = f"{about} is made anew and empty: the backup does not hold its contents"
            self._results.warnings.about(claim[0], text)

    def fill(self, target: str, volumes: Sequence[PodVolume]) -> None:
        """Takes note of a restored pod's volumes that are to be filled; claims that were there are warned about."""
        for volume in volumes:
            claim = (target, volume.claim)
            if volume.claim and claim not in self._filling and self.was_there(claim):
                text = f"PersistentVolumeClaim {target}/{volume.claim} existed before this restore and is filled"
                self._results.warnings.about(target, text)
        self._filling |= {(target, volume.claim) for volume in volumes if volume.claim}

    def was_there(self, claim: Claim) -> bool:
        """Whether a claim is not this restore's; one that the restore's filters left out is looked for."""
        if claim in self._found or claim in self._new:
            return claim in self._found
        try:
            live = self._api.get_raw(PVCS, *claim)
        except ApiStatusError:
            return False
        return not is_of_pod(live)

    @property
    def left_empty(self) -> frozenset[Claim]:
        """Claims with contents in the backup that no restored pod mounts."""
        return frozenset(claim for claim in self._new if claim not in self._filling)

    def must_not_be_used(self, unfilled: frozenset[Claim]) -> frozenset[Claim]:
        """The claims on which nothing may start: unfilled ones, and empty ones that should have been filled."""
        return unfilled | self.left_empty if self._pods_wanted else unfilled

    def report_empty(self) -> None:
        """Says which claims stay empty."""
        for claim in sorted(self.left_empty):
            sentence = f"{self._new[claim]} is empty: its contents are in the backup, but no restored pod mounts it"
            if self._pods_wanted:
                self._results.volumes_failed += 1
                self._results.errors.about(claim[0], sentence)
            else:
                self._results.warnings.about(claim[0], sentence)
