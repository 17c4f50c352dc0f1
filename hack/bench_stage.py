"""Where Ark is measured: a control plane, MinIO, a server and one agent."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from hack.demo_stage import prepare
from pkg.kube.client import Client
from pkg.kube.transport import load_transport
from pkg.testing.controlplane import ControlPlane
from pkg.testing.countingproxy import CountingProxy
from pkg.testing.installation import Installation
from pkg.testing.minio import Minio

NODE, BUCKET = "node1", "ark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """An installation that is ready.

    Attributes:
        proxy: Counts what the store is asked; None where nothing stands before the store.
    """

    installation: Installation
    client: Client
    proxy: CountingProxy | None


@contextmanager
def stage(workdir: Path, *, counted: bool = False) -> Iterator[Stage]:
    """Starts everything and takes it down again; `counted` puts a proxy before the store."""
    prepare("controlplane")
    with ExitStack() as stack:
        control_plane = stack.enter_context(ControlPlane(workdir / "control-plane"))
        minio = stack.enter_context(Minio(workdir / "minio"))
        minio.make_bucket(BUCKET)
        proxy = None
        if counted:
            address = urlsplit(minio.endpoint)
            proxy = stack.enter_context(CountingProxy((str(address.hostname), int(address.port or 0))))
            minio = copy.copy(minio)
            minio.endpoint = proxy.endpoint
        installation = stack.enter_context(
            Installation(control_plane, minio, workdir / "ark", bucket=BUCKET, nodes=(NODE,))
        )
        transport = load_transport(str(control_plane.kubeconfig))
        stack.callback(transport.close)
        yield Stage(installation=installation, client=Client(transport), proxy=proxy)
