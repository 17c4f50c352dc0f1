"""The claim on a backup's name in the bucket: `<backup>/ark-claim.json`, taken before anything else is written.

Two clusters, or an old and a new object of the same name, can both want `<backup>/`. Whoever creates the claim first
has it; the same backup takes it over with a newer epoch by comparing the etag. It is read again before each put, so a
process that was replaced meanwhile stops writing.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from pkg.apis.meta import ApiStruct
from pkg.backup.errors import ClaimLostError, NameTakenError
from pkg.objectstore.errors import ObjectNotFoundError, PreconditionFailedError
from pkg.objectstore.store import ObjectStore

_ATTEMPTS = 5


class ClaimDocument(ApiStruct, frozen=True, kw_only=True):
    """The contents of the claim."""

    backup_uid: str = msgspec.field(default="", name="backupUID")
    cluster_uid: str = msgspec.field(default="", name="clusterUID")
    epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claim that is held."""

    store: ObjectStore
    key: str
    document: ClaimDocument

    def verify(self) -> None:
        """Reads the claim again.

        Raises:
            ClaimLostError: it says something else now; nothing more may be written.
        """
        found = _read(self.store, self.key)
        if found != self.document:
            raise ClaimLostError(f"{self.key} is held by epoch {found.epoch if found else 'nobody'} now")


def take_claim(store: ObjectStore, key: str, document: ClaimDocument) -> Claim:
    """Creates the claim, or takes it over from an older epoch of the same backup; taking it twice is once.

    Raises:
        NameTakenError: another backup has the name; nothing was written.
        ClaimLostError: a newer epoch of this backup has it.
    """
    for _ in range(_ATTEMPTS):
        if _try(store, key, document):
            return Claim(store=store, key=key, document=document)
    raise ClaimLostError(f"{key} changed hands {_ATTEMPTS} times while it was taken")


def _try(store: ObjectStore, key: str, document: ClaimDocument) -> bool:
    info = store.head(key)
    found = _read(store, key) if info is not None else None
    try:
        if info is None or found is None:
            store.put(key, msgspec.json.encode(document), if_none_match=True)
            return True
        if found == document:
            return True
        _refuse(key, found, document)
        store.put(key, msgspec.json.encode(document), if_match=info.etag)
    except PreconditionFailedError:
        return False
    return True


def _refuse(key: str, found: ClaimDocument, document: ClaimDocument) -> None:
    if (found.backup_uid, found.cluster_uid) != (document.backup_uid, document.cluster_uid):
        raise NameTakenError(
            f"the bucket holds a backup of this name already: {key} belongs to backup {found.backup_uid or 'unknown'} "
            f"of cluster {found.cluster_uid or 'unknown'}"
        )
    if found.epoch > document.epoch:
        raise ClaimLostError(f"{key} is held by epoch {found.epoch}, this is epoch {document.epoch}")


def _read(store: ObjectStore, key: str) -> ClaimDocument | None:
    try:
        return msgspec.json.decode(store.get(key), type=ClaimDocument)
    except ObjectNotFoundError:
        return None
    except msgspec.DecodeError:
        return ClaimDocument()  # whoever wrote this, it was not this backup
