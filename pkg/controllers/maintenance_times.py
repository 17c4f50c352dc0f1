"""When a repository's turn is: moments that follow from its name, so that many repositories spread over the week.

A turn that was missed (the server was away, the window was closed, a backup ran) is still due afterwards: what counts
is whether the work was done since the last turn, not whether somebody was there at that minute.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from dataclasses import dataclass

from pkg.apis.duration import parse_duration

WEEK = datetime.timedelta(days=7)
DAY = datetime.timedelta(days=1)
SHORTEST = datetime.timedelta(hours=1)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MINUTES_A_DAY = 24 * 60
_WINDOW = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of each day in UTC, in minutes since midnight; it may go over midnight."""

    start_minute: int
    end_minute: int

    def contains(self, now: datetime.datetime) -> bool:
        """Whether a moment is in it; one that begins where it ends is the whole day."""
        minute = _minute_of_day(now)
        if self.start_minute < self.end_minute:
            return self.start_minute <= minute < self.end_minute
        return minute >= self.start_minute or minute < self.end_minute

    def opens_after(self, now: datetime.datetime) -> datetime.datetime:
        """The next moment at which it opens."""
        wait = (self.start_minute - _minute_of_day(now)) % _MINUTES_A_DAY or _MINUTES_A_DAY
        return now.replace(second=0, microsecond=0) + datetime.timedelta(minutes=wait)


def parse_window(text: str) -> Window | None:
    """The window that `HH:MM-HH:MM` describes; None for no text, which is any time.

    Raises:
        ValueError: It is none.
    """
    if not text.strip():
        return None
    found = _WINDOW.fullmatch(text.strip())
    if found is None:
        raise ValueError(f'maintenanceWindow "{text}" is not HH:MM-HH:MM')
    begin_hour, begin, end_hour, end = (int(part) for part in found.groups())
    return Window(start_minute=begin_hour * 60 + begin, end_minute=end_hour * 60 + end)


def period_of(maintenance_frequency: str) -> datetime.timedelta:
    """How often a repository is pruned: 0.9's `spec.maintenanceFrequency`; a week where it says nothing usable."""
    try:
        seconds = parse_duration(maintenance_frequency or "0s")
    except ValueError:
        seconds = 0.0
    return max(SHORTEST, datetime.timedelta(seconds=seconds)) if seconds > 0 else WEEK


def last_turn(name: str, period: datetime.timedelta, now: datetime.datetime) -> datetime.datetime:
    """The last moment at which it was the repository's turn; turns are one period apart."""
    whole_minutes = max(1, int(period.total_seconds() // 60))
    offset = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % whole_minutes
    minutes = int((now - _EPOCH).total_seconds() // 60)
    return _EPOCH + datetime.timedelta(minutes=minutes - (minutes - offset) % whole_minutes)


def _minute_of_day(moment: datetime.datetime) -> int:
    inside = moment.astimezone(datetime.UTC)
    return inside.hour * 60 + inside.minute
