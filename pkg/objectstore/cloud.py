"""The ObjectStore over obstore: S3, Azure, Google and a local directory, with bounded memory and our errors only."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO

import obstore
from obstore.store import GCSStore, LocalStore

from pkg.objectstore.clients import Client, open_client
from pkg.objectstore.credentials import CloudCredentials
from pkg.objectstore.errors import ObjectNotFoundError, StoreError
from pkg.objectstore.location import StorageLocation
from pkg.objectstore.store import Keys, ObjectInfo, ObjectStore
from pkg.objectstore.translation import Place, door

if TYPE_CHECKING:  # typing-only names of obstore, absent at run time
    from obstore import ObjectMeta, PutMode

PART_BYTES = 8 * 1024 * 1024  # 10,000 parts of these make 80 GiB
PARTS_AT_ONCE = 3
_NOWHERE = "ark-preflight"


class CloudStore:
    """One bucket, relative to one prefix.

    Args:
        place: What messages call it.
        open_client: Makes a client; asked for one with short deadlines at each probe.
        open_signer: Makes the client whose addresses people outside can reach.
    """

    def __init__(
        self, *, place: Place, open_client: Callable[[bool], Client], open_signer: Callable[[], Client]
    ) -> None:
        self._place = place
        self._open_client = open_client
        self._open_signer = open_signer
        with door(place):
            self._client = open_client(False)

    def get(self, key: str) -> bytes:
        """The whole object, for small ones."""
        with door(self._place, key):
            return bytes(obstore.get(self._client, key).bytes())

    def get_to_file(self, key: str, file: BinaryIO) -> int:
        """Writes the object to the file in pieces; returns its bytes."""
        written = 0
        with door(self._place, key):
            for piece in obstore.get(self._client, key).stream(min_chunk_size=PART_BYTES):
                written += file.write(piece)
        return written

    def put(self, key: str, data: bytes | BinaryIO, *, if_none_match: bool = False, if_match: str | None = None) -> str:
        """Writes the object and returns its etag."""
        mode: PutMode = "create" if if_none_match else "overwrite"
        if if_match is not None:
            mode = {"version": if_match} if isinstance(self._client, GCSStore) else {"e_tag": if_match}
        with door(self._place, key, key_is_needed=if_match is not None):
            result = obstore.put(
                self._client, key, data, mode=mode, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE
            )
        return self._etag(result["e_tag"], result["version"])

    def head(self, key: str) -> ObjectInfo | None:
        """What is known of the object; None when there is none."""
        try:
            with door(self._place, key):
                return self._info(obstore.head(self._client, key))
        except ObjectNotFoundError:
            self._list_nowhere(self._client)  # a HEAD has no body: only a listing tells a missing bucket
            return None

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """All objects below a directory, page by page."""
        with door(self._place):
            for page in obstore.list(self._client, prefix or None):
                for meta in page:
                    yield self._info(meta)

    def list_directories(self, prefix: str = "") -> Keys:
        """The directories right below a directory."""
        with door(self._place):
            found = obstore.list_with_delimiter(self._client, prefix or None)["common_prefixes"]
        return sorted(path.rstrip("/") for path in found)

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes exactly these objects."""
        for key in keys:
            try:
                with door(self._place, key):
                    obstore.delete(self._client, key)
            except ObjectNotFoundError:
                continue

    def presign(self, key: str, seconds: int) -> str:
        """An address that anyone can GET the object from for that long."""
        with door(self._place, key):
            signer = self._open_signer()
            if isinstance(signer, LocalStore):
                raise StoreError(f"{self._place} is a directory and has no addresses")
            return obstore.sign(signer, "GET", key, datetime.timedelta(seconds=seconds))

    def probe(self) -> None:
        """One cheap listing with short deadlines."""
        with door(self._place):
            client = self._open_client(True)
        self._list_nowhere(client)

    def _list_nowhere(self, client: Client) -> None:
        with door(self._place):
            for _ in obstore.list(client, _NOWHERE):
                break

    def _info(self, meta: ObjectMeta) -> ObjectInfo:
        etag = self._etag(meta["e_tag"], meta["version"])
        return ObjectInfo(key=meta["path"], size_bytes=meta["size"], etag=etag)

    def _etag(self, etag: str | None, version: str | None) -> str:
        """What a conditional put compares: Google compares generations, all others etags."""
        return (version if isinstance(self._client, GCSStore) else etag) or ""

    def __repr__(self) -> str:
        return f"CloudStore({self._place})"


def open_store(location: StorageLocation, credentials: CloudCredentials) -> ObjectStore:
    """The store of the backups; asks the network nothing.

    Raises:
        StoreError: When client or credentials cannot even be made.
    """
    return _open(location, credentials, bucket=location.bucket, prefix=location.prefix)


def open_restic_store(location: StorageLocation, credentials: CloudCredentials) -> ObjectStore:
    """The store of the restic repositories, one directory per namespace."""
    return _open(location, credentials, bucket=location.restic_bucket, prefix=location.restic_prefix)


def _open(location: StorageLocation, credentials: CloudCredentials, *, bucket: str, prefix: str) -> ObjectStore:
    public = _public(location)
    return CloudStore(
        place=Place(bucket=bucket, endpoint=location.endpoint),
        open_client=lambda quick: open_client(location, credentials, bucket=bucket, prefix=prefix, quick=quick),
        open_signer=lambda: open_client(public, credentials, bucket=bucket, prefix=prefix),
    )


def _public(location: StorageLocation) -> StorageLocation:
    """The location as people outside the cluster reach it (`publicUrl` of the configuration)."""
    url = location.config.get("publicUrl", "")
    if not url:
        return location
    return StorageLocation(
        provider=location.provider,
        bucket=location.bucket,
        config={**location.config, "s3Url": url},
        region=location.region,
    )
