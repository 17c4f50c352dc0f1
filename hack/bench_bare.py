"""restic without Ark: the reference of every figure of volumes.

It runs the same restic with the same niceness in the same namespaces against the same MinIO; what differs is Ark.
The few milliseconds of nsenter and sh count for the bare run.
"""

from __future__ import annotations

import base64
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pkg.apis.ark import StorageProvider
from pkg.apis.names import CREDENTIALS_SECRET, PASSWORD_KEY
from pkg.apis.volumes import ResticRepository
from pkg.cli.restic_server import CHILD_NICENESS
from pkg.objectstore.credentials import load_credentials
from pkg.objectstore.location import storage_location
from pkg.restic.command import Command, init, key_list
from pkg.restic.environment import ResticEnvironment, restic_environment
from pkg.restic.messages import Key
from pkg.restic.password import Password
from pkg.testing.assets import binary
from pkg.testing.installation import Installation
from pkg.testing.processes import HarnessError


@dataclass(frozen=True, slots=True, kw_only=True)
class BareRestic:
    """restic as somebody would run it by hand on a node.

    Attributes:
        prefix: Command words that bring a process to where the volumes are.
        environment: With the ordinary password and no hint at a key.
    """

    prefix: Sequence[str]
    environment: ResticEnvironment

    def run(self, command: Command) -> float:
        """Runs restic; how many seconds it took. It must succeed."""
        started = time.monotonic()
        self.answer(command)
        return time.monotonic() - started

    def answer(self, command: Command) -> str:
        """The same; what it printed."""
        enter = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", command.directory or "/"]
        nice = ["nice", "-n", str(CHILD_NICENESS)]
        base = {**os.environ, "PATH": f"{binary('restic').parent}:{os.environ['PATH']}"}
        argv = [*self.prefix, *nice, *enter, str(binary("restic")), *command.arguments]
        done = subprocess.run(argv, env=self.environment.variables(base), capture_output=True, text=True)
        if done.returncode:
            raise HarnessError(f"restic: exit code {done.returncode}\n{self.environment.redacted(done.stderr)}")
        return done.stdout


def beside_ark(installation: Installation, node: str, identifier: str) -> BareRestic:
    """Restic on one of Ark's repositories, with the agent's cache and the key that `restic init` made.

    Left to itself restic takes whichever key it happens to try first, and that may be the cheap one.
    """
    cache = credentials_file(installation, node).parent / "restic-cache"
    environment = _environment(installation, node, identifier, cache)
    made = BareRestic(prefix=installation.nodes[node].prefix, environment=environment)
    found = [msgspec.convert(one, ResticRepository) for one in installation.objects("resticrepositories")]
    (cheap,) = (one.status.fast_key_id for one in found if one.spec.restic_identifier == identifier)
    keys = msgspec.json.decode(made.answer(key_list(options=environment.options)), type=list[Key])
    (ordinary,) = (one.id for one in keys if not cheap.startswith(one.id))
    return BareRestic(prefix=made.prefix, environment=environment.with_key_hint(ordinary))


def own_repository(installation: Installation, node: str, cache_dir: Path) -> BareRestic:
    """Restic on a new repository of its own in the same bucket, with the same kind of password."""
    identifier = f"s3:{installation.minio.endpoint}/{installation.bucket}/bare"
    made = BareRestic(
        prefix=installation.nodes[node].prefix, environment=_environment(installation, node, identifier, cache_dir)
    )
    made.run(init(options=made.environment.options))
    return made


def _environment(installation: Installation, node: str, identifier: str, cache_dir: Path) -> ResticEnvironment:
    secret = installation.get("secret", CREDENTIALS_SECRET)["data"]
    assert isinstance(secret, dict)
    provider = StorageProvider(name="aws", bucket=installation.bucket, config=installation.store_config())
    cloud = credentials_file(installation, node)
    return restic_environment(
        repository=identifier,
        password=Password(base64.b64decode(secret[PASSWORD_KEY]).decode().rstrip("\r\n")),
        location=storage_location(provider),
        credentials=load_credentials("aws", {"AWS_SHARED_CREDENTIALS_FILE": str(cloud)}),
        cache_dir=str(cache_dir),
    )


def credentials_file(installation: Installation, node: str) -> Path:
    """The store's credentials as the agent of a node reads them."""
    return next(path for path in installation.credentials_files() if path.parent.name == f"agent-{node}")
