"""Threads that change ConfigMaps at random, straight at the API server, and know every state they made."""

from __future__ import annotations

import random
import threading

from pkg.apis.meta import JsonObject, Object
from pkg.kube.client import Client
from pkg.kube.refs import CONFIG_MAPS
from pkg.kube.stop import StopToken

LABEL, PARITY = "soak", "parity"
OBJECTS = 20
PAUSE_SECONDS = 0.004


class Writer:
    """Owns some names; `written` holds every version of them that ever was, by key."""

    def __init__(self, client: Client, namespace: str, number: int, dice: random.Random) -> None:
        self._client = client
        self._namespace = namespace
        self._number = number
        self._dice = dice
        self._there: set[str] = set()
        self.written: dict[str, set[str]] = {}
        self.writes = 0
        self.error: Exception | None = None

    def start(self, stop: StopToken) -> threading.Thread:
        """Starts; the thread ends with the token."""
        thread = threading.Thread(target=self._run, args=(stop,), name=f"writer {self._number}", daemon=True)
        thread.start()
        return thread

    def _run(self, stop: StopToken) -> None:
        try:
            while not stop.wait(PAUSE_SECONDS * self._dice.random() * 2):
                self._write(f"w{self._number}-{self._dice.randrange(OBJECTS)}")
                self.writes += 1
        except Exception as error:  # the soak looks at it in its own thread
            self.error = error

    def _write(self, name: str) -> None:
        if name not in self._there:
            self._create(name)
        elif self._dice.random() < 0.2:
            self._client.delete(CONFIG_MAPS, self._namespace, name)
            self._there.discard(name)
        else:
            self._note(self._client.patch(CONFIG_MAPS, self._namespace, name, self._change(), Object))

    def _create(self, name: str) -> None:
        obj: JsonObject = {**self._change(), "apiVersion": "v1", "kind": "ConfigMap"}
        metadata = obj["metadata"]
        assert isinstance(metadata, dict)
        obj["metadata"] = {**metadata, "name": name}
        self._note(self._client.create(CONFIG_MAPS, self._namespace, obj, Object))
        self._there.add(name)

    def _change(self) -> JsonObject:
        parity = self._dice.choice(("even", "odd"))
        return {
            "metadata": {"labels": {LABEL: "yes", PARITY: parity}},
            "data": {"value": f"{self._dice.random()}" * self._dice.choice((1, 1, 50))},
        }

    def _note(self, obj: Object) -> None:
        self.written.setdefault(obj.metadata.key, set()).add(obj.metadata.resource_version)
