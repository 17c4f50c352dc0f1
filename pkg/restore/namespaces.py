"""The namespaces that a restore needs, each made at most once, when its first object comes.

A namespace is made from the backed-up one's labels and annotations. One that is still being deleted is waited for,
with a deadline, because objects created in it would vanish with it; the others go on meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pkg.apis.meta import JsonObject
from pkg.apis.reasons import Reason
from pkg.kube.clock import Clock
from pkg.kube.errors import AlreadyExistsError, ApiStatusError, NotFoundError
from pkg.kube.refs import NAMESPACES
from pkg.restore.actions import labelled, reset_metadata
from pkg.restore.fields import drop_keys, object_at, text_at, texts_at
from pkg.restore.job import RestoreApi

POLL_SECONDS = 2.0
_NAME_LABEL = "kubernetes.io/metadata.name"


@dataclass(slots=True)
class _Waiting:
    since: float
    asked: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether objects may go into a namespace: now, later (it is being deleted), or never because of the problem."""

    problem: str = ""
    waiting: bool = False
    terminating: bool = False


READY = Readiness()


class Namespaces:
    """Makes namespaces on demand and remembers which are there; never blocks."""

    def __init__(
        self,
        api: RestoreApi,
        *,
        original: Callable[[str], JsonObject],
        labels: Mapping[str, str],
        timeout_seconds: float,
        clock: Clock,
    ) -> None:
        self._api = api
        self._original = original
        self._labels = labels
        self._timeout = timeout_seconds
        self._clock = clock
        self._known: dict[str, Readiness] = {}
        self._waiting: dict[str, _Waiting] = {}

    def ensure(self, source: str, target: str) -> Readiness:
        """Makes sure that a namespace is there, or says why objects cannot go into it yet or at all."""
        if target not in self._known:
            answer = self._answer(source, target)
            if answer.waiting:
                return answer
            self._known[target] = answer
        return self._known[target]

    def _answer(self, source: str, target: str) -> Readiness:
        now = self._clock.monotonic()
        waiting = self._waiting.get(target)
        if waiting is not None and now - waiting.asked < POLL_SECONDS:
            return Readiness(waiting=True)
        try:
            if not self._needs_making(target) or self._create(source, target):
                return READY
        except ApiStatusError as error:
            return Readiness(problem=f"namespace {target} cannot be made: {error}")
        waiting = self._waiting.setdefault(target, _Waiting(since=now, asked=now))
        waiting.asked = now
        if now - waiting.since < self._timeout:
            return Readiness(waiting=True)
        text = (
            f"{Reason.NAMESPACE_TERMINATING}: namespace {target} is still being deleted after {self._timeout:.0f} s: "
            "find what holds it (kubectl describe namespace) and restore again"
        )
        return Readiness(problem=text, terminating=True)

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
