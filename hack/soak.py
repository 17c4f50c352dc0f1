#!/usr/bin/env python3
"""Soak the informers: minutes of changes under random faults, and in the end every handler must know the truth.

    SECONDS=300     how long
    SEED=…          the same dice as a run before; printed first

Starts a control plane of its own. What the informers log goes to build/soak.log.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # it runs from anywhere, not installed

from pkg.kube.client import Client
from pkg.kube.transport import load_transport
from pkg.testing.controlplane import ControlPlane
from pkg.testing.faultbench import Account, proxied_kubeconfig
from pkg.testing.faultproxy import FaultProxy
from pkg.testing.soak import Place, Soak
from pkg.testing.soak_place import Tokens, running_pod
from pkg.testing.standin_exec import APISERVER_ARGUMENTS
from pkg.testing.standin_process import StandInNode

ROOT = Path(__file__).resolve().parent.parent
LOG = ROOT / "build" / "soak.log"
DEFAULT_SECONDS = 300.0
NODE = "soak-node"


@contextmanager
def place(workdir: Path) -> Iterator[Place]:
    """A control plane with a node, and a proxy in front of it."""
    with ExitStack() as stack:
        arguments = {"kube-apiserver": APISERVER_ARGUMENTS}
        plane = stack.enter_context(ControlPlane(workdir / "control-plane", extra_arguments=arguments))
        stack.enter_context(StandInNode(workdir / NODE, plane.kubeconfig, NODE))
        proxy = stack.enter_context(FaultProxy(plane.server_url, workdir / "proxy", upstream_ca_file=plane.ca_file))
        account = Account(plane, "soak")
        kubeconfig = proxied_kubeconfig(proxy, workdir / "proxied", account.token())
        transport = load_transport(str(plane.kubeconfig))
        stack.callback(transport.close)
        direct = Client(transport)
        yield Place(
            direct=direct,
            proxy=proxy,
            kubeconfig=kubeconfig,
            namespace="soak",
            pod=("default", running_pod(direct, "default", NODE)),
            renew=Tokens(kubeconfig.parent / "token", account).renew,
        )


def main() -> int:
    """Soaks once; returns the exit code."""
    seconds = float(os.environ.get("SECONDS") or DEFAULT_SECONDS)
    seed = int(os.environ.get("SEED") or secrets.randbelow(1_000_000))
    print(f"SEED={seed} SECONDS={seconds:g}", flush=True)
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("w") as log, tempfile.TemporaryDirectory(prefix="ark-soak-") as workdir:
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(log))
        with place(Path(workdir)) as found:
            try:
                report = Soak(found, seed).run(seconds)
            except AssertionError as error:
                print(f"{error}\nthe informers' log is in {LOG}")
                return 1
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith(("informer", "listener"))]
    print(f"{report}\nthreads left over: {left or 'none'}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
