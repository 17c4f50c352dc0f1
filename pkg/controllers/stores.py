"""The object stores that the settings name, opened once and checked rarely.

A preflight costs requests and seconds, so its success is remembered for a minute per endpoint; a failure is not.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from cachetools import TTLCache

from pkg.apis.reasons import Reason
from pkg.controllers.config import ConfigReconciler, Settings
from pkg.objectstore.catalog import stamp_cluster
from pkg.objectstore.cloud import open_restic_store, open_store
from pkg.objectstore.errors import BucketMissingError, CredentialsRefusedError, StoreError
from pkg.objectstore.preflight import preflight
from pkg.objectstore.store import ObjectStore

PREFLIGHT_TTL_SECONDS = 60.0


class StoreFailure(Exception):
    """The store cannot be used; `reason` says why."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStores:
    """The stores of one set of settings."""

    settings: Settings
    backups: ObjectStore
    restic: ObjectStore


class Stores:
    """Opens and keeps the stores of the settings in force."""

    def __init__(self, config: ConfigReconciler, cluster_id: str) -> None:
        self._config = config
        self._cluster_id = cluster_id
        self._lock = threading.Lock()
        self._open: OpenStores | None = None
        self._checked: TTLCache[int, bool] = TTLCache(maxsize=8, ttl=PREFLIGHT_TTL_SECONDS)

    @property
    def cluster_id(self) -> str:
        """UID of this cluster's kube-system."""
        return self._cluster_id

    def settings(self) -> Settings:
        """The settings in force; no store is opened.

        Raises:
            SettingsError: there are none.
        """
        return self._config.settings()

    def current(self) -> OpenStores:
        """The stores of the settings in force, unchecked.

        Raises:
            SettingsError: there are no settings.
            StoreFailure: what they name cannot be opened.
        """
        settings = self._config.settings()
        with self._lock:
            if self._open is None or self._open.settings is not settings:
                self._checked.clear()  # it is keyed by id, which the next object may have again
                self._open = _open(settings)
            return self._open

    def checked(self) -> OpenStores:
        """The stores, after a preflight that succeeded within the last minute.

        Raises:
            SettingsError: there are no settings.
            StoreFailure: the bucket is missing, the credentials are refused, or nothing answers.
        """
        stores = self.current()
        with self._lock:
            if id(stores) in self._checked:
                return stores
        try:
            preflight(stores.backups)
        except StoreError as error:
            raise StoreFailure(store_reason(error), str(error)) from error
        with self._lock:
            self._checked[id(stores)] = True
        return stores

    def owned(self) -> OpenStores:
        """The stores, after their prefix was found to be this cluster's, or was stamped as such.

        Raises:
            SettingsError: there are no settings.
            StoreFailure: as `checked`, or ForeignCluster with both identities.
        """
        stores = self.checked()
        try:
            owner = stamp_cluster(stores.backups, self._cluster_id)
        except StoreError as error:
            raise StoreFailure(store_reason(error), str(error)) from error
        if owner != self._cluster_id:
            raise StoreFailure(
                Reason.FOREIGN_CLUSTER,
                f"bucket {stores.settings.location.bucket} is written by cluster {owner}, this is cluster "
                f"{self._cluster_id}; give this cluster a prefix of its own (backupStorageProvider.prefix)",
            )
        return stores


def _open(settings: Settings) -> OpenStores:
    try:
        return OpenStores(
            settings=settings,
            backups=open_store(settings.location, settings.credentials),
            restic=open_restic_store(settings.location, settings.credentials),
        )
    except StoreError as error:
        raise StoreFailure(store_reason(error), str(error)) from error


def store_reason(error: StoreError) -> Reason:
    """The reason that status shows for a store's error."""
    match error:
        case BucketMissingError():
            return Reason.BUCKET_MISSING
        case CredentialsRefusedError():
            return Reason.CREDENTIALS_REFUSED
        case _:
            return Reason.BACKEND_UNREACHABLE
