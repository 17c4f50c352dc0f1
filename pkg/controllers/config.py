"""Config `default` becomes frozen Settings, or a clear sentence why it cannot.

Nothing else reads Config. Settings are computed from the cached object whenever it changed, so a backup never runs
on settings older than what the cache holds.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from pkg.apis.ark import Config
from pkg.apis.duration import parse_duration
from pkg.apis.names import CONFIG_NAME
from pkg.apis.reasons import Reason
from pkg.informers.lister import Lister
from pkg.manager.reconciler import Result, done
from pkg.objectstore.credentials import CloudCredentials, load_credentials
from pkg.objectstore.errors import LocationInvalidError, StoreError
from pkg.objectstore.location import StorageLocation, storage_location
from pkg.workqueue.key import Key

DEFAULT_POD_VOLUME_TIMEOUT_SECONDS = 4 * 3600.0

log = structlog.get_logger()


class SettingsError(Exception):
    """There are no usable settings; `reason` is ConfigMissing or ConfigInvalid."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What Config says, checked."""

    location: StorageLocation
    credentials: CloudCredentials = field(repr=False)
    restore_only: bool
    pod_volume_timeout_seconds: float
    resource_priorities: tuple[str, ...]


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
        timeout = parse_duration(config.pod_volume_operation_timeout or "0s")
    except LocationInvalidError as error:
        raise SettingsError(Reason.CONFIG_INVALID, f"Config {name}: {error}") from error
    except ValueError as error:
        raise SettingsError(Reason.CONFIG_INVALID, f"Config {name}: podVolumeOperationTimeout: {error}") from error
    except StoreError as error:
        raise SettingsError(Reason.CREDENTIALS_REFUSED, str(error)) from error
    return Settings(
        location=location,
        credentials=credentials,
        restore_only=config.restore_only_mode,
        pod_volume_timeout_seconds=timeout or DEFAULT_POD_VOLUME_TIMEOUT_SECONDS,
        resource_priorities=tuple(config.resource_priorities or ()),
    )


class ConfigReconciler:
    """Keeps the settings; says in the log when they change."""

    def __init__(self, lister: Lister[Config], environ: Mapping[str, str], namespace: str) -> None:
        self._lister = lister
        self._environ = environ
        self._namespace = namespace
        self._lock = threading.Lock()
        self._of: tuple[str, str] | None = None
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
        version = (config.metadata.uid, config.metadata.resource_version) if config is not None else None
        with self._lock:
            if self._settings is not None and version == self._of:
                return self._settings
            settings = settings_from(config, self._environ, self._namespace)
            self._settings, self._of = settings, version
            return settings
