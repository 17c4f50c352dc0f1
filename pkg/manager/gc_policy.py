"""When a daemon's cyclic garbage collector runs: seldom, and never over what lives as long as the process.

Imported modules and filled caches are hundreds of thousands of objects that are never garbage. Left to its defaults
the collector walks over them again and again, which costs a pause each time and more than half of the time of a large
list. Freezing takes them out of its sight; higher thresholds let reference counts do the work, since decoded objects
are trees. Only for daemons: a command ends before it matters, and tests must see their garbage.
"""

from __future__ import annotations

import gc
from typing import Final

from pkg.kube.stop import StopToken

THRESHOLDS: Final = (50_000, 20, 100)


def apply() -> None:
    """Sets the policy, and freezes what has been imported; call it once, when everything is imported."""
    gc.set_threshold(*THRESHOLDS)
    freeze()


def freeze() -> None:
    """Takes everything that is alive out of the collector's sight."""
    gc.collect()
    gc.freeze()


def freeze_caches(stop: StopToken) -> None:
    """A manager's runnable: freezes the caches, which are filled when runnables start, and ends."""
    if not stop.cancelled:
        freeze()
