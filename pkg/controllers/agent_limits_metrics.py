"""What an agent may use and what it uses now, answered at each scrape."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pkg.controllers.agent_limits import AgentLimits
from pkg.manager.slots import Slots

KIB = 1024.0


class AgentLimitsCollector(Collector):
    """Four gauges by kind, and the bandwidth by direction."""

    def __init__(self, limits: AgentLimits, backups: Slots, restores: Slots) -> None:
        self._limits = limits
        self._slots = {"backup": backups, "restore": restores}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges."""
        current, configured = self._limits.current(), self._limits.configured()
        in_force = {"backup": current.backup_slots, "restore": current.restore_slots}
        wanted = {"backup": configured.backup_slots, "restore": configured.restore_slots}
        in_use = {kind: slots.in_use for kind, slots in self._slots.items()}
        waiting = {kind: slots.waiting for kind, slots in self._slots.items()}
        yield _by("kind", "ark_agent_slots", "Volumes that this node works on at once at most.", in_force)
        yield _by("kind", "ark_agent_slots_configured", "The same as configured, before memory ran short.", wanted)
        yield _by("kind", "ark_agent_slots_in_use", "Slots that are taken.", in_use)
        yield _by("kind", "ark_agent_slots_waiting", "Volumes and pods of this node that wait for a slot.", waiting)
        bandwidth = {"upload": current.upload_kib * KIB, "download": current.download_kib * KIB}
        text = "What all backups (upload) or restores (download) of this node may transfer; 0 for no limit."
        yield _by("direction", "ark_agent_bandwidth_limit_bytes_per_second", text, bandwidth)


def _by(label: str, name: str, text: str, values: dict[str, int] | dict[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
