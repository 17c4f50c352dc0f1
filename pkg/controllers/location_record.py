"""What this installation remembers of its place in the bucket, kept in the cluster: ConfigMap `ark-location`.

The bucket cannot tell whether this installation ever wrote to it, because the stamp is overwritten by whoever takes
it over. The record is also where `ark adopt` reads whose backups the server found, since the command line needs
nothing but the Kubernetes API. Losing it is harmless: a contested place is then only restored from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from pkg.apis.core import ConfigMap
from pkg.apis.meta import JsonObject
from pkg.apis.names import LOCATION_RECORD
from pkg.kube.client import Client
from pkg.kube.errors import AlreadyExistsError, NotFoundError
from pkg.kube.refs import CONFIG_MAPS


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationRecord:
    """What is remembered.

    Attributes:
        place: The place of the Config in force.
        state: Whose it is, as a `Tenure`.
        owner: The cluster in question.
        held: Places that this installation wrote to.
        carried_out: The adoption that was carried out last, as it stood on the Config.
    """

    place: str = ""
    state: str = ""
    owner: str = ""
    message: str = ""
    held: tuple[str, ...] = ()
    carried_out: str = ""


class LocationRecords(Protocol):
    """Where the record is kept."""

    def read(self) -> LocationRecord:
        """The record; an empty one where there is none."""
        ...

    def write(self, record: LocationRecord) -> None:
        """Replaces it."""
        ...


@dataclass(slots=True)
class RecordInMemory:
    """A record that ends with the process."""

    record: LocationRecord = field(default_factory=LocationRecord)

    def read(self) -> LocationRecord:
        """The record."""
        return self.record

    def write(self, record: LocationRecord) -> None:
        """Replaces it."""
        self.record = record


class RecordInCluster:
    """The record in its ConfigMap; the one server that holds the lease is its only writer."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    def read(self) -> LocationRecord:
        """The record.

        Raises:
            KubeError: the API does not tell.
        """
        try:
            found = self._client.get(CONFIG_MAPS, self._namespace, LOCATION_RECORD, ConfigMap)
        except NotFoundError:
            return LocationRecord()
        return decode_record(found.data or {})

    def write(self, record: LocationRecord) -> None:
        """Replaces it.

        Raises:
            KubeError: it is not written.
        """
        body: JsonObject = {"metadata": {"name": LOCATION_RECORD}, "data": dict(encode_record(record))}
        try:
            self._client.patch(CONFIG_MAPS, self._namespace, LOCATION_RECORD, {"data": body["data"]}, ConfigMap)
        except NotFoundError:
            self._create(body)

    def _create(self, body: JsonObject) -> None:
        try:
            self._client.create(CONFIG_MAPS, self._namespace, body, ConfigMap)
        except AlreadyExistsError:
            self._client.patch(CONFIG_MAPS, self._namespace, LOCATION_RECORD, {"data": body["data"]}, ConfigMap)


def encode_record(record: LocationRecord) -> dict[str, str]:
    """The record as a ConfigMap's data."""
    return {
        "place": record.place,
        "state": record.state,
        "owner": record.owner,
        "message": record.message,
        "held": "\n".join(record.held),
        "carriedOut": record.carried_out,
    }


def decode_record(data: dict[str, str]) -> LocationRecord:
    """The record of a ConfigMap's data; what is missing is empty."""
    return LocationRecord(
        place=data.get("place", ""),
        state=data.get("state", ""),
        owner=data.get("owner", ""),
        message=data.get("message", ""),
        held=tuple(line for line in data.get("held", "").splitlines() if line),
        carried_out=data.get("carriedOut", ""),
    )
