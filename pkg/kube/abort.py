"""Ends a request from another thread, wherever it is: in the TLS handshake, before the answer or in its body.

urllib3 gives a caller no handle on the connection it uses, so connections of our own say which socket it is. That
socket is duplicated, because during the handshake urllib3's own object for it is an empty shell; shutting the copy
down ends the connection for both.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from pkg.kube.stop import StopToken

_current = threading.local()


class Abort:
    """While its context lasts, the token ends what this thread requests."""

    def __init__(self, stop: StopToken) -> None:
        self._stop = stop
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._ended = False

    def use(self, connected: socket.socket) -> None:
        """Says over which socket the request goes."""
        with self._lock:
            self._forget()
            self._socket = socket.socket(fileno=_duplicate(connected))
            if self._ended:
                self._shut_down()

    def _end(self) -> None:
        with self._lock:
            self._ended = True
            self._shut_down()

    def _shut_down(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it has ended already
                self._socket.shutdown(socket.SHUT_RDWR)

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        _current.abort = self
        self._unregister = self._stop.on_cancel(self._end)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._unregister()
        _current.abort = None
        with self._lock:
            self._forget()


class _Announced(HTTPConnection):
    """Tells the request of this thread which socket it uses."""

    def _new_conn(self) -> socket.socket:
        return _announce(super()._new_conn())

    def putrequest(self, method: str, url: str, skip_host: bool = False, skip_accept_encoding: bool = False) -> None:
        if self.sock is not None:
            _announce(self.sock)
        super().putrequest(method, url, skip_host, skip_accept_encoding)


class _AnnouncedTls(_Announced, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Announced


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _AnnouncedTls


def announce_connections(pool: urllib3.PoolManager) -> None:
    """Makes the pool's future connections say which sockets they use."""
    pool.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


def _announce(connected: socket.socket) -> socket.socket:
    abort: Abort | None = getattr(_current, "abort", None)
    if abort is not None:
        abort.use(connected)
    return connected


def _duplicate(connected: socket.socket) -> int:
    return socket.dup(connected.fileno())
