"""Where the engines are measured: a control plane, MinIO, Ark, and ten namespaces full of ConfigMaps."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from isal import isal_zlib

from hack.bench_stage import stage
from hack.bench_watch import PhaseWatch
from pkg.apis.meta import Json, JsonObject
from pkg.kube.client import Client
from pkg.kube.refs import BACKUPS, CONFIG_MAPS, NAMESPACES, RESTORES
from pkg.kube.resources import ResourceRef
from pkg.testing.installation import NAMESPACE, Installation
from pkg.testing.processes import HarnessError, Process

NAMES = tuple(f"crowd-{number}" for number in range(10))
OBJECT_BYTES = 1024
CREATORS = 8
PAGE_OBJECTS = 500
END_SECONDS = 600.0
RESET_PEAK = "5"
GZIP_WINDOW_BITS = 16 + 15


@dataclass(slots=True, kw_only=True)
class EnginesStage:
    """An installation, and what was put into its cluster."""

    installation: Installation
    client: Client
    backups: PhaseWatch
    restores: PhaseWatch
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def fill(self, first: int, last: int) -> None:
        """Creates ConfigMaps with these numbers in every namespace."""
        self.post([(name, number) for name in NAMES for number in range(first, last)])

    def post(self, wanted: Sequence[tuple[str, int]]) -> None:
        """Creates ConfigMaps by plain POSTs of 8 threads."""

        def create(index: int) -> object:
            namespace, number = wanted[index]
            return self.client.create_raw(CONFIG_MAPS, namespace, config_map(number))

        self.create_many(create, len(wanted))

    def create_many(self, create: Callable[[int], object], count: int) -> None:
        """Calls a function for the numbers below `count` in 8 threads."""
        with ThreadPoolExecutor(CREATORS) as pool:
            for _ in pool.map(create, range(count)):
                pass

    def make_namespaces(self, names: Sequence[str]) -> None:
        """Creates namespaces."""
        for name in names:
            self.client.create_raw(NAMESPACES, "", {"metadata": {"name": name}})

    def back_up(self) -> float:
        """Backs the ConfigMaps up; seconds from the Backup's creation to its end."""
        return self.backup_named(f"b-{next(self._numbers)}")

    def backup_named(self, name: str) -> float:
        """The same under a name."""
        names: list[Json] = list(NAMES)
        resources: list[Json] = ["configmaps"]
        return self._seconds(BACKUPS, self.backups, name, {"includedNamespaces": names, "includedResources": resources})

    def restore(self, backup: str) -> float:
        """Restores a backup into ten new namespaces; seconds from the Restore's creation to its end."""
        name = f"r-{next(self._numbers)}"
        mapping: JsonObject = {one: f"{name}-{one}" for one in NAMES}
        return self._seconds(RESTORES, self.restores, name, {"backupName": backup, "namespaceMapping": mapping})

    def post_all(self, objects: int) -> float:
        """Creates as many ConfigMaps in ten new namespaces by plain POSTs; seconds of the POSTs."""
        prefix = f"p-{next(self._numbers)}"
        names = [f"{prefix}-{one}" for one in NAMES]
        self.make_namespaces(names)
        each = objects // len(names)
        started = time.monotonic()
        self.post([(name, number) for name in names for number in range(each)])
        return time.monotonic() - started

    def list_and_gzip(self) -> float:
        """Reads the same ConfigMaps in plain pages and packs the same bytes, in this process."""
        started = time.monotonic()
        packer = isal_zlib.compressobj(wbits=GZIP_WINDOW_BITS)
        for name in NAMES:
            for page in self.client.list_pages(CONFIG_MAPS, name, limit=PAGE_OBJECTS):
                for item in page.items:
                    packer.compress(bytes(item))
        packer.flush()
        return time.monotonic() - started

    def peak_growth_mib(self) -> float:
        """How far the server's RSS rises above idle in one backup; the server is started anew for it."""
        server = self.installation.server
        server.stop()
        server.start()
        self.installation.wait_ready()
        idle = resident_mib(server, "VmRSS")
        Path(f"/proc/{server.pid}/clear_refs").write_text(RESET_PEAK)
        self.back_up()
        return resident_mib(server, "VmHWM") - idle

    def _seconds(self, ref: ResourceRef, watch: PhaseWatch, name: str, spec: JsonObject) -> float:
        self.client.create_raw(ref, NAMESPACE, {"metadata": {"name": name}, "spec": spec})
        seconds, phase = watch.seconds_to_end(name, timeout_seconds=END_SECONDS)
        if phase != "Completed":
            raise HarnessError(f"{ref.kind} {name}: {phase}\n{self.installation.tails()}")
        return seconds


def config_map(number: int) -> JsonObject:
    """An object whose content does not compress to nothing."""
    text = secrets.token_hex(OBJECT_BYTES // 2)
    return {"metadata": {"name": f"settings-{number}"}, "data": {"text": text}}


def resident_mib(process: Process, field: str) -> float:
    """VmRSS (now) or VmHWM (the highest since the peak was reset), as the kernel counts it."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{field}:")).split()[1]) / 1024


@contextmanager
def engines_stage(workdir: Path) -> Iterator[EnginesStage]:
    """Starts everything and takes it down again."""
    with stage(workdir) as started, ExitStack() as stack:
        made = EnginesStage(
            installation=started.installation,
            client=started.client,
            backups=stack.enter_context(PhaseWatch(started.client, BACKUPS, NAMESPACE)),
            restores=stack.enter_context(PhaseWatch(started.client, RESTORES, NAMESPACE)),
        )
        made.make_namespaces(NAMES)
        yield made
