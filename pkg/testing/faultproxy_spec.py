"""Faults as words, for the command line: `status code=503 reason=InternalError verbs=list,watch times=3`."""

from __future__ import annotations

from collections.abc import Callable

from pkg.testing.faultproxy_faults import Fault, Kind
from pkg.testing.faultproxy_request import Verb

_FIELDS: dict[str, Callable[[str], object]] = {
    "verbs": lambda text: frozenset(Verb(word) for word in text.split(",")),
    "path": str,
    "times": int,
    "after_lines": int,
    "seconds": float,
    "code": int,
    "reason": str,
    "retry_after_seconds": int,
    "token": str,
    "identity": int,
    "text": str,
}


def parse_fault(words: str) -> Fault:
    """Reads a kind and `field=value` words; ValueError says which word is wrong."""
    kind, *settings = words.split()
    values: dict[str, object] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or name not in _FIELDS:
            raise ValueError(f"{setting}: not one of {', '.join(_FIELDS)} with a value")
        values[name] = _FIELDS[name](text)
    make: Callable[..., Fault] = Fault
    return make(kind=Kind(kind), **values)
