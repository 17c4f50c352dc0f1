"""What a soak needs of a cluster: a pod for commands, and tokens that can expire."""

from __future__ import annotations

from pathlib import Path

from pkg.apis.meta import JsonObject
from pkg.kube.client import Client
from pkg.kube.errors import ForbiddenError
from pkg.kube.refs import PODS
from pkg.testing.faultbench import Account
from pkg.testing.processes import wait_until

POD = "soak"
READY_SECONDS = 30


class Tokens:
    """Replaces the token in a file; the one before counts as expired from then on."""

    def __init__(self, file: Path, account: Account) -> None:
        self._file = file
        self._account = account

    def renew(self) -> str:
        """Writes a new token; returns the one before."""
        before = self._file.read_text()
        fresh = self._file.with_suffix(".new")
        fresh.write_text(self._account.token())
        fresh.replace(self._file)
        return before


def running_pod(client: Client, namespace: str, node: str) -> str:
    """Makes a pod with a container `app` on the node and waits until it runs; returns its name."""
    obj: JsonObject = {
        "metadata": {"name": POD},
        "spec": {
            "containers": [{"name": "app", "image": "pause"}],
            "nodeSelector": {"kubernetes.io/hostname": node},
            "tolerations": [{"operator": "Exists"}],
        },
    }
    wait_until(lambda: _created(client, namespace, obj), timeout_seconds=READY_SECONDS, what="the service account")
    wait_until(lambda: _runs(client, namespace), timeout_seconds=READY_SECONDS, what="the pod to run")
    return POD


def _created(client: Client, namespace: str, obj: JsonObject) -> bool:
    """A namespace's service account comes a moment after it, and until then pods are forbidden."""
    try:
        client.create_raw(PODS, namespace, obj)
    except ForbiddenError:
        return False
    return True


def _runs(client: Client, namespace: str) -> bool:
    status = client.get_raw(PODS, namespace, POD).get("status")
    return isinstance(status, dict) and status.get("phase") == "Running"
