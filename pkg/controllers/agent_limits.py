"""The limits of one agent: slots of backups and of restores, bandwidth, and a ceiling for want of memory.

The one place that knows them. They are computed from the caches whenever somebody asks, so a change counts at the next
slot that is taken and at the next restic that is started; what runs is left alone. A label that cannot be read leaves
the value before in force.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable

from pkg.apis.core import Node
from pkg.apis.names import RESTORE_SLOTS_LABEL, SLOTS_LABEL
from pkg.controllers.limits import NodeLimits, node_limits
from pkg.controllers.limits_parsing import label_slots
from pkg.controllers.limits_source import LimitsSource
from pkg.informers.lister import Lister
from pkg.restic.bandwidth import Bandwidth, share


class AgentLimits:
    """What holds on this agent's node now; safe to use from many threads.

    Args:
        flags: What holds where nothing else is said.
        source: The ConfigMap.
        nodes: Holds this node.
        node: Its name.
        ceiling: How many of so many slots may be used, whatever is configured, as after a want of memory.
    """

    def __init__(
        self,
        flags: NodeLimits,
        source: LimitsSource,
        nodes: Lister[Node],
        node: str,
        ceiling: Callable[[int], int] = lambda slots: slots,
    ) -> None:
        self._flags = flags
        self._source = source
        self._nodes = nodes
        self._node = node
        self._lock = threading.Lock()
        self._labelled: dict[str, int | None] = {}
        self._problems: dict[str, str] = {}
        self._ceiling = ceiling

    def current(self) -> NodeLimits:
        """What holds, below the ceiling."""
        configured = self.configured()
        return dataclasses.replace(
            configured,
            backup_slots=self._ceiling(configured.backup_slots),
            restore_slots=self._ceiling(configured.restore_slots),
        )

    def configured(self) -> NodeLimits:
        """What flags, ConfigMap and labels ask for, without the ceiling."""
        node = self._nodes.get("", self._node)
        labels = node.metadata.labels if node else None
        found = node_limits(self._flags, self._source.config(), labels)
        return dataclasses.replace(
            found,
            backup_slots=self._of_label(SLOTS_LABEL, labels) or found.backup_slots,
            restore_slots=self._of_label(RESTORE_SLOTS_LABEL, labels) or found.restore_slots,
        )

    def bandwidth(self, verb: str) -> Bandwidth:
        """What a restic that starts now may transfer, by its verb."""
        now = self.current()
        node = Bandwidth(upload_kib=now.upload_kib, download_kib=now.download_kib)
        return share(node, now.backup_slots if verb == "backup" else now.restore_slots)

    def problems(self) -> list[str]:
        """What is wrong with ConfigMap or labels, one sentence each."""
        self.configured()
        with self._lock:
            found = list(self._problems.values())
        return [*([self._source.problem] if self._source.problem else []), *found]

    def _of_label(self, label: str, labels: dict[str, str] | None) -> int | None:
        try:
            slots = label_slots(labels, label)
        except ValueError as error:
            with self._lock:
                self._problems[label] = f"node {self._node}: {error}; the value before stays in force"
                return self._labelled.get(label)
        with self._lock:
            self._problems.pop(label, None)
            self._labelled[label] = slots
        return slots
