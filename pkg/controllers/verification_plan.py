"""Which part of which repository is read next, so that in the end everything was, within a budget of the cluster.

A repository's data is read in equal parts, one after the other: restic puts a pack into part n of t by the first byte
of its name, so t is 256 at most and a part is the same packs whoever reads it. All repositories are gone through in
the same number of days, which follows from what may be read in a day, of each repository and of the whole cluster.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable
from dataclasses import dataclass

from pkg.apis.volumes import ResticRepository, Verification
from pkg.controllers.maintenance_times import DAY, last_turn

MOST_PARTS = 256
SMALL_PART_BYTES = 1 << 30  # less is not worth a run, which reads the structure too: it comes with the next
LONGEST_INTERVAL_DAYS = 7
NEVER = datetime.timedelta(days=36_500)  # what a limit of some bytes comes to; no date is further away
NOTHING_YET = Verification()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationLimits:
    """How much may be read.

    Attributes:
        percent_a_day: Of each repository; 0 is nothing.
        bytes_a_day: Of all repositories together.
        cold_classes: Whether repositories in storage classes with a price on reading are read at all.
    """

    percent_a_day: float = 1.0
    bytes_a_day: int = 5 << 30
    cold_classes: bool = False

    def days(self, total_bytes: int) -> float:
        """In how many days everything is read."""
        return max(100.0 / self.percent_a_day, total_bytes / self.bytes_a_day)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Part `number` of `of`, counted from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        """As restic's `--read-data-subset` has it."""
        return f"{self.number}/{self.of}"

    def holds(self, pack_id: str) -> bool:
        """Whether restic puts a pack into it."""
        return int(pack_id[:2], 16) % self.of == self.number - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What is to be read, and of how much.

    Attributes:
        part: Such as `7/100`; empty for none.
        part_bytes: How large that is.
        size_bytes: How large the repository's data is.
    """

    part: str = ""
    part_bytes: int = 0
    size_bytes: int = 0


NOTHING = Measure()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Whether something is to be read now.

    Attributes:
        part: What; None for nothing now.
        off: Why no repository is ever read; empty when they are.
    """

    part: Part | None = None
    off: str = ""


def parse_part(text: str) -> Part:
    """The part that `7/100` names; the first of one where it names none."""
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 0 < int(number) <= int(of)):
        return Part(number=1, of=1)
    return Part(number=int(number), of=int(of))


def choose(
    repository: ResticRepository,
    all_repositories: Iterable[ResticRepository],
    limits: VerificationLimits,
    now: datetime.datetime,
) -> Choice:
    """The part that is read next, if its time has come."""
    seen, others = (
        state_of(repository),
        [one for one in all_repositories if one.metadata.uid != repository.metadata.uid],
    )
    days = limits.days(seen.size_bytes + sum(state_of(one).size_bytes for one in others))
    part = next_part(seen, days)
    born = repository.metadata.creation_timestamp or now
    turn = last_turn(repository.metadata.name, interval_of(days, part.of), now)
    if seen.suspect or (seen.read_at or born) >= turn:
        return Choice()
    if not fits(seen.size_bytes // part.of, (state_of(one) for one in others), limits, now):
        return Choice()
    return Choice(part=part)


def state_of(repository: ResticRepository) -> Verification:
    """What is known of a repository's verification."""
    return repository.status.verification or NOTHING_YET


def next_part(seen: Verification, days: float) -> Part:
    """The next part of this round, or the first of a new one, which alone may have other parts."""
    if 0 < seen.part < seen.parts <= MOST_PARTS:
        return Part(number=seen.part + 1, of=seen.parts)
    a_day = seen.size_bytes / days
    interval = min(LONGEST_INTERVAL_DAYS, max(1, math.ceil(SMALL_PART_BYTES / a_day))) if a_day else 1
    return Part(number=1, of=max(1, min(MOST_PARTS, math.ceil(days / interval))))


def interval_of(days: float, parts: int) -> datetime.timedelta:
    """How far two parts are apart: a day at least."""
    return max(DAY, datetime.timedelta(days=min(NEVER / DAY, days / parts)))


def fits(part_bytes: int, others: Iterable[Verification], limits: VerificationLimits, now: datetime.datetime) -> bool:
    """Whether the cluster's budget of these hours has room.

    A part that is larger than a day's budget uses that of several days, and is not kept from its turn by small ones.
    """
    spent, large = 0, False
    for one in others:
        share = one.read_bytes / limits.bytes_a_day
        if one.read_at is not None and (now - one.read_at) / DAY < max(1.0, share):
            spent += one.read_bytes
            large = large or share > 1
    if part_bytes > limits.bytes_a_day:
        return not large
    return not large and spent + part_bytes <= limits.bytes_a_day


def rate_text(days: float) -> str:
    """How long a round takes."""
    whole = math.ceil(days)
    return f"all data read in {whole} {'day' if whole == 1 else 'days'} at this rate"
