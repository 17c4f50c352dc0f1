"""Verification as the maintenance of a repository sees it: which part is read next, how large it is, how fast it goes.

What may be read of the cluster in a day follows from what its repositories' statuses say was read, and from the Jobs
that read just now, so a server that starts anew exceeds nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from pkg.apis.volumes import ResticRepository
from pkg.controllers.maintenance_options import OptionsMap, limits_of
from pkg.controllers.verification_plan import (
    Choice,
    Measure,
    Part,
    VerificationLimits,
    choose,
    next_part,
    rate_text,
    state_of,
)
from pkg.informers.lister import Lister
from pkg.objectstore.location import StorageLocation
from pkg.objectstore.storage_class import StorageTier, tier_of
from pkg.objectstore.store import ObjectStore

NOT_SINCE_CHANGED = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """Says what is to be read.

    Attributes:
        reading: Whether a Job is reading a part of the repository of this name.
    """

    namespace: str
    options: Lister[OptionsMap]
    repositories: Lister[ResticRepository]
    reading: Callable[[str], bool]

    def choose(self, repository: ResticRepository, location: StorageLocation, now: datetime.datetime) -> Choice:
        """The part whose time has come."""
        limits, off = self._limits(location)
        if off:
            return Choice(off=off)
        return choose(repository, [self._as_read(one, now) for one in self._all()], limits, now)

    def next_part(self, repository: ResticRepository, location: StorageLocation) -> Part:
        """The next part, whether or not its time has come."""
        return next_part(state_of(repository), self._days(location))

    def rate(self, location: StorageLocation) -> str:
        """In how many days everything is read, or why nothing is."""
        return self._limits(location)[1] or rate_text(self._days(location))

    def _days(self, location: StorageLocation) -> float:
        limits, off = self._limits(location)
        usable = VerificationLimits() if off else limits
        return usable.days(sum(state_of(one).size_bytes for one in self._all()))

    def _all(self) -> list[ResticRepository]:
        return list(self.repositories.list(self.namespace))

    def _as_read(self, repository: ResticRepository, now: datetime.datetime) -> ResticRepository:
        """With the part that is being read as if it had been."""
        if not self.reading(repository.metadata.name):
            return repository
        seen = state_of(repository)
        now_reading = msgspec.structs.replace(seen, read_at=now, read_bytes=seen.size_bytes // max(1, seen.parts))
        status = msgspec.structs.replace(repository.status, verification=now_reading)
        return msgspec.structs.replace(repository, status=status)

    def _limits(self, location: StorageLocation) -> tuple[VerificationLimits, str]:
        """What the ConfigMap says, and why nothing is read; empty when something is."""
        try:
            limits = limits_of(self.options.list(self.namespace))
        except ValueError as error:
            return VerificationLimits(), f"off: {error}"
        tier, name = tier_of(location), location.config.get("resticStorageClass", "")
        if tier is StorageTier.FROZEN:
            return limits, f"off: storage class {name} must be thawed before it can be read"
        if tier is StorageTier.COLD and not limits.cold_classes:
            return limits, f"off: reading from storage class {name} is paid for (verifyColdClasses)"
        if not limits.percent_a_day or not limits.bytes_a_day:
            return limits, "off: by the ConfigMap of maintenance"
        return limits, ""


def measure(restic_store: ObjectStore, repository_directory: str, part: Part) -> Measure:
    """How large a repository's data and a part of it are; one listing.

    Raises:
        StoreError: it cannot be listed.
    """
    size = in_part = 0
    for info in restic_store.list(f"{repository_directory}/data"):
        size += info.size_bytes
        in_part += info.size_bytes if part.holds(info.key.rpartition("/")[2]) else 0
    return Measure(part=str(part), part_bytes=in_part, size_bytes=size)


def has_changed(repository: ResticRepository, found: Measure) -> bool:
    """Whether the size that the plan was made with is not the repository's any more."""
    seen = state_of(repository)
    if seen.measured_at is None:
        return True
    return abs(found.size_bytes - seen.size_bytes) > NOT_SINCE_CHANGED * max(found.size_bytes, seen.size_bytes)
