"""Finds out whose the place in the bucket is, takes it where it is free or was adopted, and remembers it.

The steps survive a death at any line: the stamp is written before the record, so a place is never remembered as ours
that was not; what a dead process had stamped is found as ours by the next look, which then remembers it.
"""

from __future__ import annotations

import dataclasses
import threading

import structlog

from pkg.controllers.config import Settings
from pkg.controllers.foreign import Adoption, Evidence, Standing, Tenure, explain, judge
from pkg.controllers.location_record import LocationRecord, LocationRecords
from pkg.controllers.ownership import ARK_0_9
from pkg.kube.errors import KubeError
from pkg.objectstore.catalog import adopt_cluster, first_foreign_owner, read_cluster, stamp_cluster
from pkg.objectstore.errors import PreconditionFailedError
from pkg.objectstore.location import StorageLocation
from pkg.objectstore.store import ObjectStore

log = structlog.get_logger()


class Tenancy:
    """Whose the places are that this installation uses."""

    def __init__(self, cluster_id: str, records: LocationRecords) -> None:
        self._cluster_id = cluster_id
        self._records = records
        self._lock = threading.Lock()
        self._record: LocationRecord | None = None

    def look(self, store: ObjectStore, settings: Settings) -> Standing:
        """Whose the place is; writes nothing to the store.

        Raises:
            StoreError: the store does not tell.
            KubeError: the record cannot be read.
        """
        standing = judge(self._evidence(store, settings, read_cluster(store)))
        self._remember(standing, settings)
        return standing

    def claim(self, store: ObjectStore, settings: Settings) -> Standing:
        """Whose the place is, after it was taken where it is free or its adoption was asked for.

        Raises:
            StoreError: the store does not tell, or is not written.
            KubeError: the record cannot be read.
        """
        evidence = self._evidence(store, settings, read_cluster(store))
        standing = judge(evidence)
        if standing.tenure is Tenure.FREE:
            standing = judge(dataclasses.replace(evidence, stamp=stamp_cluster(store, self._cluster_id)))
        elif standing.tenure is Tenure.ADOPTABLE:
            standing = self._adopt(store, evidence)
        self._remember(standing, settings)
        return standing

    def _adopt(self, store: ObjectStore, evidence: Evidence) -> Standing:
        try:
            adopt_cluster(store, self._cluster_id, owner=evidence.stamp)
        except PreconditionFailedError:
            log.warning("Place changed hands while it was adopted", owner=evidence.stamp)
        else:
            log.warning("Place adopted", owner=evidence.stamp or evidence.foreign_owner)
        return judge(dataclasses.replace(evidence, stamp=read_cluster(store)))

    def _evidence(self, store: ObjectStore, settings: Settings, stamp: str) -> Evidence:
        record = self._remembered()
        held = place_of(settings.location) in record.held
        unstamped = not stamp and not held
        return Evidence(
            cluster_id=self._cluster_id,
            stamp=stamp,
            foreign_owner=first_foreign_owner(store, self._cluster_id, unknown=ARK_0_9) if unstamped else "",
            held_before=held,
            adoption=Adoption(text=settings.adopt),
            carried_out=record.carried_out,
        )

    def _remembered(self) -> LocationRecord:
        with self._lock:
            if self._record is not None:
                return self._record
        record = self._records.read()
        with self._lock:
            self._record = record
        return record

    def _remember(self, standing: Standing, settings: Settings) -> None:
        before = self._remembered()
        after = remembered(before, standing, settings, self._cluster_id)
        if after == before:
            return
        try:
            self._records.write(after)
        except KubeError as error:  # the next look tries again
            log.warning("Record of the place not written", error=str(error))
            return
        with self._lock:
            self._record = after


def place_of(location: StorageLocation) -> str:
    """One line that names a place; the same bucket at another address counts as another place."""
    address = location.s3_url or location.config.get("path", "")
    return f"{location.provider} {address} {location.bucket}/{location.prefix}"


def place_text(location: StorageLocation) -> str:
    """A place as messages call it."""
    return f"bucket {location.bucket}" + (f", prefix {location.prefix}" if location.prefix else "")


def remembered(before: LocationRecord, standing: Standing, settings: Settings, cluster_id: str) -> LocationRecord:
    """The record after a look."""
    place = place_of(settings.location)
    ours = standing.tenure is Tenure.OURS
    state = Tenure.FOREIGN if settings.restore_only else standing.tenure
    return LocationRecord(
        place=place,
        state=state.value,
        owner=standing.owner,
        message=explain(standing, place=place_text(settings.location), cluster_id=cluster_id),
        held=(*before.held, place) if ours and place not in before.held else before.held,
        carried_out=settings.adopt if ours else before.carried_out,
    )
