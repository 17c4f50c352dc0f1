"""DownloadRequest: two ways to one file of the bucket, for ten minutes.

A presigned address for those who reach the store, and a one-time token for the server's loopback listener for
those who only reach the Kubernetes API. A request for something that does not exist is Processed with a reason.
"""

from __future__ import annotations

import datetime
import secrets
from typing import BinaryIO

import structlog

from pkg.apis.ark import DownloadRequest, Restore
from pkg.apis.meta import JsonObject
from pkg.apis.reasons import Reason, RequestPhase
from pkg.controllers.config import SettingsError
from pkg.controllers.download_events import DownloadEvents
from pkg.controllers.download_listener import DownloadListener
from pkg.controllers.status import patch_status, timestamp
from pkg.controllers.stores import StoreFailure, Stores, store_reason
from pkg.informers.lister import Lister
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import NotFoundError
from pkg.kube.refs import DOWNLOAD_REQUESTS
from pkg.manager.reconciler import Result, again_in, done
from pkg.objectstore.errors import StoreError
from pkg.objectstore.layout import backup_keys, restore_keys
from pkg.objectstore.store import ObjectStore
from pkg.workqueue.key import Key

LIFETIME_SECONDS = 600

log = structlog.get_logger()


class DownloadRefused(Exception):
    """The request cannot be answered; the message is for the person who asked."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class DownloadRequestReconciler:
    """Answers requests and removes the ones that are over."""

    def __init__(
        self,
        client: Client,
        lister: Lister[DownloadRequest],
        restores: Lister[Restore],
        *,
        stores: Stores,
        listener: DownloadListener,
        events: DownloadEvents,
        server_pod: str,
        clock: Clock,
    ) -> None:
        self._client = client
        self._lister = lister
        self._restores = restores
        self._stores = stores
        self._listener = listener
        self._events = events
        self._server_pod = server_pod
        self._clock = clock

    def reconcile(self, key: Key) -> Result:
        """Answers a new request; deletes one that expired."""
        request = self._lister.get(key.namespace, key.name)
        if request is None:
            return done()
        if request.status.phase == RequestPhase.PROCESSED:
            return self._expire(request)
        patch_status(self._client, DOWNLOAD_REQUESTS, request, self._answer(request))
        target = request.spec.target
        log.info("Download request answered", key=str(key), kind=target.kind, name=target.name)
        return again_in(LIFETIME_SECONDS)

    def _expire(self, request: DownloadRequest) -> Result:
        expiration = request.status.expiration or request.metadata.creation_timestamp or self._clock.now()
        left = (expiration - self._clock.now()).total_seconds()
        if left > 0:
            return again_in(left)
        meta = request.metadata
        try:
            self._client.delete(DOWNLOAD_REQUESTS, meta.namespace, meta.name, uid=meta.uid)
        except NotFoundError:
            log.debug("Download request was gone", key=meta.key)
        return done()

    def _answer(self, request: DownloadRequest) -> JsonObject:
        change: JsonObject = {
            "phase": RequestPhase.PROCESSED.value,
            "expiration": timestamp(self._clock.now() + datetime.timedelta(seconds=LIFETIME_SECONDS)),
        }
        try:
            change.update(self._grant(request))
        except (DownloadRefused, StoreFailure, SettingsError) as error:
            change.update({"reason": error.reason.value, "message": error.message})
        except StoreError as error:
            change.update({"reason": store_reason(error).value, "message": str(error)})
        return change

    def _grant(self, request: DownloadRequest) -> JsonObject:
        key = self._key(request)
        store = self._stores.checked().backups
        if store.head(key) is None:
            target = request.spec.target
            raise DownloadRefused(Reason.BACKUP_NOT_FOUND, f"there is no {target.kind} of {target.name} in the bucket")
        token = secrets.token_urlsafe(32)
        expires_at = self._clock.monotonic() + LIFETIME_SECONDS

        def fetch(file: BinaryIO) -> None:
            self._events.read(request)
            store.get_to_file(key, file)

        self._events.offered(request)
        self._listener.grant(request.metadata.name, token, expires_at, fetch)
        return {
            "downloadURL": presigned(store, key),
            "serverPod": self._server_pod,
            "serverPort": self._listener.port,
            "token": token,
        }

    def _key(self, request: DownloadRequest) -> str:
        try:
            return self._key_of_target(request)
        except ValueError as error:
            raise DownloadRefused(Reason.INVALID_SPEC, f"spec.target.name: {error}") from error

    def _key_of_target(self, request: DownloadRequest) -> str:
        name = request.spec.target.name
        match request.spec.target.kind:
            case "BackupLog":
                return backup_keys(name).log
            case "BackupContents":
                return backup_keys(name).tarball
            case "BackupVolumes":
                return backup_keys(name).volumes
            case "RestoreLog":
                return restore_keys(self._backup_of(request), name).log
            case "RestoreResults":
                return restore_keys(self._backup_of(request), name).results
            case other:
                raise DownloadRefused(Reason.INVALID_SPEC, f'unknown target kind "{other}"')

    def _backup_of(self, request: DownloadRequest) -> str:
        name = request.spec.target.name
        restore = self._restores.get(request.metadata.namespace, name)
        if restore is None:
            raise DownloadRefused(Reason.INVALID_SPEC, f"there is no Restore {request.metadata.namespace}/{name}")
        return restore.backup_name


def presigned(store: ObjectStore, key: str) -> str:
    """A presigned address; empty where none can be made, as for a directory: then the listener is the way."""
    try:
        return store.presign(key, LIFETIME_SECONDS)
    except StoreError as error:
        log.debug("No presigned address", object=key, error=str(error))
        return ""
