"""What keeps an agent within its container: its memory watched, restic's cache small, slots halved after a kill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry

from pkg.apis.core import Pod
from pkg.controllers.memory_ceiling import MemoryCeiling
from pkg.controllers.metrics_agent import AgentCollector
from pkg.controllers.solitude import Solitude
from pkg.kube.clock import REAL_CLOCK
from pkg.manager.manager import Manager
from pkg.restic.bounded import BoundedRunner
from pkg.restic.cache import Cache
from pkg.restic.cgroup import own_memory_group
from pkg.restic.memory import MemoryWatch
from pkg.restic.runner import ResticRunner, Runner

CACHE_DIRECTORY = "restic-cache"
SLOTS_HALVED = "SlotsHalved"


class AgentBounds:
    """The bounds of one agent process.

    Args:
        manager: The watch and the cleaning run with it.
        registry: Shows their figures.
        children: Starts restic, and knows which children run.
        scratch_dir: Lives as long as the pod.
        cache_bytes: What restic's cache may hold; 0 for none.

    Attributes:
        solitude: Shared by all that works on volumes here.
        slots: Among how many children the memory is shared; one until somebody says.
    """

    def __init__(
        self, manager: Manager, registry: CollectorRegistry, children: Runner, scratch_dir: Path, *, cache_bytes: int
    ) -> None:
        group = own_memory_group()
        read = group.read if group is not None else lambda: None
        self._manager = manager
        self._children = children
        self._scratch_dir = scratch_dir
        self._cache = Cache(scratch_dir / CACHE_DIRECTORY, limit_bytes=cache_bytes)
        self._memory = MemoryWatch(children, read=read, clock=REAL_CLOCK)
        self.solitude = Solitude()
        self.slots: Callable[[], int] = lambda: 1
        manager.add_runnable("memory-watch", self._memory.run)
        manager.add_runnable("restic-cache", self._cache.run)
        registry.register(AgentCollector(self._memory, self._cache))

    def runner(self, inner: ResticRunner) -> BoundedRunner:
        """A runner within these bounds."""
        return BoundedRunner(inner, cache=self._cache, memory=self._memory, parts=self.parts)

    def ceiling(self, own_pod: Callable[[], Pod | None]) -> MemoryCeiling:
        """What lowers the slots after a kill of the container."""

        def tell(pod: Pod, kills: int) -> None:
            self._manager.events.event(
                pod,
                SLOTS_HALVED,
                f"the agent's container was killed for want of memory {kills} times: it works on 1/{1 << kills} of its "
                "slots, one at least, until this pod is replaced; raise the memory limit of the agents",
                kind="Pod",
                warning=True,
            )

        return MemoryCeiling(own_pod, self._scratch_dir, tell)

    def parts(self) -> int:
        """Among how many children the memory is shared now."""
        return 1 if self.solitude.kept else max(self.slots(), len(self._children.running()) + 1)
