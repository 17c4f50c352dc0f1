"""What a whole process of informers sends while the API server answers nothing but errors."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkg.apis.meta import Object
from pkg.informers.factory import InformerFactory
from pkg.kube import refs
from pkg.kube.client import Client
from pkg.kube.limiter import Limiter
from pkg.kube.stop import StopToken
from pkg.kube.transport import KubeTransport
from pkg.testing.fakeclock import FakeClock
from pkg.testing.rawserver import Exchange, RawServer
from pkg.testing.rawtransport import transport_to

INFORMERS = 12
WAIT_SECONDS = 30.0
WHOLE_LIST = json.dumps(
    {
        "type": "BOOKMARK",
        "object": {"metadata": {"resourceVersion": "10", "annotations": {"k8s.io/initial-events-end": "true"}}},
    }
)


class IllServer:
    """Notes when requests come, by the fake clock; healthy until `fall_ill`."""

    def __init__(self, clock: FakeClock, status: int) -> None:
        self._clock = clock
        self._status = status
        self._ill = StopToken()
        self.came: list[float] = []

    def fall_ill(self) -> None:
        self._ill.cancel("ill")

    def answer(self, exchange: Exchange) -> None:
        self.came.append(self._clock.monotonic())
        if self._ill.cancelled:
            answer_ill(exchange, self._status)
            return
        exchange.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + WHOLE_LIST.encode() + b"\n")
        self._ill.wait(WAIT_SECONDS)
        exchange.connection.close()


def answer_ill(exchange: Exchange, status: int) -> None:
    if status:
        exchange.answer(status, json.dumps({"kind": "Status", "code": status, "message": "ill"}).encode())
    else:
        exchange.reset()


class Bench:
    """Twelve informers over a real transport, with time as the test says."""

    def __init__(self, directory: Path, status: int) -> None:
        random.seed(4)
        self.clock = FakeClock()
        self.stop = StopToken()
        self.ill = IllServer(self.clock, status)
        self.server = RawServer(self.ill.answer)
        given = transport_to(self.server.url, directory)
        self.transport = KubeTransport(given.session, limiter=Limiter(clock=self.clock))
        self.factory = InformerFactory(Client(self.transport), clock=self.clock)
        for number in range(INFORMERS):
            self.factory.informer(refs.PODS, Object, namespace=f"ns-{number}")

    def start(self) -> None:
        self.factory.start(self.stop)

    def run_for(self, seconds: float) -> None:
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            self.clock.wait_for_waiters(INFORMERS)
            self.clock.advance_to_next()

    def close(self) -> None:
        self.stop.cancel()
        assert self.factory.shutdown(WAIT_SECONDS)
        self.transport.close()
        self.server.__exit__(None, None, None)


@pytest.fixture(params=[503, 500, 429, 403, 404, 0], ids=lambda status: str(status or "reset"))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, request.param)
    yield made
    made.close()


def busiest_second(times: list[float]) -> int:
    return max(sum(start <= at < start + 1.0 for at in times) for start in times)


def test_a_dozen_informers_that_start_before_an_ill_server_spare_it(bench: Bench) -> None:
    bench.ill.fall_ill()
    bench.start()
    bench.run_for(720)
    assert busiest_second(bench.ill.came) <= 5
    assert sum(at > 120 for at in bench.ill.came) / 600 < 0.5
    assert len(bench.ill.came) > INFORMERS


def test_a_dozen_informers_whose_server_falls_ill_spare_it_from_the_first_second(bench: Bench) -> None:
    bench.start()
    assert bench.factory.wait_for_sync(bench.stop, WAIT_SECONDS)
    bench.ill.came.clear()
    bench.ill.fall_ill()
    bench.run_for(720)
    assert busiest_second(bench.ill.came) <= 5
    assert sum(at > 120 for at in bench.ill.came) / 600 < 0.5
