"""A watch that notes when it saw what, by its own clock.

The times of a status have whole seconds and come from several processes; one watcher that sees both the creation
and the end measures what somebody who waits would see.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict

from pkg.kube.client import Client
from pkg.kube.resources import ResourceRef
from pkg.kube.wire import ByteStream

CHUNK_BYTES = 1 << 16
WATCH_SECONDS = 3600
ENDS = ("Completed", "PartiallyFailed", "FailedValidation", "Failed")


class PhaseWatch:
    """Watches the objects of one kind in a namespace; a context manager."""

    def __init__(self, client: Client, ref: ResourceRef, namespace: str) -> None:
        self._client = client
        self._ref = ref
        self._namespace = namespace
        self._seen: dict[str, dict[str, float]] = defaultdict(dict)
        self._changed = threading.Condition()
        self._stream: ByteStream
        self._thread: threading.Thread

    def __enter__(self) -> PhaseWatch:
        page = self._client.list_page(self._ref, self._namespace)
        self._stream = self._client.watch(
            self._ref, self._namespace, resource_version=page.resource_version, timeout_seconds=WATCH_SECONDS
        )
        self._thread = threading.Thread(target=self._read, name="bench-watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.shutdown()
        self._thread.join(10)

    def seconds_to_end(self, name: str, *, timeout_seconds: float) -> tuple[float, str]:
        """From the first sight of an object to that of its end, and the phase that it ended in.

        Raises:
            TimeoutError: it did not end.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: _end(self._seen[name]), timeout_seconds):
                raise TimeoutError(f"{self._ref.kind} {name} had no end in {timeout_seconds:g} s: {self._seen[name]}")
            phases = self._seen[name]
        phase = _end(phases)
        return phases[phase] - min(phases.values()), phase

    def _read(self) -> None:
        pending = b""
        while chunk := self._stream.read(CHUNK_BYTES):
            now = time.monotonic()
            *lines, pending = (pending + chunk).split(b"\n")
            for line in filter(None, lines):
                self._note(json.loads(line)["object"], now)

    def _note(self, obj: dict[str, dict[str, str]], now: float) -> None:
        if "name" not in obj["metadata"]:
            return  # a bookmark
        phase = (obj.get("status") or {}).get("phase") or "New"
        with self._changed:
            self._seen[obj["metadata"]["name"]].setdefault(phase, now)
            self._changed.notify_all()


def _end(phases: dict[str, float]) -> str:
    return next((phase for phase in ENDS if phase in phases), "")
