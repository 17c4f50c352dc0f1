"""No secret is in argv, in a log line, in an event, in a status, or on a disk (design.md invariant 6)."""

from __future__ import annotations

import base64
import json
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkg.apis.names import CREDENTIALS_SECRET
from pkg.testing.application import Application
from pkg.testing.installation import NAMESPACE, Installation

# What a process is given to read; nothing that Ark writes is among them.
GIVEN_FILES = ("cloud", "kubeconfig")


class ArgvWatch:
    """Collects the command lines of all processes until it is stopped; a context manager."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="argv-watch", daemon=True)

    def __enter__(self) -> ArgvWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(10)

    def _look(self) -> None:
        while not self._ended.wait(0.05):
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(entry.read_bytes())
                except OSError:
                    continue


@pytest.fixture(scope="module")
def told(installation: Installation) -> Iterator[dict[str, bytes]]:
    """Everything that a backup and a restore leave for others to read, by where it is."""
    application = Application(installation.access, installation.nodes["node1"], f"quiet-{secrets.token_hex(3)}")
    application.deploy()
    application.shell("data", "head -c 3000000 /dev/urandom > file")
    name = f"b-{application.namespace}"
    with ArgvWatch() as argv:
        installation.ark("backup", "create", name, "--include-namespaces", application.namespace, "--wait")
        application.delete_namespace()
        installation.ark("restore", "create", f"r-{name}", "--from-backup", name, "--wait")
    broken = break_the_password(installation, application)
    found = {"argv": b"\n".join(argv.seen), "objects": objects(installation)}
    for kind, one in (("backup", name), ("restore", f"r-{name}"), ("backup", broken)):
        found[f"logs of {kind} {one}"] = installation.ark(kind, "logs", one).stdout.encode()
        found[f"describe of {kind} {one}"] = installation.ark(kind, "describe", one, "--details").stdout.encode()
    yield found | files(installation)
    application.delete_namespace()


def break_the_password(installation: Installation, application: Application) -> str:
    """Errors tell more than successes: a backup with a wrong password; the right one is put back."""
    access, right = installation.access, password(installation)

    def use(text: str) -> None:
        data = {"repository-password": base64.b64encode(text.encode()).decode()}
        patch = ("patch", "secret", CREDENTIALS_SECRET, "-n", NAMESPACE, "--type=merge", "-p")
        access.kubectl(*patch, json.dumps({"data": data}))

    name = f"b-broken-{application.namespace}"
    use("not the password")
    try:
        options = ("--include-namespaces", application.namespace, "--wait", "--timeout", "60s")
        installation.ark("backup", "create", name, *options, check=False)
    finally:
        use(right)
    return name


def password(installation: Installation) -> str:
    secret = json.loads(installation.access.kubectl("get", "secret", CREDENTIALS_SECRET, "-n", NAMESPACE, "-o", "json"))
    return base64.b64decode(secret["data"]["repository-password"]).decode()


def objects(installation: Installation) -> bytes:
    """All objects of Ark's kinds, and all events, as kubectl shows them."""
    kinds = installation.access.kubectl("api-resources", "--api-group=ark.heptio.com", "-o", "name").split()
    assert len(kinds) == 9
    names = ",".join([*kinds, "events", "configmaps", "pods", "daemonsets", "leases"])
    return installation.access.kubectl("get", names, "--all-namespaces", "-o", "yaml", timeout_seconds=120).encode()


def files(installation: Installation) -> dict[str, bytes]:
    """Logs, scratch directories, caches: every file below the installation's directory but what it was given."""
    root = installation.server.log.parent
    below = [path for path in root.rglob("*") if path.is_file() and path.name not in GIVEN_FILES]
    own = [path for path in below if "backing" not in path.parts and "pods" not in path.parts]
    return {str(path.relative_to(root)): path.read_bytes() for path in own}


@pytest.mark.parametrize("which", ["the repository's password", "the object store's secret key"])
def test_nothing_that_others_can_read_holds(installation: Installation, told: dict[str, bytes], which: str) -> None:
    secret = password(installation) if which == "the repository's password" else installation.minio.secret_key
    assert len(secret) >= 16
    forms = [secret.encode(), base64.b64encode(secret.encode()).rstrip(b"=")]
    telling = [place for place, text in told.items() if any(form in text for form in forms)]
    assert not telling
    assert b"restic" in told["argv"], "no restic was seen at work"
    assert any(b"level=debug" in text for place, text in told.items() if place.endswith(".log"))
    assert b"PodVolumeRestore" in told["objects"]
