"""Config `default` becomes frozen Settings, or a clear sentence why it cannot.

Nothing else reads Config. Settings are computed from the cached object whenever it or the file of credentials
changed, so a backup never begins on settings older than those; one that runs keeps the settings that it began with.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from pkg.apis.ark import Config
from pkg.apis.duration import parse_duration
from pkg.apis.names import ADOPT_ANNOTATION, CONFIG_NAME
from pkg.apis.reasons import Reason
from pkg.controllers.maintenance_times import Window, parse_window
from pkg.informers.lister import Lister
from pkg.manager.reconciler import Result, done
from pkg.objectstore.credentials import CloudCredentials, credentials_stamp, load_credentials
from pkg.objectstore.errors import LocationInvalidError, StoreError
from pkg.objectstore.location import StorageLocation, storage_location
from pkg.objectstore.region import Regions
from pkg.workqueue.key import Key

DEFAULT_SYNC_PERIOD_SECONDS = 3600.0
SHORTEST_SYNC_PERIOD_SECONDS = 60.0  # 0.9's lower bound, and the period of restoreOnly mode
DEFAULT_GC_PERIOD_SECONDS = 3600.0
SHORTEST_GC_PERIOD_SECONDS = 60.0
DEFAULT_SCHEDULE_SYNC_SECONDS = 60.0  # 0.9's, and its lower bound

log = structlog.get_logger()


class SettingsError(Exception):
    """There are no usable settings; `reason` is ConfigMissing or ConfigInvalid."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What Config says, checked.

    Attributes:
        restore_only: Nothing may be written to the store. `Stores.settings` adds what was found in the store to it.
        adopt: The annotation that says which clusters' backups become ours.
        pod_volume_timeout_seconds: The longest time of one volume; 0 for no limit.
        gc_period_seconds: How often an expired backup that is held is looked at again.
        deletions_frozen: Why nothing may be deleted now; empty when deletion is allowed.
        maintenance_window: When repositories may be pruned; None for any time.
        schedule_sync_seconds: How often a schedule is looked at for the case that the clock was set.
    """

    location: StorageLocation
    credentials: CloudCredentials = field(repr=False)
    restore_only: bool
    pod_volume_timeout_seconds: float
    resource_priorities: tuple[str, ...]
    sync_period_seconds: float = DEFAULT_SYNC_PERIOD_SECONDS
    adopt: str = ""
    gc_period_seconds: float = DEFAULT_GC_PERIOD_SECONDS
    deletions_frozen: str = ""
    maintenance_window: Window | None = None
    schedule_sync_seconds: float = DEFAULT_SCHEDULE_SYNC_SECONDS


def settings_from(config: Config | None, environ: Mapping[str, str], namespace: str) -> Settings:
    """Checks a Config.

    Raises:
        SettingsError: it is missing or invalid; the message names the field.
    """
    name = f"{namespace}/{CONFIG_NAME}"
    if config is None:
        raise SettingsError(
            Reason.CONFIG_MISSING, f"Config {name} is missing: kubectl apply -f a Config named {CONFIG_NAME}"
        )
    if config.backup_storage_provider is None:
        raise SettingsError(Reason.CONFIG_INVALID, f"Config {name}: backupStorageProvider is missing")
    try:
        location = storage_location(config.backup_storage_provider)
        credentials = load_credentials(location.provider, environ)
        timeout = _seconds("podVolumeOperationTimeout", config.pod_volume_operation_timeout)
        sync_period = _seconds("backupSyncPeriod", config.backup_sync_period)
        gc_period = _seconds("gcSyncPeriod", config.gc_sync_period)
        window = parse_window(config.maintenance_window)
        schedule_sync = _seconds("scheduleSyncPeriod", config.schedule_sync_period)
    except LocationInvalidError as error:
        raise SettingsError(Reason.CONFIG_INVALID, f"Config {name}: {error}") from error
    except ValueError as error:
        raise SettingsError(Reason.CONFIG_INVALID, f"Config {name}: {error}") from error
    except StoreError as error:
        raise SettingsError(Reason.CREDENTIALS_REFUSED, str(error)) from error
    return Settings(
        location=location,
        credentials=credentials,
        restore_only=config.restore_only_mode,
        pod_volume_timeout_seconds=timeout,
        resource_priorities=tuple(config.resource_priorities or ()),
        sync_period_seconds=max(sync_period or DEFAULT_SYNC_PERIOD_SECONDS, SHORTEST_SYNC_PERIOD_SECONDS),
        adopt=config.metadata.annotation(ADOPT_ANNOTATION),
        gc_period_seconds=max(gc_period or DEFAULT_GC_PERIOD_SECONDS, SHORTEST_GC_PERIOD_SECONDS),
        deletions_frozen=config.deletions_frozen.strip(),
        maintenance_window=window,
        schedule_sync_seconds=max(schedule_sync, DEFAULT_SCHEDULE_SYNC_SECONDS),
    )


def _seconds(name: str, text: str) -> float:
    """The seconds of a duration field; 0 for an empty one and for the `0s` that 0.9 wrote.

    Raises:
        ValueError: it is no duration; the message names the field.
    """
    try:
        return parse_duration(text or "0s")
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


class ConfigReconciler:
    """Keeps the settings; says in the log when they change.

    Args:
        regions: Finds the regions of Amazon's buckets, which the Config need not name; None where nobody is asked.
    """

    def __init__(
        self, lister: Lister[Config], environ: Mapping[str, str], namespace: str, *, regions: Regions | None = None
    ) -> None:
        self._lister = lister
        self._regions = regions
        self._environ = environ
        self._namespace = namespace
        self._lock = threading.Lock()
        self._of: object = None
        self._settings: Settings | None = None

    def reconcile(self, key: Key) -> Result:
        """Reports what the Config means now."""
        if key.name != CONFIG_NAME:
            log.warning("Config ignored, only the one named default counts", key=str(key))
            return done()
        try:
            settings = self.settings()
        except SettingsError as error:
            log.warning("Config not usable", key=str(key), reason=error.reason.value, message=error.message)
        else:
            location = settings.location
            log.info("Config in force", key=str(key), provider=location.provider, bucket=location.bucket)
        return done()

    def settings(self) -> Settings:
        """The settings in force.

        Raises:
            SettingsError: there are none.
        """
        config = self._lister.get(self._namespace, CONFIG_NAME)
        named = (config.metadata.uid, config.metadata.resource_version) if config is not None else None
        version = (named, credentials_stamp(self._environ))
        with self._lock:
            known = self._settings if version == self._of else None
        if known is not None and not (self._regions and self._regions.is_due(known.location)):
            return known
        settings = with_regions(settings_from(config, self._environ, self._namespace), self._regions)
        with self._lock:
            # What is equal stays the same object, for stores are kept by it.
            if self._settings is None or version != self._of or settings.location != self._settings.location:
                self._settings, self._of = settings, version
            return self._settings


def with_regions(settings: Settings, regions: Regions | None) -> Settings:
    """The settings with the regions of Amazon's buckets; asks S3 where they are not known yet."""
    return dataclasses.replace(settings, location=regions(settings.location)) if regions else settings
