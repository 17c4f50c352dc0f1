"""The contract between a controller and a reconciler, stated once.

| a reconcile ends with | the queue does | the result label |
| --- | --- | --- |
| `done()` | forgets the key's failures | success |
| `again_in(s)` | forgets them and adds the key after s seconds | requeue_after |
| an exception | adds the key after a backoff | error |
| `TerminalError` | nothing, until the object changes | error (and terminal) |

A key carries no event: a reconciler decides on what is, running it twice equals running it once, and it never blocks.
(controller-runtime, pkg/reconcile/reconcile.go)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pkg.workqueue.key import Key


class TerminalError(Exception):
    """A failure that trying again does not mend."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a reconcile that did not fail wants next; `again_seconds` is None for nothing."""

    again_seconds: float | None = None


_DONE = Result()


def done() -> Result:
    """Nothing more until the object changes."""
    return _DONE


def again_in(seconds: float) -> Result:
    """Look again after that time."""
    return Result(again_seconds=seconds)


class Reconciler(Protocol):
    """Brings one object closer to what it should be."""

    def reconcile(self, key: Key) -> Result:
        """Takes one step for the object of that key; see the module for how it may end."""
        ...
