"""The namespaces that a restore needs, each made at most once, when its first object comes.

A namespace is made from the backed-up one's labels and annotations. One that is still being deleted is waited for,
with a deadline, because objects created in it would vanish with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pkg.apis.meta import JsonObject
from pkg.kube.clock import Clock
from pkg.kube.errors import AlreadyExistsError, ApiStatusError, NotFoundError
from pkg.kube.refs import NAMESPACES
from pkg.kube.stop import StopToken
from pkg.restore.actions import labelled, reset_metadata
from pkg.restore.errors import RestoreInterruptedError
from pkg.restore.fields import drop_keys, object_at, text_at, texts_at
from pkg.restore.job import RestoreApi

POLL_SECONDS = 2.0
_NAME_LABEL = "kubernetes.io/metadata.name"


class Namespaces:
    """Makes namespaces on demand and remembers which are there."""

    def __init__(
        self,
        api: RestoreApi,
        *,
        original: Callable[[str], JsonObject],
        labels: Mapping[str, str],
        timeout_seconds: float,
        clock: Clock,
        stop: StopToken,
    ) -> None:
        self._api = api
        self._original = original
        self._labels = labels
        self._timeout = timeout_seconds
        self._clock = clock
        self._stop = stop
        self._known: dict[str, str] = {}

    def ensure(self, source: str, target: str) -> tuple[str, bool]:
        """Makes sure that a namespace is there.

        Returns:
            Why it cannot be used, empty when it can, and whether this was the first question for it.
        """
        first = target not in self._known
        if first:
            self._known[target] = self._made(source, target)
        return self._known[target], first

    def _made(self, source: str, target: str) -> str:
        deadline = self._clock.monotonic() + self._timeout
        while True:
            try:
                if not self._needs_making(target) or self._create(source, target):
                    return ""
            except ApiStatusError as error:
                return f"namespace {target} cannot be made: {error}"
            if self._clock.monotonic() >= deadline:
                return (
                    f"namespace {target} is still being deleted after {self._timeout:.0f} s: "
                    "find what holds it (kubectl describe namespace) and restore again"
                )
            if self._clock.wait(self._stop, POLL_SECONDS):
                raise RestoreInterruptedError(self._stop.reason)

    def _needs_making(self, target: str) -> bool:
        """Whether it must be made or waited for; False when it is there to be used."""
        try:
            live = self._api.get_raw(NAMESPACES, "", target)
        except NotFoundError:
            return True
        return bool(text_at(live, "metadata", "deletionTimestamp"))

    def _create(self, source: str, target: str) -> bool:
        """Tries to create it; False while the old one is still there."""
        try:
            self._api.create_raw(NAMESPACES, "", namespace_object(self._original(source), target, self._labels))
        except AlreadyExistsError:
            return False
        return True


def namespace_object(original: JsonObject, target: str, labels: Mapping[str, str]) -> JsonObject:
    """The namespace to create; the original is empty when the backup does not hold it."""
    kept = reset_metadata(original)
    drop_keys(kept, ("metadata", "labels"), [_NAME_LABEL])
    metadata: JsonObject = {**object_at(kept, "metadata"), "name": target}
    annotations = texts_at(kept, "metadata", "annotations")
    if annotations:
        metadata["annotations"] = {**annotations}
    return labelled({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}, namespace="", labels=labels)
