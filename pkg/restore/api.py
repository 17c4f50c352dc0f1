"""The Kubernetes API as a restore calls it: patient with an API that is ill, quick with one that says no.

A server that does not answer ends this attempt of the restore after the last try (another attempt goes on later).
A 5xx may be one object's own (a webhook that is down), so it concerns that object only, and once one was tried in
vain the next ones are not tried again and again until a call succeeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pkg.apis.meta import JsonObject
from pkg.kube.backoff import retry_transient
from pkg.kube.clock import Clock
from pkg.kube.discovery import Discovery
from pkg.kube.errors import KubeError, ServerError, ThrottledError, TransportError
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken
from pkg.restore.errors import ApiUnavailableError, RestoreInterruptedError
from pkg.restore.job import RestoreApi

R = TypeVar("R")
_ATTEMPTS = 7


def discovered(discover: Callable[[], Discovery], *, stop: StopToken, clock: Clock) -> Discovery:
    """What the cluster serves.

    Raises:
        ApiUnavailableError: it does not say.
    """
    try:
        return retry_transient(discover, stop=stop, clock=clock)
    except KubeError as error:
        raise ApiUnavailableError(f"the cluster does not say what it serves: {error}") from error


class PatientApi:
    """A RestoreApi that tries again where that can help; every call is idempotent for a restore."""

    def __init__(self, api: RestoreApi, *, stop: StopToken, clock: Clock) -> None:
        self._api = api
        self._stop = stop
        self._clock = clock
        self._attempts = _ATTEMPTS

    def get_raw(self, ref: ResourceRef, namespace: str, name: str) -> JsonObject:
        """Reads an object."""
        return self._call(lambda: self._api.get_raw(ref, namespace, name))

    def list(self, ref: ResourceRef, namespace: str, struct: type[R], *, label_selector: str = "") -> list[R]:
        """Reads all objects of a namespace."""
        return self._call(lambda: self._api.list(ref, namespace, struct, label_selector=label_selector))

    def create_raw(self, ref: ResourceRef, namespace: str, obj: JsonObject) -> JsonObject:
        """Creates an object."""
        return self._call(lambda: self._api.create_raw(ref, namespace, obj))

    def patch_raw(self, ref: ResourceRef, namespace: str, name: str, patch: JsonObject) -> JsonObject:
        """Merges a patch into an object."""
        return self._call(lambda: self._api.patch_raw(ref, namespace, name, patch))

    def _call(self, fn: Callable[[], R]) -> R:
        if self._stop.cancelled:
            raise RestoreInterruptedError(self._stop.reason)
        try:
            answer = retry_transient(fn, stop=self._stop, attempts=self._attempts, clock=self._clock)
        except (TransportError, ThrottledError) as error:
            raise ApiUnavailableError(f"the Kubernetes API does not answer: {error}") from error
        except ServerError:
            self._attempts = 2
            raise
        self._attempts = _ATTEMPTS
        return answer
