"""Removes PodVolumeBackups, PodVolumeRestores and Restores some time after they have ended.

Objects only: nothing in the bucket is touched. While deletions are frozen nothing is removed either, because whoever
froze them wants to look at what there is.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from pkg.apis.meta import Object
from pkg.informers.lister import Lister
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import ConflictError, NotFoundError
from pkg.kube.resources import ResourceRef
from pkg.manager.reconciler import Result, again_in, done
from pkg.workqueue.key import Key

LOOK_SECONDS = 6 * 3600.0

T = TypeVar("T", bound=Object)

log = structlog.get_logger()


class RetentionReconciler(Generic[T]):
    """Removes one object when its time has come.

    Args:
        ends_at: When the object may go, None while it may not; asked again within hours.
        frozen: Why nothing may be removed; empty when it may.
    """

    def __init__(
        self,
        client: Client,
        ref: ResourceRef,
        lister: Lister[T],
        *,
        ends_at: Callable[[T], datetime.datetime | None],
        frozen: Callable[[], str],
        clock: Clock,
    ) -> None:
        self._client = client
        self._ref = ref
        self._lister = lister
        self._ends_at = ends_at
        self._frozen = frozen
        self._clock = clock

    def reconcile(self, key: Key) -> Result:
        """Removes the object, or looks again later."""
        obj = self._lister.get(key.namespace, key.name)
        if obj is None or obj.metadata.deletion_timestamp is not None:
            return done()
        moment = self._ends_at(obj)
        if moment is None or self._frozen():
            return again_in(LOOK_SECONDS)
        left = (moment - self._clock.now()).total_seconds()
        if left > 0:
            return again_in(min(left, LOOK_SECONDS))
        try:
            self._client.delete(self._ref, key.namespace, key.name, uid=obj.metadata.uid)
        except (NotFoundError, ConflictError) as error:
            log.debug("Object was gone", kind=self._ref.kind, key=str(key), error=str(error))
        else:
            log.info("Ended long ago, removed", kind=self._ref.kind, key=str(key))
        return done()
