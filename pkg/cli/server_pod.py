"""Runs a command of Ark's in the server's pod, where the repositories' password and the store's credentials are.

Nothing of them comes to this machine, and Kubernetes decides by RBAC (`pods/exec`) who may.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from pkg.apis.holders import HolderPod
from pkg.cli.client import Connection
from pkg.cli.failures import CliError
from pkg.kube.errors import ForbiddenError, KubeError
from pkg.kube.refs import PODS

SERVER_SELECTOR = "component=ark"
_STDOUT = 1


def run_in_server(connection: Connection, words: Sequence[str]) -> tuple[int, bytes]:
    """Runs `ark WORDS` and returns its exit code and standard output; its errors are shown as they come.

    Raises:
        CliError: no server runs, or it may not be done.
    """
    output = bytearray()

    def take(channel: int, data: bytes) -> None:
        if channel == _STDOUT:
            output.extend(data)
        else:
            _show(channel, data)

    code = _execute(connection, words, take)
    return code, bytes(output)


def stream_from_server(connection: Connection, words: Sequence[str]) -> int:
    """Runs `ark WORDS`, shows all it prints, and returns its exit code.

    Raises:
        CliError: as above.
    """
    return _execute(connection, words, _show)


def _execute(connection: Connection, words: Sequence[str], on_output: Callable[[int, bytes], None]) -> int:
    pod = _server_pod(connection)
    try:
        return connection.execute(pod, ["ark", *words], on_output)
    except ForbiddenError as error:
        raise CliError(f"you may not run commands in the server's pod: {error}") from error
    except KubeError as error:
        raise CliError(f"the command in pod {connection.namespace}/{pod} failed: {error}") from error


def _server_pod(connection: Connection) -> str:
    pods = connection.client.list(PODS, connection.namespace, HolderPod, label_selector=SERVER_SELECTOR)
    running = [pod for pod in pods if pod.status.phase == "Running" and pod.metadata.deletion_timestamp is None]
    if not running:
        raise CliError(
            f"no server runs in namespace {connection.namespace}: kubectl -n {connection.namespace} get pods "
            f"-l {SERVER_SELECTOR}"
        )
    return max(running, key=lambda pod: pod.metadata.name).metadata.name


def _show(channel: int, data: bytes) -> None:
    stream = sys.stdout.buffer if channel == _STDOUT else sys.stderr.buffer
    stream.write(data)
    stream.flush()
