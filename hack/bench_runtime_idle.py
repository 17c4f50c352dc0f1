"""What informers do when nothing happens: stop at once, notice a dead peer, and leave a failing server alone."""

from __future__ import annotations

import functools
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hack.bench_figures import Row, Samples, limit_row
from hack.bench_runtime_runs import OURS, Runs, both, environment, measured, replay
from pkg.testing.assets import binary
from pkg.testing.netns import Machine
from pkg.testing.processes import HarnessError, Process, wait_until

SUITE = "runtime"
INFORMERS = 12
ERROR_SECONDS = 180.0
SETTLED_SECONDS = 120.0
DEAD_PEER_SECONDS = 25.0
PORT = 8080
CUT, KEPT = "10.99.1", "10.99.2"  # the two cables; addresses exist in the bench's own namespaces only
NOTHING = Samples(values=(), references=())


def stop_row() -> Row:
    """Ends informers whose watches are all quiet."""

    def measure() -> Runs:
        with replay("*=10") as server:
            return both(["stop", "--count", str(INFORMERS), "--server", server])

    runs = measured("stop", measure, Runs())
    samples = runs.samples(lambda run: run.number("stop_seconds") * 1000)
    return limit_row(SUITE, f"stop of {INFORMERS} quiet watches", samples, limit=100, unit="ms", beside="client-go")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """When a server was asked, in seconds from the first time."""

    times: Sequence[float]

    @property
    def worst_second(self) -> float:
        """The most in any window of a second."""
        return max(sum(start <= at < start + 1 for at in self.times) for start in self.times)

    @property
    def settled_per_second(self) -> float:
        """The average once the backoff has grown."""
        late = [at for at in self.times if SETTLED_SECONDS <= at < ERROR_SECONDS]
        return len(late) / (ERROR_SECONDS - SETTLED_SECONDS)


@functools.cache
def requests_to_failing_servers() -> tuple[Requests, ...]:
    """Ours and client-go's, at the same time, each at a server that only fails; nothing where it went wrong."""

    def measure() -> tuple[Requests, ...]:
        with replay("--errors") as one, replay("--errors") as other, tempfile.TemporaryDirectory() as logs:
            arguments = ["errors", "--count", str(INFORMERS), "--server"]
            ours, theirs = [*OURS, *arguments, one], [str(binary("bench-client-go")), *arguments, other]
            log = Path(logs) / "log"
            with (
                Process("ours", ours, log=log, environment=environment()) as first,
                Process("client-go", theirs, log=log, environment=environment()) as second,
            ):
                time.sleep(ERROR_SECONDS + 5)
                if not first.is_running or not second.is_running:
                    raise HarnessError(f"it ended\n{first.tail()}")
                return requests_to(one), requests_to(other)

    return measured("requests to a failing server", measure, ())


def requests_to(server: str) -> Requests:
    """What a server counted."""
    with urllib.request.urlopen(f"{server}/stats", timeout=10) as answer:
        times: list[float] = json.load(answer)
    if not times:
        raise HarnessError("no request came")
    return Requests(times=[at - times[0] for at in times])


def _of_failing(name: str, limit: float, figure: str) -> Row:
    found = requests_to_failing_servers()
    numbers = [float(getattr(one, figure)) for one in found]
    samples = Samples(values=numbers[:1], references=numbers[1:])
    return limit_row(SUITE, name, samples, limit=limit, unit="/s", beside="client-go")


def worst_second_row() -> Row:
    """How hard a failing API server is hit."""
    return _of_failing("requests in the worst second, only errors", 5.0, "worst_second")


def settled_row() -> Row:
    """How often it is asked once it has failed for long."""
    return _of_failing("requests after 2 minutes of errors", 0.5, "settled_per_second")


def dead_peer_row() -> Row:
    """From the moment when a cable is cut to the end of the watch; a quiet watch on another one stays open."""
    values: list[float] = measured("dead peer", lambda: [seconds_to_notice()], [])
    samples = Samples(values=values, references=())
    return limit_row(SUITE, "dead peer noticed", samples, limit=DEAD_PEER_SECONDS)


@contextmanager
def cabled(directory: Path) -> Iterator[tuple[Machine, Machine]]:
    """A server's and a client's machine with two cables between them."""
    server, client = Machine("server", directory), Machine("client", directory)
    try:
        server.start()
        client.start()
        for number, network in enumerate((CUT, KEPT)):
            server.connect(client, interface=f"s{number}", other_interface=f"c{number}")
            for machine, interface, host in ((server, f"s{number}", 1), (client, f"c{number}", 2)):
                machine.run("ip", "address", "add", f"{network}.{host}/24", "dev", interface)
                machine.run("ip", "link", "set", interface, "up")
        yield server, client
    finally:
        client.stop()
        server.stop()


def seconds_to_notice() -> float:
    """Cuts one of two watches; HarnessError when the other one ends too."""
    if os.geteuid() != 0:
        raise HarnessError("network namespaces need root")
    with tempfile.TemporaryDirectory(prefix="ark-bench-") as name, cabled(Path(name)) as (server, client):
        directory = Path(name)
        quiet = _python(server, directory, "server", "pkg.testing.quiet_server", "0.0.0.0", str(PORT))
        with quiet:
            _await(quiet, "listening", 20)
            with _probe(client, directory, CUT) as cut, _probe(client, directory, KEPT) as kept:
                for probe in (cut, kept):
                    _await(probe, "watching", 20)
                server.run("ip", "link", "set", "s0", "down")
                began = time.monotonic()
                _await(cut, "ended", DEAD_PEER_SECONDS * 2)
                seconds = time.monotonic() - began
                if not quiet.is_running:
                    raise HarnessError(f"the server ended\n{quiet.tail()}")
                if not kept.is_running or _says(kept, "ended"):
                    raise HarnessError(f"a quiet healthy watch ended\n{kept.tail()}")
                return seconds


def _probe(client: Machine, directory: Path, network: str) -> Process:
    path = directory / f"{network}.json"
    context = {"name": "bench", "context": {"cluster": "bench"}}
    cluster = {"name": "bench", "cluster": {"server": f"http://{network}.1:{PORT}"}}
    path.write_text(json.dumps({"current-context": "bench", "contexts": [context], "clusters": [cluster]}))
    return _python(client, directory, f"probe-{network}", "pkg.testing.watch_probe", str(path))


def _python(machine: Machine, directory: Path, name: str, *arguments: str) -> Process:
    return Process(
        name,
        [sys.executable, "-m", *arguments],
        log=directory / f"{name}.log",
        prefix=machine.network_prefix,
        environment={**environment(), "PYTHONUNBUFFERED": "1"},
    )


def _await(process: Process, word: str, seconds: float) -> None:
    wait_until(lambda: _says(process, word), timeout_seconds=seconds, what=f"{process.name}: {word}", watched=())


def _says(process: Process, word: str) -> bool:
    lines = process.log.read_text().splitlines() if process.log.exists() else []
    return Counter(line.split(" ", 1)[0] for line in lines)[word] > 0
