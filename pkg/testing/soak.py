"""Informers under random faults for minutes: in the end every handler must know exactly what the server knows.

Writers change objects straight at the API server; informers of several kinds of selection read them through a fault
proxy that fails at random; handlers come and go; commands run in a pod over the same connections. Each handler is a
`Witness`: nothing lost, nothing invented, no object that goes back in time. Delays run a hundred times as fast as
they would, so that a minute sees as many sessions as an hour.
"""

from __future__ import annotations

import datetime
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pkg.apis.meta import Object
from pkg.informers.informer import Registration, SharedInformer
from pkg.informers.listing import Selection
from pkg.kube.client import Client
from pkg.kube.limiter import Limiter
from pkg.kube.refs import CONFIG_MAPS, NAMESPACES
from pkg.kube.session import Session, kubeconfig_source
from pkg.kube.stop import StopToken
from pkg.kube.transport import KubeTransport
from pkg.testing.faultproxy import FaultProxy
from pkg.testing.soak_chaos import Chaos
from pkg.testing.soak_exec import Executor
from pkg.testing.soak_writers import LABEL, PARITY, Writer
from pkg.testing.witness import Witness

SPEED = 100.0
WRITERS, EXECUTORS = 3, 2
SETTLE_SECONDS = 60.0
CHANGE_OF_HANDLERS_SECONDS = 0.5
SLOW_SECONDS = 0.002


