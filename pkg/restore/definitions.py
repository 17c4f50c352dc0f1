"""Definitions of custom resources: their objects cannot be created before the API server serves them."""

from __future__ import annotations

from collections.abc import Callable, Collection

from pkg.kube.clock import Clock
from pkg.kube.discovery import Discovery
from pkg.kube.errors import NotFoundError
from pkg.kube.refs import CRDS
from pkg.kube.stop import StopToken
from pkg.restore.errors import RestoreInterruptedError
from pkg.restore.fields import objects_at
from pkg.restore.job import RestoreApi

POLL_SECONDS = 0.5


def wait_until_served(
    names: Collection[str],
    *,
    api: RestoreApi,
    discover: Callable[[], Discovery],
    timeout_seconds: float,
    clock: Clock,
    stop: StopToken,
) -> tuple[Discovery, tuple[str, ...]]:
    """Waits until definitions are Established and discovery knows their resources.

    Args:
        names: The definitions (`widgets.example.com`), which are their resources' names too.
        api: The cluster.
        discover: Asks it what it serves.
        timeout_seconds: For all together.
        clock: The time.
        stop: Ends the wait.

    Returns:
        What the server serves now, and the definitions that did not get there in time.
    """
    deadline = clock.monotonic() + timeout_seconds
    left = sorted(names)
    while True:
        left = [name for name in left if not is_established(api, name)]
        if not left:
            discovery = discover()
            unserved = tuple(name for name in sorted(names) if discovery.resolve(name) is None)
            if not unserved or clock.monotonic() >= deadline:
                return discovery, unserved
        elif clock.monotonic() >= deadline:
            return discover(), tuple(left)
        if clock.wait(stop, POLL_SECONDS):
            raise RestoreInterruptedError(stop.reason)


def is_established(api: RestoreApi, name: str) -> bool:
    """Whether the API server has taken a definition into service."""
    try:
        conditions = objects_at(api.get_raw(CRDS, "", name), "status", "conditions")
    except NotFoundError:
        return False
    return any(one.get("type") == "Established" and one.get("status") == "True" for one in conditions)
