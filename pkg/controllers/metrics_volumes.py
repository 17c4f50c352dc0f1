"""How old the last capture of each claim is, computed from the PodVolumeBackups whenever somebody asks.

A PodVolumeBackup is removed a week after its end, and its claim's series goes with it. Above 2,000 claims there is one
series a namespace, with the age of its oldest claim and an empty label `claim`, so that the cluster's size does not
become the size of its monitoring (operators.md 26).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pkg.apis.reasons import VolumePhase
from pkg.apis.volumes import PodVolumeBackup
from pkg.informers.lister import Lister
from pkg.kube.clock import Clock

MAX_CLAIMS = 2000


class VolumeCollector(Collector):
    """Answers each scrape from the cache."""

    def __init__(self, captures: Lister[PodVolumeBackup], *, clock: Clock) -> None:
        self._captures = captures
        self._clock = clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One gauge."""
        family = GaugeMetricFamily(
            "ark_volume_last_capture_age_seconds",
            "Time since the last Completed capture of a claim began; of the oldest claim where there are too many.",
            labels=["namespace", "claim"],
        )
        now = self._clock.now()
        for (namespace, claim), moment in by_namespace_above(last_captures(self._captures.list())).items():
            family.add_metric([namespace, claim], max(0.0, (now - moment).total_seconds()))
        yield family


def last_captures(captures: Iterable[PodVolumeBackup]) -> dict[tuple[str, str], datetime.datetime]:
    """When the last capture of each claim began, by namespace and name."""
    found: dict[tuple[str, str], datetime.datetime] = {}
    for one in captures:
        claim, moment = one.spec.source.claim_name, one.status.start_timestamp
        if one.status.phase == VolumePhase.COMPLETED and claim and moment:
            key = (one.spec.pod.namespace, claim)
            found[key] = max(moment, found.get(key, moment))
    return found


def by_namespace_above(
    captures: dict[tuple[str, str], datetime.datetime], limit: int = MAX_CLAIMS
) -> dict[tuple[str, str], datetime.datetime]:
    """The same up to the limit; above it the oldest of each namespace."""
    if len(captures) <= limit:
        return captures
    oldest: dict[tuple[str, str], datetime.datetime] = {}
    for (namespace, _), moment in captures.items():
        oldest[namespace, ""] = min(moment, oldest.get((namespace, ""), moment))
    return oldest
