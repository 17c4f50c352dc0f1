"""A whole controller: it keeps the annotation `example.com/checksum` of every ConfigMap with the label `checksum=yes`.

    METRICS_ADDRESS=:8085 PYTHONPATH=. python hack/examples/example_controller.py NAMESPACE

It connects as kubectl does and serves /healthz, /readyz and /metrics on METRICS_ADDRESS. docs/informers.md explains it.
"""

from __future__ import annotations

import hashlib
import os
import sys

import msgspec
import structlog
from prometheus_client import CollectorRegistry

from pkg.apis.meta import JsonObject, Object
from pkg.informers.lister import Lister
from pkg.kube.client import Client
from pkg.kube.clock import REAL_CLOCK
from pkg.kube.errors import KubeError
from pkg.kube.refs import CONFIG_MAPS
from pkg.kube.stop import StopToken
from pkg.kube.transport import load_transport
from pkg.manager.logs import configure_logs
from pkg.manager.manager import Manager
from pkg.manager.predicates import version_changed
from pkg.manager.reconciler import Result, done
from pkg.manager.shutdown import install_signals
from pkg.workqueue.key import Key

CHECKSUM = "example.com/checksum"
log = structlog.get_logger()


class ConfigMap(Object, frozen=True, kw_only=True):
    """The fields that are read; others are skipped when decoding."""

    data: dict[str, str] | None = None


class ChecksumReconciler:
    """Decides on what is, not on what happened, so that running it twice equals running it once."""

    def __init__(self, client: Client, config_maps: Lister[ConfigMap]) -> None:
        self._client = client
        self._config_maps = config_maps

    def reconcile(self, key: Key) -> Result:
        """Writes the checksum if it is not there; an exception is tried again, later each time."""
        if (found := self._config_maps.get(key.namespace, key.name)) is None:
            return done()  # deleted since
        checksum = hashlib.sha256(msgspec.json.encode(found.data or {}, order="sorted")).hexdigest()
        if found.metadata.annotation(CHECKSUM) != checksum:
            was = found.metadata.resource_version  # a write of somebody else in between makes this one a conflict
            metadata: JsonObject = {"resourceVersion": was, "annotations": {CHECKSUM: checksum}}
            self._client.patch_raw(CONFIG_MAPS, key.namespace, key.name, {"metadata": metadata})
            log.info("Checksum written", checksum=checksum)
        return done()


def run(namespace: str, stop: StopToken) -> int:
    """Wires the parts and runs them until the token ends them; returns the exit code."""
    client, registry, address = Client(load_transport()), CollectorRegistry(), os.environ["METRICS_ADDRESS"]
    manager = Manager(client, metrics_address=address, grace_seconds=20, registry=registry, clock=REAL_CLOCK)
    informer = manager.factory.informer(CONFIG_MAPS, ConfigMap, namespace=namespace, label_selector="checksum=yes")
    reconciler = ChecksumReconciler(client, informer.lister)
    manager.controller("checksum", reconciler, workers=2).watch(informer, predicate=version_changed)
    return manager.run(stop)


if __name__ == "__main__":
    configure_logs("info", "logfmt")
    install_signals(stopped := StopToken())
    try:
        sys.exit(run(sys.argv[1], stopped))
    except KubeError as error:
        sys.exit(str(error))
