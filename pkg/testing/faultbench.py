"""A reflector or informers behind a fault proxy, beside a client that the faults do not touch.

What is written goes straight to the API server; what is read comes through the proxy. Delays are noted and not
waited for, so a test says which delay it expects and is over in milliseconds.
"""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pkg.apis.meta import JsonObject, Object
from pkg.informers.decode import Decoder, ObjectEvent, Undecodable, key_of
from pkg.informers.listing import Selection
from pkg.informers.reflector import Reflector
from pkg.kube.client import Client
from pkg.kube.limiter import Limiter
from pkg.kube.refs import CONFIG_MAPS, NAMESPACES
from pkg.kube.session import Session, kubeconfig_source
from pkg.kube.stop import StopToken
from pkg.kube.transport import KubeTransport
from pkg.testing.access import ClusterAccess
from pkg.testing.faultproxy import FaultProxy
from pkg.testing.faultproxy_faults import Fault, Kind, Switch
from pkg.testing.faultproxy_request import Request, Verb
from pkg.testing.kubeconfig import write_kubeconfig

WAIT_SECONDS = 20.0
PAUSE_SECONDS = 0.01
SYSTEM_NAMESPACE = "kube-system"
LABEL = "fault-test"


class BriskClock:
    """The real time, in which every wait is over in no time; `waits` are the seconds that were asked for."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def monotonic(self) -> float:
        """Seconds that never go backwards."""
        return time.monotonic()

    def now(self) -> datetime.datetime:
        """The wall clock in UTC, aware."""
        return datetime.datetime.now(datetime.UTC)

    def wait(self, stop: StopToken, seconds: float) -> bool:
        """Notes the seconds and pauses for some milliseconds."""
        if stop.cancelled:
            return True
        self.waits.append(seconds)
        return stop.wait(min(seconds, PAUSE_SECONDS))


class RecordingSink:
    """Notes what a reflector says: `replace a b`, `ADDED a`, by names."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.seen: list[str] = []

    def replace(self, items: Sequence[Object | Undecodable]) -> None:
        """Takes a whole list."""
        self._note(" ".join(["replace", *sorted(_name(item) for item in items)]))

    def apply(self, event: ObjectEvent[Object]) -> None:
        """Takes one change."""
        self._note(f"{event.type} {_name(event.object)}")

    def reached(self, version: str) -> None:
        """A bookmark changes nothing here."""

    def _note(self, text: str) -> None:
        with self._changed:
            self.seen.append(text)
            self._changed.notify_all()

    def wait_for(self, *expected: str) -> None:
        """Blocks until exactly this was seen; AssertionError when it is not."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.seen) >= len(expected), WAIT_SECONDS)
            assert self.seen == list(expected)

    def wait_for_last(self, expected: str) -> None:
        """Blocks until this is the last that was seen."""
        with self._changed:
            found = self._changed.wait_for(lambda: self.seen[-1:] == [expected], WAIT_SECONDS)
            assert found, f"{expected} did not come: {self.seen}"


class RunningReflector:
    """A reflector in a thread of its own; a context manager."""

    def __init__(self, client: Client, selection: Selection, *, stream_lists: bool = False) -> None:
        self.clock = BriskClock()
        self.sink = RecordingSink()
        self.stop = StopToken()
        self.reflector = Reflector(
            client.until(self.stop),
            selection,
            Decoder(Object),
            self.sink,
            clock=self.clock,
            random=lambda: 0.0,
            stream_lists=stream_lists,
        )
        self._thread = threading.Thread(target=lambda: self.reflector.run(self.stop), name="reflector", daemon=True)

    def end(self) -> float:
        """Stops it; returns the seconds that it took."""
        began = time.monotonic()
        self.stop.cancel()
        self._thread.join(WAIT_SECONDS)
        if self._thread.is_alive():
            raise AssertionError("the reflector does not stop")
        return time.monotonic() - began

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


class FaultBench:
    """ConfigMaps of one namespace, written directly and read through the proxy.

    Args:
        direct: a client that no fault touches.
        kubeconfig: leads through the proxy.
        namespace: is made here.
    """

    def __init__(self, direct: Client, proxy: FaultProxy, kubeconfig: Path, namespace: str) -> None:
        self.direct = direct
        self.proxy = proxy
        self.namespace = namespace
        self.path = CONFIG_MAPS.path(namespace)
        self.transport = KubeTransport(Session(kubeconfig_source(str(kubeconfig))), limiter=Limiter(clock=BriskClock()))
        self.client = Client(self.transport)
        direct.create_raw(NAMESPACES, "", {"metadata": {"name": namespace}})

    def close(self) -> None:
        """Lifts all faults, closes the connections and deletes the namespace, without waiting for its end."""
        self.proxy.lift_all()
        self.transport.close()
        self.direct.delete(NAMESPACES, "", self.namespace)

    def selection(self, name: str = "") -> Selection:
        """Our ConfigMaps; with a name that one alone, which makes the list a narrow one."""
        fields = f"metadata.name={name}" if name else ""
        return Selection(ref=CONFIG_MAPS, namespace=self.namespace, label_selector=LABEL, field_selector=fields)

    def reflector(self, name: str = "", *, stream_lists: bool = False) -> RunningReflector:
        """A reflector of these ConfigMaps that is not started yet."""
        return RunningReflector(self.client, self.selection(name), stream_lists=stream_lists)

    def fault(self, kind: Kind, *verbs: Verb, **more: object) -> Switch:
        """Switches a fault on for one request or watch of ours, unless `more` says how many."""
        make: Callable[..., Fault] = Fault
        return self.proxy.switch_on(
            make(**{"kind": kind, "verbs": frozenset(verbs), "path": self.path, "times": 1, **more})
        )

    def create(self, name: str) -> str:
        """Creates a ConfigMap; returns its version."""
        obj: JsonObject = {"metadata": {"name": name, "labels": {LABEL: "yes"}}, "data": {"value": "1"}}
        return _version(self.direct.create_raw(CONFIG_MAPS, self.namespace, obj))

    def change(self, name: str, value: str) -> str:
        """Changes a ConfigMap; returns its new version."""
        return _version(self.direct.patch_raw(CONFIG_MAPS, self.namespace, name, {"data": {"value": value}}))

    def delete(self, name: str) -> None:
        """Deletes a ConfigMap."""
        self.direct.delete(CONFIG_MAPS, self.namespace, name)

    def truth(self) -> dict[str, str]:
        """The versions of our ConfigMaps by key, as the server has them."""
        found = self.direct.list(CONFIG_MAPS, self.namespace, Object, label_selector=LABEL)
        return {obj.metadata.key: obj.metadata.resource_version for obj in found}

    def requests(self, *verbs: Verb) -> list[Request]:
        """The requests for our ConfigMaps that came through the proxy."""
        return [request for request in self.proxy.requests if request.path == self.path and request.verb in verbs]

    def wait_for_requests(self, count: int, *verbs: Verb) -> None:
        """Blocks until so many such requests came."""
        deadline = time.monotonic() + WAIT_SECONDS
        while len(self.requests(*verbs)) < count:
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(self.requests(*verbs))} requests {verbs}, expected {count}")
            time.sleep(PAUSE_SECONDS)


class Account:
    """A service account with all rights; its tokens pass the proxy, where a client certificate would end."""

    def __init__(self, access: ClusterAccess, name: str) -> None:
        self._access = access
        self._name = name
        account = f"--serviceaccount={SYSTEM_NAMESPACE}:{name}"
        access.kubectl("create", "serviceaccount", name, f"--namespace={SYSTEM_NAMESPACE}")
        access.kubectl("create", "clusterrolebinding", name, "--clusterrole=cluster-admin", account)

    def token(self) -> str:
        """A new token."""
        namespace = f"--namespace={SYSTEM_NAMESPACE}"
        return self._access.kubectl("create", "token", self._name, namespace, "--duration=1h").strip()


def proxied_kubeconfig(proxy: FaultProxy, directory: Path, token: str) -> Path:
    """A kubeconfig that leads through the proxy; its token is in the file `token` beside it."""
    directory.mkdir(parents=True, exist_ok=True)
    token_file = directory / "token"
    token_file.write_text(token)
    user = {"tokenFile": str(token_file)}
    return write_kubeconfig(directory / "kubeconfig", server_url=proxy.url, ca_file=proxy.ca_file, user=user)


def _version(obj: JsonObject) -> str:
    metadata = obj["metadata"]
    assert isinstance(metadata, dict)
    return str(metadata["resourceVersion"])


def _name(item: Object | Undecodable) -> str:
    return key_of(item).partition("/")[2]