class HastyClock:
    """The real time, some times as fast."""

    def monotonic(self) -> float:
        """Seconds that never go backwards."""
        return time.monotonic() * SPEED

    def now(self) -> datetime.datetime:
        """The wall clock in UTC, aware."""
        return datetime.datetime.now(datetime.UTC)

    def wait(self, stop: StopToken, seconds: float) -> bool:
        """Blocks for that long on this clock or until the token is cancelled; returns whether it is cancelled."""
        return stop.wait(max(0.0, seconds) / SPEED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a soak runs.

    Attributes:
        direct: A client that no fault touches.
        kubeconfig: Leads through the proxy.
        namespace: Is made and deleted by the soak.
        pod: (namespace, name) of a pod with a container `app`, for commands; None for none.
        renew: As of `Chaos`.
    """

    direct: Client
    proxy: FaultProxy
    kubeconfig: Path
    namespace: str
    pod: tuple[str, str] | None = None
    renew: Callable[[], str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a soak did; that it was all right is known by its return."""

    seed: int
    writes: int
    told: int
    lists: int
    watches: int
    handlers: int
    executed: int
    faults: Counter[str]
    hits: Counter[str]

    def __str__(self) -> str:
        hits = ", ".join(f"{name} {self.hits.get(name, count)}" for name, count in sorted(self.faults.items()))
        return (
            f"seed {self.seed}: {self.writes} writes, {self.lists} lists, {self.watches} watches, {self.told} events "
            f"told to {self.handlers} handlers, {self.executed} commands executed\nfaults by hits: {hits}"
        )


@dataclass
class _Watched:
    """One informer with its handlers."""

    informer: SharedInformer[Object]
    witnesses: list[Witness] = field(default_factory=list)
    removable: list[tuple[Witness, Registration[Object]]] = field(default_factory=list)

    def join(self, name: str, *, pause_seconds: float = 0.0, stays: bool = True) -> None:
        """Adds a handler."""
        witness = Witness(f"{self.informer.name}: {name}", pause_seconds=pause_seconds)
        registration = self.informer.add_handler(witness)
        if stays:
            self.witnesses.append(witness)
        else:
            self.removable.append((witness, registration))


class Soak:
    """One run; `run` raises AssertionError with the seed in it when something is wrong."""

    def __init__(self, place: Place, seed: int) -> None:
        self._place = place
        self._seed = seed
        self._stop = StopToken()
        self._transport = KubeTransport(
            Session(kubeconfig_source(str(place.kubeconfig))), limiter=Limiter(clock=HastyClock())
        )
        self._watched = [_Watched(informer) for informer in self._informers()]
        self._dice = self._new_dice("handlers")
        place.direct.create_raw(NAMESPACES, "", {"metadata": {"name": place.namespace}})
        self._writers = [
            Writer(place.direct, place.namespace, number, self._new_dice(f"writer {number}"))
            for number in range(WRITERS)
        ]
        self._executors = [Executor(self._transport, *place.pod) for _ in range(EXECUTORS)] if place.pod else []
        self._chaos = Chaos(place.proxy, CONFIG_MAPS.plural, self._new_dice("chaos"), place.renew)

    def run(self, seconds: float) -> Report:
        """Soaks, and then waits until every handler knows the truth."""
        try:
            self._begin()
            self._soak(seconds)
            self._settle()
        except AssertionError as error:
            raise AssertionError(f"seed {self._seed}: {error}") from error
        finally:
            self._end()
        return self._report()

    def _new_dice(self, purpose: str) -> random.Random:
        return random.Random(f"{self._seed} {purpose}")

    def _informers(self) -> list[SharedInformer[Object]]:
        ours, everywhere = self._place.namespace, ""
        selections = [
            (Selection(ref=CONFIG_MAPS, namespace=ours, label_selector=LABEL), False),
            (Selection(ref=CONFIG_MAPS, namespace=ours, label_selector=LABEL), True),
            (Selection(ref=CONFIG_MAPS, namespace=ours, label_selector=f"{LABEL},{PARITY}=even"), True),
            (Selection(ref=CONFIG_MAPS, namespace=ours, field_selector="metadata.name=w0-1"), False),
            (Selection(ref=CONFIG_MAPS, namespace=everywhere, label_selector=LABEL, metadata_only=True), True),
        ]
        client, clock = Client(self._transport), HastyClock()
        return [
            SharedInformer(client, selection, Object, clock=clock, stream_lists=streamed)
            for selection, streamed in selections
        ]

    def _begin(self) -> None:
        for watched in self._watched:
            watched.join("from the start")
            watched.join("slow", pause_seconds=SLOW_SECONDS)
            watched.informer.start(self._stop)

    def _soak(self, seconds: float) -> None:
        until = StopToken()
        threads = [writer.start(until) for writer in self._writers]
        threads += [executor.start(until) for executor in self._executors]
        threads += self._chaos.start(until)
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at and not self._failures():
            until.wait(CHANGE_OF_HANDLERS_SECONDS)
            self._change_handlers()
        until.cancel()
        for thread in threads:
            thread.join(SETTLE_SECONDS)
        stuck = [thread.name for thread in threads if thread.is_alive()]
        if stuck or self._failures():
            raise AssertionError(f"threads that do not end: {stuck}, failures: {self._failures()}")

    def _failures(self) -> list[Exception]:
        errors = [writer.error for writer in self._writers] + [executor.error for executor in self._executors]
        return [error for error in errors if error is not None]

    def _change_handlers(self) -> None:
        """One joins somewhere, for good or for a while; who was there for a while goes."""
        watched = self._dice.choice(self._watched)
        for witness, registration in watched.removable:
            if not registration.remove(SETTLE_SECONDS):
                raise AssertionError(f"{witness.name} does not end")
            if witness.defects:
                raise AssertionError(f"{witness.name}: {witness.defects}")
        watched.removable.clear()
        watched.join(f"late {self._dice.random():.3f}", stays=self._dice.random() < 0.5)

    def _settle(self) -> None:
        self._place.proxy.lift_all()
        written: dict[str, set[str]] = {}
        for writer in self._writers:
            written |= writer.written
        for watched in self._watched:
            truth = self._truth(watched.informer.selection)
            for witness in watched.witnesses:
                witness.wait_for(truth, SETTLE_SECONDS)
                invented = {key: set(told) - written.get(key, set()) for key, told in witness.told.items()}
                if any(invented.values()):
                    raise AssertionError(f"{witness.name}: told of states that never were: {invented}")
            if {obj.metadata.key: obj.metadata.resource_version for obj in watched.informer.lister.list()} != truth:
                raise AssertionError(f"{watched.informer.name}: the lister shows something else than the server")

    def _truth(self, selection: Selection) -> dict[str, str]:
        found = self._place.direct.list(
            selection.ref,
            selection.namespace,
            Object,
            label_selector=selection.label_selector,
            field_selector=selection.field_selector,
        )
        return {obj.metadata.key: obj.metadata.resource_version for obj in found}

    def _end(self) -> None:
        self._stop.cancel()
        stuck = [watched.informer.name for watched in self._watched if not watched.informer.stop(SETTLE_SECONDS)]
        self._transport.close()
        self._place.direct.delete(NAMESPACES, "", self._place.namespace)
        if stuck:
            raise AssertionError(f"seed {self._seed}: informers that do not stop: {stuck}")

    def _report(self) -> Report:
        witnesses = [witness for watched in self._watched for witness in watched.witnesses]
        return Report(
            seed=self._seed,
            writes=sum(writer.writes for writer in self._writers),
            told=sum(len(told) for witness in witnesses for told in witness.told.values()),
            lists=sum(watched.informer.reflector.lists for watched in self._watched),
            watches=sum(watched.informer.reflector.watches for watched in self._watched),
            handlers=len(witnesses),
            executed=sum(executor.executed for executor in self._executors),
            faults=self._chaos.faults,
            hits=self._chaos.hits,
        )
