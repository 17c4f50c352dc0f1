"""Says once per object that it does not decode, and counts.

The same broken object comes with each list and each of its updates; one line in the log is enough.
"""

from __future__ import annotations

import structlog

from pkg.informers.decode import Undecodable

log = structlog.get_logger()


class UndecodableTracker:
    """Not thread-safe: used under the distribution lock."""

    def __init__(self, informer: str) -> None:
        self._informer = informer
        self._errors: dict[str, str] = {}
        self.total = 0

    def seen(self, item: Undecodable) -> None:
        """Counts an object that does not decode, and reports it if it is a new one or has a new error."""
        self.total += 1
        if self._errors.get(item.key) != item.error:
            self._errors[item.key] = item.error
            log.error("Object does not decode", informer=self._informer, key=item.key, error=item.error)

    def gone(self, key: str) -> None:
        """Forgets an object that decodes now or does not exist."""
        self._errors.pop(key, None)

    def retain(self, keys: frozenset[str]) -> None:
        """Forgets all others: the list is complete."""
        self._errors = {key: error for key, error in self._errors.items() if key in keys}

    @property
    def current(self) -> tuple[str, ...]:
        """The keys that do not decode now."""
        return tuple(self._errors)
