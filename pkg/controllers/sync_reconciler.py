"""When the bucket is looked through: at the start, when the Config changes, and once per period (operators.md 18).

The period is the Config's `backupSyncPeriod`, an hour by default; one minute while this installation only restores,
because then somebody waits for another cluster's newest backup.
"""

from __future__ import annotations

import structlog

from pkg.apis.ark import Backup
from pkg.apis.names import CONFIG_NAME
from pkg.controllers.adoption import mark_adopted
from pkg.controllers.config import SHORTEST_SYNC_PERIOD_SECONDS, Settings, SettingsError
from pkg.controllers.foreign import Adoption, Tenure
from pkg.controllers.stores import OpenStores, StoreFailure, Stores
from pkg.controllers.sync import BackupSync, SyncReport, SyncTarget
from pkg.controllers.sync_metrics import SyncMetrics
from pkg.informers.lister import Lister
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import KubeError
from pkg.kube.stop import StopToken
from pkg.manager.operations import Crashed, Operations, Running, Succeeded
from pkg.manager.reconciler import Result, again_in, done
from pkg.objectstore.errors import StoreError
from pkg.workqueue.key import Key

RETRY_SECONDS = 60.0

log = structlog.get_logger()


class SyncReconciler:
    """Starts passes and takes note of how they ended; its key is the Config's."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        lister: Lister[Backup],
        *,
        stores: Stores,
        sync: BackupSync,
        operations: Operations[SyncReport | str],
        metrics: SyncMetrics,
        clock: Clock,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._lister = lister
        self._stores = stores
        self._sync = sync
        self._operations = operations
        self._metrics = metrics
        self._clock = clock
        self._next = 0.0  # of the clock's monotonic seconds
        self._seen: Settings | None = None

    def reconcile(self, key: Key) -> Result:
        """Starts a pass when one is due; takes note of one that ended."""
        if key.name != CONFIG_NAME:
            return done()
        match self._operations.observe(key):
            case Running():
                return done()
            case Succeeded(result=SyncReport() as report):
                return self._note(key, report)
            case Succeeded(result=message):
                return self._failed(key, str(message))
            case Crashed(error=error):
                return self._failed(key, repr(error))
            case None:
                return self._start(key)

    def _start(self, key: Key) -> Result:
        try:
            settings = self._stores.configured()
        except SettingsError:
            return done()  # its change brings the key back
        left = self._next - self._clock.monotonic()
        if settings is self._seen and left > 0:
            return again_in(left)
        self._seen = settings
        self._operations.start(key, self._pass)
        return done()

    def _note(self, key: Key, report: SyncReport) -> Result:
        self._metrics.passed(report)
        log.info(
            "Backups synced",
            listed=report.listed,
            imported=report.imported,
            removed=report.removed,
            missing=report.missing,
            damaged=report.damaged,
        )
        return self._again(key, RETRY_SECONDS if report.interrupted else self._period())

    def _failed(self, key: Key, message: str) -> Result:
        self._metrics.failed()
        log.warning("Backups not synced", message=message)
        return self._again(key, RETRY_SECONDS)

    def _again(self, key: Key, seconds: float) -> Result:
        self._operations.forget(key)
        self._next = self._clock.monotonic() + seconds
        return again_in(seconds)

    def _period(self) -> float:
        try:
            settings = self._stores.settings()
        except SettingsError:
            return RETRY_SECONDS
        return SHORTEST_SYNC_PERIOD_SECONDS if settings.restore_only else settings.sync_period_seconds

    def _pass(self, stop: StopToken) -> SyncReport | str:
        try:
            stores = self._stores.checked()
            adoption = self._adoption(stores)
            known = self._lister.list(self._namespace)
            target = SyncTarget(store=stores.backups, known=known, adoption=adoption)
            report = self._sync.run(target, stop)
            if not stop.cancelled:
                now = self._clock.now()
                mark_adopted(self._client, known, adoption, cluster_id=self._stores.cluster_id, now=now)
        except (StoreFailure, SettingsError) as error:
            return f"{error.reason.value}: {error.message}"
        except (StoreError, KubeError) as error:
            return str(error)
        return report

    def _adoption(self, stores: OpenStores) -> Adoption:
        """Whose backups are ours now; nobody's but our own before the place is.

        Raises:
            StoreFailure: the place was to be adopted, and the store does not allow it.
        """
        adoption = Adoption(text=stores.settings.adopt)
        if not adoption.clusters or stores.settings.restore_only:
            return Adoption()
        standing = self._stores.standing()
        if standing is not None and standing.tenure is Tenure.ADOPTABLE:
            self._stores.owned()
            standing = self._stores.standing()
        return adoption if standing is not None and standing.tenure is Tenure.OURS else Adoption()
