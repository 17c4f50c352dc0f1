"""Go's duration strings (`720h0m0s`), the form of every duration in the API."""

from __future__ import annotations

import re

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")


def parse_duration(text: str) -> float:
    """Seconds of a Go duration string.

    Raises:
        ValueError: the text is not a Go duration; the message quotes it and shows the form.
    """
    body = text.strip()
    sign = -1.0 if body.startswith("-") else 1.0
    body = body.lstrip("+-")
    if body == "0":
        return 0.0
    parts = _PART.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise ValueError(f'invalid duration "{text}": write it as 720h0m0s, 90m or 30s')
    return sign * sum(float(number) * _UNITS[unit] for number, unit in parts)


def format_duration(seconds: float) -> str:
    """The Go form with hours, minutes and seconds, as 0.9 wrote it: 0s, 1m30s, 720h0m0s."""
    sign = "-" if seconds < 0 else ""
    total = abs(seconds)
    hours, rest = divmod(int(total), 3600)
    minutes, whole = divmod(rest, 60)
    fraction = round(total - int(total), 9)
    second_text = f"{whole + fraction:.9f}".rstrip("0").rstrip(".") if fraction else str(whole)
    if hours:
        return f"{sign}{hours}h{minutes}m{second_text}s"
    if minutes:
        return f"{sign}{minutes}m{second_text}s"
    return f"{sign}{second_text}s"
