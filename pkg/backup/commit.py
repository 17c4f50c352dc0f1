"""Writes a backup into the bucket, in an order in which a death at any line leaves no half backup that looks whole.

`ark-backup.json` comes last and is what makes the backup exist. Before each put the claim is read again. A store that
does not answer is given some minutes; by then hours of captures may hang on this.
"""

from __future__ import annotations

import io
from typing import BinaryIO

import msgspec
import structlog.typing

from pkg.apis.ark import BackupStatus
from pkg.apis.meta import JsonObject
from pkg.apis.names import API_VERSION
from pkg.backup.claim import Claim
from pkg.backup.errors import BackupInterruptedError, ClaimLostError
from pkg.backup.stopping import is_canceled
from pkg.kube.backoff import Backoff
from pkg.kube.clock import Clock
from pkg.kube.stop import StopToken
from pkg.objectstore.errors import StoreError, StoreUnreachableError
from pkg.objectstore.layout import BackupKeys
from pkg.objectstore.store import ObjectStore

ATTEMPTS = 8


class Committer:
    """Puts under a claim."""

    def __init__(
        self,
        store: ObjectStore,
        claim: Claim,
        *,
        stop: StopToken,
        clock: Clock,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._store = store
        self._claim = claim
        self._stop = stop
        self._clock = clock
        self._log = log

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        """Verifies the claim and writes one object.

        Raises:
            ClaimLostError: the claim changed hands; nothing was written.
            StoreError: the store does not take it, also after some minutes.
        """
        backoff = Backoff(initial_seconds=1.0, cap_seconds=60.0, clock=self._clock)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._put_once(key, data)
            except StoreUnreachableError as error:
                self._log.warning("Object store does not answer", key=key, attempt=attempt, error=str(error))
                if attempt == ATTEMPTS:
                    raise
                self._pause(backoff.next())
            else:
                return

    def withdraw(self, keys: BackupKeys) -> None:
        """Takes back what this run wrote for a backup that was never committed, the claim on its name last.

        Explicit keys, under the claim, and nothing where the backup exists; what cannot be removed is logged.
        """
        try:
            self._claim.verify()
            if self._store.head(keys.metadata) is None:
                self._store.delete(keys.in_deletion_order[1:])
        except (ClaimLostError, StoreError) as error:
            self._log.warning("Files of a deleted backup stay in the bucket", claim=keys.claim, error=str(error))

    def _put_once(self, key: str, data: bytes | BinaryIO) -> None:
        self._claim.verify()
        if not isinstance(data, bytes):
            data.seek(0, io.SEEK_SET)
        self._store.put(key, data)

    def _pause(self, seconds: float) -> None:
        """Waits out a delay; a cancellation does not shorten it, a shutdown ends the run."""
        token = StopToken() if is_canceled(self._stop) else self._stop
        if self._clock.wait(token, seconds) and not is_canceled(self._stop):
            raise BackupInterruptedError(self._stop.reason)


def metadata_json(raw: JsonObject, status: BackupStatus) -> bytes:
    """`ark-backup.json`: the Backup as the cluster has it, with its final status, in 0.9's pretty form."""
    metadata = raw.get("metadata")
    kept = (
        {key: value for key, value in metadata.items() if key != "managedFields"} if isinstance(metadata, dict) else {}
    )
    document = {
        "apiVersion": API_VERSION,
        "kind": "Backup",
        "metadata": kept,
        "spec": raw.get("spec"),
        "status": msgspec.to_builtins(status),
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2)
