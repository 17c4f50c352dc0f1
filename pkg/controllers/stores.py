"""The object stores that the settings name: opened once, checked rarely, and written to only where they are ours.

A preflight costs requests and seconds, so its success is remembered for a minute per endpoint; a failure is not.
Where nothing may be written (operators.md 4 and 5) the stores that are handed out refuse to write.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import TTLCache

from pkg.apis.reasons import Reason
from pkg.controllers.config import ConfigReconciler, Settings
from pkg.controllers.foreign import Standing, Tenure, explain
from pkg.controllers.location_record import LocationRecords, RecordInMemory
from pkg.controllers.tenancy import Tenancy, place_text
from pkg.kube.errors import KubeError
from pkg.objectstore.cloud import open_restic_store, open_store
from pkg.objectstore.errors import BucketMissingError, CredentialsRefusedError, StoreError, StoreReadOnlyError
from pkg.objectstore.preflight import preflight
from pkg.objectstore.read_only import ReadOnlyStore
from pkg.objectstore.store import ObjectStore

PREFLIGHT_TTL_SECONDS = 60.0
RESTORE_ONLY_MODE = "the server is in restoreOnlyMode (Config), which writes nothing to the store"


class StoreFailure(Exception):
    """The store cannot be used; `reason` says why."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStores:
    """The stores of one set of settings.

    Attributes:
        restore_only: Nothing may be written to them; both refuse to.
    """

    settings: Settings
    backups: ObjectStore
    restic: ObjectStore
    restore_only: bool = False


class Stores:
    """Opens and keeps the stores of the settings in force."""

    def __init__(self, config: ConfigReconciler, cluster_id: str, records: LocationRecords | None = None) -> None:
        self._config = config
        self._cluster_id = cluster_id
        self._tenancy = Tenancy(cluster_id, records or RecordInMemory())
        self._lock = threading.Lock()
        self._open: OpenStores | None = None
        self._standing: Standing | None = None  # of the place of `_open`
        self._effective: Settings | None = None  # `_open.settings` with what was found in the store
        self._checked: TTLCache[int, OpenStores] = TTLCache(maxsize=8, ttl=PREFLIGHT_TTL_SECONDS)
        self.standing_changed: Callable[[], None] = lambda: None

    @property
    def cluster_id(self) -> str:
        """UID of this cluster's kube-system."""
        return self._cluster_id

    def settings(self) -> Settings:
        """The settings in force, with `restore_only` also where the last look found another cluster's backups.

        No store is opened and nobody is asked.

        Raises:
            SettingsError: there are none.
        """
        settings = self._config.settings()
        with self._lock:
            if self._open is None or self._open.settings is not settings:
                return settings
            return self._effective or settings

    def configured(self) -> Settings:
        """The settings as the Config alone says them; the same object until it changes.

        Raises:
            SettingsError: there are none.
        """
        return self._config.settings()

    def standing(self) -> Standing | None:
        """Whose the place was at the last look; None before the first."""
        with self._lock:
            return self._standing

    def why_not_written(self) -> str | None:
        """Why this installation only restores, as far as it is known without asking; None where it may write.

        A place that another cluster took over is none of this: that is trouble, and each writer asks anew.

        Raises:
            SettingsError: there are no settings.
        """
        settings = self._config.settings()
        if settings.restore_only:
            return RESTORE_ONLY_MODE
        with self._lock:
            stale = self._open is None or self._open.settings is not settings
            standing = None if stale else self._standing
        if standing is None or standing.tenure not in (Tenure.FOREIGN, Tenure.ADOPTABLE):
            return None
        return self._explain(standing, settings)

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
                self._standing = self._effective = None
            return self._open

    def checked(self) -> OpenStores:
        """The stores for reading, after a preflight that succeeded within the last minute.

        Where nothing may be written they refuse to write, and `restore_only` says so.

        Raises:
            SettingsError: there are no settings.
            StoreFailure: the bucket is missing, the credentials are refused, or nothing answers.
        """
        stores = self.current()
        with self._lock:
            known = self._checked.get(id(stores))
        if known is not None:
            return known
        standing = self._asked(stores, lambda: self._tenancy.look(stores.backups, stores.settings))
        return self._note(stores, standing)

    def owned(self) -> OpenStores:
        """The stores for writing, after their prefix was found to be this cluster's, or was stamped as such.

        Raises:
            SettingsError: there are no settings.
            StoreFailure: as `checked`; RestoreOnly where nothing may be written, ForeignCluster with both identities
                where another cluster took over a place that was ours.
        """
        stores = self.current()
        if stores.settings.restore_only:
            raise StoreFailure(Reason.RESTORE_ONLY, RESTORE_ONLY_MODE)
        standing = self._asked(stores, lambda: self._tenancy.claim(stores.backups, stores.settings))
        found = self._note(stores, standing)
        if standing.tenure is Tenure.OURS:
            return found
        reason = Reason.FOREIGN_CLUSTER if standing.tenure is Tenure.CONTESTED else Reason.RESTORE_ONLY
        raise StoreFailure(reason, self._explain(standing, stores.settings))

    def _asked(self, stores: OpenStores, question: Callable[[], Standing]) -> Standing:
        try:
            with self._lock:
                known = id(stores) in self._checked
            if not known:
                preflight(stores.backups)
            return question()
        except StoreError as error:
            raise StoreFailure(store_reason(error), str(error)) from error
        except KubeError as error:
            raise StoreFailure(Reason.INTERNAL, f"whose the bucket is cannot be told: {error}") from error

    def _note(self, stores: OpenStores, standing: Standing) -> OpenStores:
        restore_only = stores.settings.restore_only or not standing.writable
        found = guarded(stores) if restore_only else stores
        with self._lock:
            if stores is not self._open:
                return found
            before, self._standing = self._standing, standing
            self._effective = dataclasses.replace(stores.settings, restore_only=restore_only)
            self._checked[id(stores)] = found
        if before is not None and before != standing:
            self.standing_changed()
        return found

    def _explain(self, standing: Standing, settings: Settings) -> str:
        return explain(standing, place=place_text(settings.location), cluster_id=self._cluster_id)


def guarded(stores: OpenStores) -> OpenStores:
    """The same stores, refusing to write."""
    return dataclasses.replace(
        stores, backups=ReadOnlyStore(stores.backups), restic=ReadOnlyStore(stores.restic), restore_only=True
    )


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
        case StoreReadOnlyError():
            return Reason.RESTORE_ONLY
        case _:
            return Reason.BACKEND_UNREACHABLE
