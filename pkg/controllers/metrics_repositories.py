"""Which repositories are damaged or unusable, and how long ago their data was read, from the objects at each scrape.

Ages and states, as an alert needs them; a repository that is deleted takes its series along. A repository nothing of
which is to be read (a cold storage class, or switched off) has no age.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pkg.apis.reasons import RepositoryPhase
from pkg.apis.volumes import ResticRepository
from pkg.controllers.verification_plan import state_of
from pkg.controllers.verification_record import is_damaged, off_of
from pkg.informers.lister import Lister
from pkg.kube.clock import Clock

_GAUGES = {
    "ark_repository_damaged": "1 while errors that a check confirmed stand in the repository, else 0.",
    "ark_repository_ready": "1 when the repository can be used, else 0.",
    "ark_repository_unverified_age_seconds": "Time since a part of its data was read last, or since it was made.",
}


class RepositoryCollector(Collector):
    """Answers each scrape from the cache."""

    def __init__(self, repositories: Lister[ResticRepository], *, clock: Clock) -> None:
        self._repositories = repositories
        self._clock = clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges of all repositories."""
        now = self._clock.now()
        families = {name: GaugeMetricFamily(name, text, labels=["repository"]) for name, text in _GAUGES.items()}
        for repository in self._repositories.list():
            for name, value in _values(repository, now).items():
                families[name].add_metric([repository.metadata.name], value)
        yield from families.values()


def _values(repository: ResticRepository, now: datetime.datetime) -> dict[str, float]:
    values = {
        "ark_repository_damaged": float(is_damaged(repository)),
        "ark_repository_ready": float(repository.status.phase == RepositoryPhase.READY),
    }
    since = state_of(repository).read_at or repository.metadata.creation_timestamp
    if since is not None and not off_of(repository):
        values["ark_repository_unverified_age_seconds"] = max(0.0, (now - since).total_seconds())
    return values
