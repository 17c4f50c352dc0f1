"""Opens one watch as Ark does and says when and how it ended.

Run as `python -m pkg.testing.watch_probe KUBECONFIG`; it prints `watching`, and later `ended ERROR`.
"""

from __future__ import annotations

import sys

from pkg.kube.client import Client
from pkg.kube.errors import TransportError
from pkg.kube.refs import PODS
from pkg.kube.transport import load_transport

WATCH_SECONDS = 600


def main() -> None:
    """Watches until the end."""
    client = Client(load_transport(sys.argv[1]))
    version = client.list_page(PODS).resource_version
    stream = client.watch(PODS, resource_version=version, timeout_seconds=WATCH_SECONDS)
    print("watching", flush=True)
    try:
        data = stream.read(1 << 16)
        print(f"ended {data!r}", flush=True)
    except TransportError as error:
        print(f"ended {error}", flush=True)


if __name__ == "__main__":
    main()
