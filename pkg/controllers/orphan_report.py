"""The report of what no backup names: since when it is known, so that it is removed only long after it was reported.

It lies in the ConfigMap `ark-orphans`, whose one writer is the leading server. Losing it costs a new grace and nothing
else. It is bounded: what has no room is counted, and its grace begins when it has.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from pkg.apis.core import ConfigMap
from pkg.apis.meta import ApiStruct, JsonObject
from pkg.apis.names import ORPHANS_CONFIG_MAP
from pkg.kube.client import Client
from pkg.kube.errors import NotFoundError
from pkg.kube.refs import CONFIG_MAPS

GRACE = datetime.timedelta(days=14)
LONGEST_REPORT = 1000
_KEY = "report.json"


class OrphanKind(StrEnum):
    """What it is."""

    SNAPSHOT = "snapshot"
    FILE = "file"


class Orphan(ApiStruct, frozen=True, kw_only=True):
    """One snapshot or file that no backup names.

    Attributes:
        namespace: Whose volumes a snapshot holds; empty for a file.
        id: The snapshot's full id, or the file's key.
    """

    kind: OrphanKind
    namespace: str = ""
    id: str = ""
    first_seen: datetime.datetime


class OrphanReport(ApiStruct, frozen=True, kw_only=True):
    """What the last sweep found.

    Attributes:
        place: The place in the bucket that it is about; what was seen elsewhere says nothing.
        at: When it was made; None for no report at all.
        problem: Why it may be incomplete; nothing is removed then.
        held: Why nothing may be removed now, such as a freeze.
        unlisted: How many more there were than the report has room for.
    """

    place: str = ""
    at: datetime.datetime | None = None
    problem: str = ""
    held: str = ""
    snapshots: int = 0
    files: int = 0
    unlisted: int = 0
    orphans: tuple[Orphan, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanReports:
    """Reads and writes the report."""

    client: Client
    namespace: str

    def read(self) -> OrphanReport:
        """The last report; an empty one where there is none or it cannot be read."""
        try:
            found = self.client.get(CONFIG_MAPS, self.namespace, ORPHANS_CONFIG_MAP, ConfigMap)
        except NotFoundError:
            return OrphanReport()
        return decode_report((found.data or {}).get(_KEY, ""))

    def write(self, report: OrphanReport) -> None:
        """Replaces it."""
        data: JsonObject = {_KEY: msgspec.json.encode(report).decode()}
        try:
            self.client.patch(CONFIG_MAPS, self.namespace, ORPHANS_CONFIG_MAP, {"data": data}, ConfigMap)
        except NotFoundError:
            body: JsonObject = {"metadata": {"name": ORPHANS_CONFIG_MAP}, "data": data}
            self.client.create(CONFIG_MAPS, self.namespace, body, ConfigMap)


def decode_report(text: str) -> OrphanReport:
    """A report as it was written; an empty one where it is damaged, so that the grace begins anew."""
    try:
        return msgspec.json.decode(text, type=OrphanReport)
    except msgspec.DecodeError:
        return OrphanReport()
