"""What Ark adds to restic: a tiny volume's PodVolumeBackup beside one bare `restic backup` of the same directory.

Both run the same restic with the same arguments, environment, cache and niceness in the same namespaces, against the
same MinIO and with the same parent snapshot, in turn. What differs is Ark: the watch that wakes the agent, the claim,
the password's Secret, the look for the directory, the result. The bare run's few milliseconds of nsenter count for it.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hack.bench_figures import Row, Samples, in_turn, row
from hack.bench_watch import PhaseWatch
from hack.demo_stage import prepare
from pkg.apis.ark import StorageProvider
from pkg.apis.meta import JsonObject
from pkg.apis.names import CREDENTIALS_SECRET, NODE_LABEL, PASSWORD_KEY
from pkg.cli.restic_server import CHILD_NICENESS
from pkg.kube.client import Client
from pkg.kube.refs import POD_VOLUME_BACKUPS
from pkg.kube.transport import load_transport
from pkg.objectstore.credentials import load_credentials
from pkg.objectstore.location import storage_location
from pkg.restic.command import backup
from pkg.restic.environment import ResticEnvironment, restic_environment
from pkg.restic.password import Password
from pkg.testing.application import Application
from pkg.testing.assets import binary
from pkg.testing.controlplane import ControlPlane
from pkg.testing.installation import NAMESPACE, Installation
from pkg.testing.minio import Minio
from pkg.testing.processes import HarnessError

RUNS = 12
VOLUME_BOUND = 1.5
NODE, BUCKET, APPLICATION = "node1", "ark", "tiny"
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
    environment: ResticEnvironment

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
        spec = self.spec
        tags = {**_texts(spec.get("tags")), "pvb-uid": name}
        call = backup(
            directory=str(self.directory),
            tags=tags,
            parent=str(spec["parentSnapshotID"]),
            options=self.environment.options,
        )
        prefix = [*self.installation.nodes[NODE].prefix, "nice", "-n", str(CHILD_NICENESS)]
        enter = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", str(self.directory)]
        base = {**os.environ, "PATH": f"{binary('restic').parent}:{os.environ['PATH']}"}
        command = [*prefix, *enter, str(binary("restic")), *call.arguments]
        started = time.monotonic()
        done = subprocess.run(command, env=self.environment.variables(base), capture_output=True, text=True)
        seconds = time.monotonic() - started
        if done.returncode:
            raise HarnessError(f"restic: exit code {done.returncode}\n{self.environment.redacted(done.stderr)}")
        return seconds


def tiny_volume_row() -> Row:
    """Measures both in turn."""
    try:
        with tempfile.TemporaryDirectory(prefix="ark-bench-") as workdir, started(Path(workdir)) as bench:
            numbers = itertools.count()
            samples = in_turn(
                lambda: bench.through_ark(f"bench-{next(numbers)}"),
                lambda: bench.bare(f"bench-{next(numbers)}"),
                runs=RUNS,
            )
    except (HarnessError, TimeoutError) as error:
        print(f"tiny volume: not measured: {error}", file=sys.stderr)
        samples = Samples(values=(), references=())
    return row("cli", "tiny volume", samples, reference="bare restic backup", bound=VOLUME_BOUND)


@contextmanager
def started(workdir: Path) -> Iterator[Bench]:
    """A control plane, MinIO, Ark, and one volume whose repository is Ready."""
    prepare("controlplane")
    with ExitStack() as stack:
        control_plane = stack.enter_context(ControlPlane(workdir / "control-plane"))
        minio = stack.enter_context(Minio(workdir / "minio"))
        minio.make_bucket(BUCKET)
        installation = stack.enter_context(
            Installation(control_plane, minio, workdir / "ark", bucket=BUCKET, nodes=(NODE,))
        )
        client = Client(load_transport(str(control_plane.kubeconfig)))
        directory, spec = first_capture(installation)
        watch = stack.enter_context(PhaseWatch(client, POD_VOLUME_BACKUPS, NAMESPACE))
        yield Bench(
            installation=installation,
            client=client,
            watch=watch,
            directory=directory,
            spec=spec,
            environment=environment_of(installation, str(spec["repoIdentifier"])),
        )


def first_capture(installation: Installation) -> tuple[Path, JsonObject]:
    """Lets Ark capture the volume once; its directory, and the spec of the next capture."""
    annotations = {"backup.ark.heptio.com/backup-volumes": "data"}
    application = Application(installation.access, installation.nodes[NODE], APPLICATION, annotations=annotations)
    application.deploy()
    application.shell("data", CONTENTS)
    installation.ark("backup", "create", "first", "--include-namespaces", APPLICATION, "--wait")
    found: JsonObject = json.loads(json.dumps(installation.objects("podvolumebackups")[0]))
    spec, status = found["spec"], found["status"]
    assert isinstance(spec, dict) and isinstance(status, dict)  # noqa: PT018 - a script, not a test
    return application.directory("data"), {**spec, "parentSnapshotID": status["snapshotID"]}


def environment_of(installation: Installation, identifier: str) -> ResticEnvironment:
    """The environment that the agent gives to restic, its cache included."""
    cloud = next(path for path in installation.credentials_files() if path.parent.name == f"agent-{NODE}")
    provider = StorageProvider(name="aws", bucket=BUCKET, config=installation.store_config())
    secret = installation.get("secret", CREDENTIALS_SECRET)["data"]
    assert isinstance(secret, dict)
    return restic_environment(
        repository=identifier,
        password=Password(base64.b64decode(secret[PASSWORD_KEY]).decode().rstrip("\r\n")),
        location=storage_location(provider),
        credentials=load_credentials("aws", {"AWS_SHARED_CREDENTIALS_FILE": str(cloud)}),
        cache_dir=str(cloud.parent / "restic-cache"),
    )


def _texts(value: object) -> dict[str, str]:
    return {str(key): str(text) for key, text in value.items()} if isinstance(value, dict) else {}
