"""What Ark adds to restic: a tiny volume's PodVolumeBackup beside one bare `restic backup` of the same directory.

Both have the same parent snapshot and the same cache. What differs is Ark: the watch that wakes the agent, the claim,
the password's Secret, the look for the directory, the result; and that its key is cheap to open.
"""

from __future__ import annotations

import functools
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hack.bench_bare import BareRestic, beside_ark
from hack.bench_figures import Row, Samples, in_turn, row
from hack.bench_stage import NODE, stage
from hack.bench_watch import PhaseWatch
from pkg.apis.meta import JsonObject
from pkg.apis.names import NODE_LABEL
from pkg.kube.client import Client
from pkg.kube.refs import POD_VOLUME_BACKUPS
from pkg.restic.command import backup
from pkg.restore.fields import object_at, text_at
from pkg.testing.application import Application
from pkg.testing.installation import NAMESPACE, Installation
from pkg.testing.processes import HarnessError

RUNS = 12
VOLUME_BOUND = 1.5
APPLICATION = "tiny"
END_SECONDS = 120.0
CONTENTS = 'for i in $(seq 20); do echo "$i" > "$i"; done'


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """An installation with one tiny volume that was captured once."""

    installation: Installation
    client: Client
    watch: PhaseWatch
    directory: Path
    spec: JsonObject
    restic: BareRestic

    def through_ark(self, name: str) -> float:
        """Creates a PodVolumeBackup as the server would and waits for its end."""
        labels: JsonObject = {NODE_LABEL: NODE}
        obj: JsonObject = {"metadata": {"name": name, "labels": labels}, "spec": self.spec}
        self.client.create_raw(POD_VOLUME_BACKUPS, NAMESPACE, obj)
        seconds, phase = self.watch.seconds_to_end(name, timeout_seconds=END_SECONDS)
        if phase != "Completed":
            raise HarnessError(f"PodVolumeBackup {name}: {phase}\n{self.installation.tails()}")
        return seconds

    def bare(self, name: str) -> float:
        """Runs restic as the agent runs it."""
        tags = {**_texts(self.spec.get("tags")), "pvb-uid": name}
        call = backup(
            directory=str(self.directory),
            tags=tags,
            parent=str(self.spec["parentSnapshotID"]),
            options=self.restic.environment.options,
        )
        return self.restic.run(call)


@functools.cache
def tiny_volume() -> Samples:
    """Measures both in turn."""
    try:
        with tempfile.TemporaryDirectory(prefix="ark-bench-") as workdir, started(Path(workdir)) as bench:
            numbers = itertools.count()
            return in_turn(
                lambda: bench.through_ark(f"bench-{next(numbers)}"),
                lambda: bench.bare(f"bench-{next(numbers)}"),
                runs=RUNS,
            )
    except (HarnessError, TimeoutError) as error:
        print(f"tiny volume: not measured: {error}", file=sys.stderr)
        return Samples(values=(), references=())


def tiny_volume_row(suite: str = "cli", bound: float = VOLUME_BOUND) -> Row:
    """A tiny volume through Ark beside restic with the ordinary key."""
    return row(suite, "tiny volume", tiny_volume(), reference="bare restic backup", bound=bound)


@contextmanager
def started(workdir: Path) -> Iterator[Bench]:
    """A control plane, MinIO, Ark, and one volume whose repository is Ready."""
    with stage(workdir) as made:
        installation = made.installation
        directory, spec = first_capture(installation)
        with PhaseWatch(made.client, POD_VOLUME_BACKUPS, NAMESPACE) as watch:
            yield Bench(
                installation=installation,
                client=made.client,
                watch=watch,
                directory=directory,
                spec=spec,
                restic=beside_ark(installation, NODE, str(spec["repoIdentifier"])),
            )


def first_capture(installation: Installation) -> tuple[Path, JsonObject]:
    """Lets Ark capture the volume once; its directory, and the spec of the next capture."""
    annotations = {"backup.ark.heptio.com/backup-volumes": "data"}
    application = Application(installation.access, installation.nodes[NODE], APPLICATION, annotations=annotations)
    application.deploy()
    application.shell("data", CONTENTS)
    installation.ark("backup", "create", "first", "--include-namespaces", APPLICATION, "--wait")
    found: JsonObject = json.loads(json.dumps(installation.objects("podvolumebackups")[0]))
    spec: JsonObject = {**object_at(found, "spec"), "parentSnapshotID": text_at(found, "status", "snapshotID")}
    return application.directory("data"), spec


def _texts(value: object) -> dict[str, str]:
    return {str(key): str(text) for key, text in value.items()} if isinstance(value, dict) else {}
