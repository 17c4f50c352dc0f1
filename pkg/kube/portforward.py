"""Reaches a port of a pod through the API server, as a local address.

Each local connection becomes a websocket of its own. The pod side needs to listen on its loopback only.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from pkg.kube import refs
from pkg.kube.channels import ChannelSocket
from pkg.kube.errors import KubeError
from pkg.kube.transport import KubeTransport

log = structlog.get_logger()

LOOPBACK: Final = "127.0.0.1"
_DATA, _ERROR = 0, 1
_PORT_BYTES: Final = 2
_CHUNK_BYTES: Final = 64 * 1024
_JOIN_SECONDS: Final = 2.0


@contextmanager
def port_forward(transport: KubeTransport, namespace: str, pod: str, port: int) -> Iterator[tuple[str, int]]:
    """Listens on a free local port while the context lasts and yields its (host, port)."""
    forwarder = _Forwarder(transport, refs.PODS.path(namespace, pod, "portforward"), port)
    try:
        yield forwarder.address
    finally:
        forwarder.close()


class _Forwarder:
    """The local listener and its open connections."""

    def __init__(self, transport: KubeTransport, path: str, port: int) -> None:
        self._transport = transport
        self._path = path
        self._port = port
        self._lock = threading.Lock()
        self._open: list[_Tunnel] = []
        self._closed = False
        self._listener = socket.create_server((LOOPBACK, 0))
        self._thread = threading.Thread(target=self._accept, name=f"portforward {path}", daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            tunnels = list(self._open)
        with contextlib.suppress(OSError):  # not connected: on Linux it wakes accept all the same
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for tunnel in tunnels:
            tunnel.close()
        self._thread.join(_JOIN_SECONDS)

    def _accept(self) -> None:
        while True:
            try:
                local, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(local,), name=f"tunnel {self._path}", daemon=True).start()

    def _serve(self, local: socket.socket) -> None:
        with local:
            try:
                channels = ChannelSocket(self._transport, self._path, [("ports", str(self._port))])
            except KubeError as error:
                log.warning("Port is not forwarded", path=self._path, port=self._port, error=str(error))
                return
            tunnel = _Tunnel(local, channels)
            with self._lock:
                self._open.append(tunnel)
                closed = self._closed
            if not closed:
                tunnel.run()
            channels.close()
            with self._lock:
                self._open.remove(tunnel)


class _Tunnel:
    """One local connection and its websocket; two threads, one per direction."""

    def __init__(self, local: socket.socket, channels: ChannelSocket) -> None:
        self._local = local
        self._channels = channels

    def run(self) -> None:
        """Carries bytes until either side ends."""
        upward = threading.Thread(target=self._send, name="tunnel upward", daemon=True)
        upward.start()
        try:
            self._receive()
        except (KubeError, OSError) as error:
            log.debug("Tunnel ended", error=str(error))
        self.close()
        upward.join(_JOIN_SECONDS)

    def close(self) -> None:
        """Ends both directions."""
        with contextlib.suppress(OSError):  # it has ended already
            self._local.shutdown(socket.SHUT_RDWR)
        self._channels.abort()

    def _send(self) -> None:
        with contextlib.suppress(KubeError, OSError):  # the other direction reports the end
            while data := self._local.recv(_CHUNK_BYTES):
                self._channels.send(_DATA, data)

    def _receive(self) -> None:
        unseen = {_DATA: _PORT_BYTES, _ERROR: _PORT_BYTES}
        while (message := self._channels.receive()) is not None:
            channel, data = message
            skipped = min(unseen.get(channel, 0), len(data))
            if skipped:
                unseen[channel] -= skipped
                data = data[skipped:]
            if channel == _ERROR and data:
                log.warning("Pod refused the port", error=data.decode("utf-8", "replace"))
                return
            if channel == _DATA and data:
                self._local.sendall(data)
