"""Whether the storage location can be used, asked when Config changes and again while the answer is no.

The server is not Ready while it cannot write where it should: a missing bucket, refused credentials, a prefix that
another cluster took over (operators.md 4), or a store that ignores conditional puts, on which every claim rests. A
prefix that was another cluster's before this installation ever wrote there is no trouble: the server is Ready to
restore from it. Nothing is asked while all is well, so an idle server sends no requests.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import structlog

from pkg.apis.names import CONFIG_NAME
from pkg.apis.reasons import Reason
from pkg.controllers.config import Settings, SettingsError
from pkg.controllers.foreign import Tenure
from pkg.controllers.stores import RESTORE_ONLY_MODE, StoreFailure, Stores, store_reason
from pkg.manager.operations import Crashed, Operations, Running, Succeeded
from pkg.manager.reconciler import Result, again_in, done
from pkg.objectstore.errors import StoreError
from pkg.objectstore.store import supports_conditional_put
from pkg.workqueue.key import Key

RETRY_SECONDS = 5.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationFinding:
    """What a look at the location found; an empty message means that it can be used.

    Attributes:
        restore_only: It can be restored from, and the message says why it is not written to.
    """

    reason: str = ""
    message: str = ""
    restore_only: bool = False


class LocationReconciler:
    """Looks at the location of Config `default`; `trouble` is a readiness check."""

    def __init__(self, stores: Stores, operations: Operations[LocationFinding]) -> None:
        self._stores = stores
        self._operations = operations
        self._lock = threading.Lock()
        self._trouble: str | None = None  # a standby never asks, and is ready to take over
        self._looked_at: Settings | None = None

    def trouble(self) -> str | None:
        """Why the location cannot be used; None when it can."""
        with self._lock:
            return self._trouble

    def reconcile(self, key: Key) -> Result:
        """Starts a look, or takes note of what one found."""
        if key.name != CONFIG_NAME:
            return done()
        match self._operations.observe(key):
            case Running():
                return done()
            case Succeeded(result=finding):
                return self._note(key, finding)
            case Crashed(error=error):
                return self._note(key, LocationFinding(reason=Reason.INTERNAL.value, message=repr(error)))
            case None:
                return self._look(key)

    def _look(self, key: Key) -> Result:
        try:
            settings = self._stores.configured()
        except SettingsError as error:
            self._set(error.message)
            return done()
        standing = self._stores.standing()
        contested = standing is not None and standing.tenure is Tenure.CONTESTED
        if settings is self._looked_at and self.trouble() is None and not contested:
            return done()
        self._looked_at = settings
        self._operations.start(key, lambda stop: self._examine())
        return done()

    def _note(self, key: Key, finding: LocationFinding) -> Result:
        self._operations.forget(key)
        if finding.restore_only:
            self._set(None)
            log.warning("Only restoring from the storage location", reason=finding.reason, message=finding.message)
            return done()
        self._set(f"{finding.reason}: {finding.message}" if finding.message else None)
        if finding.message:
            log.warning("Storage location not usable", reason=finding.reason, message=finding.message)
            return again_in(RETRY_SECONDS)
        log.info("Storage location usable", key=str(key))
        return done()

    def _set(self, trouble: str | None) -> None:
        with self._lock:
            self._trouble = trouble

    def _examine(self) -> LocationFinding:
        try:
            if self._stores.configured().restore_only:
                self._stores.checked()
                return LocationFinding(reason=Reason.RESTORE_ONLY.value, message=RESTORE_ONLY_MODE, restore_only=True)
            stores = self._stores.owned()
            if supports_conditional_put(stores.backups):
                return LocationFinding()
        except (StoreFailure, SettingsError) as error:
            only = error.reason is Reason.RESTORE_ONLY
            return LocationFinding(reason=error.reason.value, message=error.message, restore_only=only)
        except StoreError as error:
            return LocationFinding(reason=store_reason(error).value, message=str(error))
        return LocationFinding(
            reason=Reason.CONFIG_INVALID.value,
            message="the object store ignores conditional puts, so two servers could write one backup",
        )
