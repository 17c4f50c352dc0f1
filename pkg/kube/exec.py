"""Runs a command in a container and waits for its end, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from pkg.kube import refs
from pkg.kube.channels import ChannelSocket, ChannelTimeoutError
from pkg.kube.errors import DecodeError, TransportError
from pkg.kube.status import Status
from pkg.kube.stop import StopToken
from pkg.kube.transport import KubeTransport

OUTPUT_BYTES_KEPT: Final = 1024 * 1024
STDOUT: Final = 1
STDERR: Final = 2
_RESULT = 3


class ExecTimeoutError(TransportError):
    """The command did not end in time; it may still run in the container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecResult:
    """How a command ended; of each output at most the last MiB."""

    stdout: bytes
    stderr: bytes
    exit_code: int


def exec_in_pod(
    transport: KubeTransport,
    namespace: str,
    pod: str,
    container: str,
    command: Sequence[str],
    timeout_seconds: float,
    *,
    stop: StopToken | None = None,
) -> ExecResult:
    """Runs a command; blocks until it ends. The container may be empty where the pod has one.

    Raises:
        ExecTimeoutError: it did not end in time.
        ApiStatusError: the pod or container is not there, or it may not be done.
        TransportError: the connection broke, or the token was cancelled: nobody knows how the command ended.
    """
    output = {STDOUT: bytearray(), STDERR: bytearray()}

    def keep(channel: int, data: bytes) -> None:
        output[channel] += data
        del output[channel][:-OUTPUT_BYTES_KEPT]

    code = stream_from_pod(transport, namespace, pod, container, command, timeout_seconds, keep, stop=stop)
    return ExecResult(stdout=bytes(output[STDOUT]), stderr=bytes(output[STDERR]), exit_code=code)


def stream_from_pod(
    transport: KubeTransport,
    namespace: str,
    pod: str,
    container: str,
    command: Sequence[str],
    timeout_seconds: float,
    on_output: Callable[[int, bytes], None],
    *,
    stop: StopToken | None = None,
) -> int:
    """Runs a command, hands over what it prints as it comes (STDOUT or STDERR), and returns its exit code.

    Raises as `exec_in_pod`.
    """
    query = [("container", container)] if container else []
    query += [("stdout", "true"), ("stderr", "true"), *(("command", word) for word in command)]
    deadline = time.monotonic() + timeout_seconds
    channels = ChannelSocket(transport, refs.PODS.path(namespace, pod, "exec"), query)
    unregister = stop.on_cancel(channels.abort) if stop else lambda: None
    try:
        return _collect(channels, deadline, f"{namespace}/{pod}", on_output)
    except ChannelTimeoutError as error:
        raise ExecTimeoutError(f"the command in {namespace}/{pod} did not end in {timeout_seconds:g} s") from error
    finally:
        unregister()
        channels.close()


def _collect(channels: ChannelSocket, deadline: float, what: str, on_output: Callable[[int, bytes], None]) -> int:
    while (message := channels.receive(deadline)) is not None:
        channel, data = message
        if channel == _RESULT:
            return _exit_code(data)
        if channel in (STDOUT, STDERR):
            on_output(channel, data)
    raise TransportError(f"the connection to the command in {what} ended before the command")


def _exit_code(data: bytes) -> int:
    """The exit code in the Status that ends an exec; raises what the Status says when it is not about one."""
    try:
        status = msgspec.json.decode(data, type=_ExecStatus)
    except msgspec.DecodeError as error:
        raise DecodeError(f"the end of an exec does not decode: {error}") from error
    if status.status == "Success":
        return 0
    for cause in status.details.causes or () if status.details else ():
        if cause.reason == "ExitCode" and cause.message.isdigit():
            return int(cause.message)
    raise TransportError(f"the command did not run: {status.message}")


class _ExecStatus(Status, frozen=True):
    status: str = ""
