"""One cron line as Ark 0.9's users write it, brought to the form that cronsim reads.

0.9 read lines by robfig/cron's ParseStandard. cronsim knows the calendar and the clock changes, but reads some lines in
another way: `1/2` as a weekday would mean Sunday too, `5-5/2` more than one minute, `?` nothing. So the grammar is read
here, and cronsim gets stars and plain numbers only. Weekday 7 is Sunday as well, and `L`, `LW`, `5L` and `5#2` are
cronsim's additions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_CHARACTERS = 1000  # a list of all minutes has 170
FORM = 'write minute, hour, day, month and weekday, such as "30 1 * * *", or @daily, or @every 6h'
DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_TERM = re.compile(r"(?P<low>\*|\?|[0-9]{1,4}|[a-z]{3})(-(?P<high>[0-9]{1,4}|[a-z]{3}))?(/(?P<step>[0-9]{1,4}))?")
_LAST_DAY = re.compile(r"lw?")
_NTH_WEEKDAY = re.compile(r"[0-7](l|#[1-5])")


class CronLineError(ValueError):
    """The line does not say when; the message says which part and how to write it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    special: re.Pattern[str] | None = None
    step_end: int = 0  # where `N/step` ends, if not at `high`


_FIELDS = (
    _Field(name="minute", low=0, high=59),
    _Field(name="hour", low=0, high=23),
    _Field(name="day", low=1, high=31, special=_LAST_DAY),
    _Field(name="month", low=1, high=12, names=_MONTHS),
    _Field(name="weekday", low=0, high=7, names=_WEEKDAYS, special=_NTH_WEEKDAY, step_end=6),
)


def plain_line(line: str) -> str:
    """The five fields for cronsim.

    Raises:
        CronLineError: it is no cron line.
    """
    fields = DESCRIPTORS.get(line.lower(), line).split()
    if line.startswith("@") and line.lower() not in DESCRIPTORS:
        raise CronLineError(f'"{line[:80]}" is not one of {", ".join(DESCRIPTORS)} and @every')
    if len(fields) != len(_FIELDS):
        raise CronLineError(f'"{line[:80]}" has {len(fields)} fields and not {len(_FIELDS)}')
    return " ".join(_plain(field, text) for field, text in zip(_FIELDS, fields, strict=True))


def _plain(field: _Field, text: str) -> str:
    """A star with its step, or the numbers.

    A star in a list stands at its beginning, because that decides whether day and weekday are joined by and or by or.
    """
    terms = [_term(field, term) for term in text.lower().split(",")]
    return ",".join(sorted(dict.fromkeys(terms), key=lambda term: not term.startswith("*")))


def _term(field: _Field, term: str) -> str:
    if field.special and field.special.fullmatch(term):
        return term
    found = _TERM.fullmatch(term)
    if found is None:
        raise CronLineError(f'the {field.name} "{term[:80]}" is no number, range or list')
    step = int(found["step"] or 1)
    if step == 0:
        raise CronLineError(f'the {field.name} "{term}" has a step of 0')
    if found["low"] in ("*", "?"):
        if found["high"]:
            raise CronLineError(f'the {field.name} "{term}" is a range that begins with a star')
        return "*" if step == 1 else f"*/{step}"
    low = _number(field, found["low"])
    open_end = (field.step_end or field.high) if found["step"] else low
    high = _number(field, found["high"]) if found["high"] else max(low, open_end)
    if high < low:
        raise CronLineError(f'the {field.name} "{term}" ends before it begins')
    return ",".join(str(number) for number in range(low, high + 1, step))


def _number(field: _Field, text: str) -> int:
    if text in field.names:
        return field.names.index(text) + field.low
    if not text.isdecimal():
        raise CronLineError(f'the {field.name} "{text}" is not known')
    if not field.low <= int(text) <= field.high:
        raise CronLineError(f"the {field.name} {text} is not between {field.low} and {field.high}")
    return int(text)
