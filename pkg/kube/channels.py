"""Several byte streams over one websocket, as the API server speaks them for exec and port-forward.

Each message starts with the number of its channel. The websocket-client package is used directly: the kubernetes
package's own wrapper swaps the shared client's request method while it runs, and connects without a deadline.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlencode, urlsplit

import websocket

from pkg.kube.errors import TransportError
from pkg.kube.sockets import socket_options
from pkg.kube.status import error_from_response
from pkg.kube.transport import USER_AGENT, KubeTransport

CHANNEL_PROTOCOL: Final = "v4.channel.k8s.io"
CONNECT_SECONDS: Final = 10.0


class ChannelTimeoutError(TransportError):
    """Nothing came in time."""


class ChannelSocket:
    """An open websocket: one thread receives, any may send, `abort` ends both."""

    def __init__(self, transport: KubeTransport, path: str, query: Sequence[tuple[str, str]]) -> None:
        self._what = f"GET {path}"
        session = transport.session
        authorization = session.authorization()
        address = urlsplit(session.host)
        scheme = "wss" if address.scheme == "https" else "ws"
        url = f"{scheme}://{address.netloc}{address.path}{path}?{urlencode(query)}"
        headers = [f"User-Agent: {USER_AGENT}"] + ([f"Authorization: {authorization}"] if authorization else [])
        self._socket = websocket.WebSocket(
            sslopt=_tls(session.configuration), sockopt=socket_options(), enable_multithread=True
        )
        self._connect(url, headers, _proxy(session.configuration))

    def _connect(self, url: str, headers: list[str], proxy: dict[str, object]) -> None:
        connect: Callable[..., None] = self._socket.connect
        try:
            connect(
                url,
                header=headers,
                subprotocols=[CHANNEL_PROTOCOL],
                timeout=CONNECT_SECONDS,
                suppress_origin=True,
                **proxy,
            )
        except websocket.WebSocketBadStatusException as error:
            if error.status_code < 300:
                raise TransportError(f"{self._what}: the server does not speak websocket") from error
            body = error.resp_body if isinstance(error.resp_body, bytes) else b""
            raise error_from_response(self._what, error.status_code, error.resp_headers or {}, body) from error
        except Exception as error:  # websocket-client, ssl, sockets: no answer
            raise TransportError(f"{self._what}: {type(error).__name__}: {error}") from error

    def receive(self, deadline: float | None = None) -> tuple[int, bytes] | None:
        """The next (channel, data); None at the end.

        Raises:
            ChannelTimeoutError: nothing came before the deadline (of time.monotonic).
            TransportError: the connection broke.
        """
        try:
            self._socket.settimeout(None if deadline is None else max(0.001, deadline - time.monotonic()))
            code, data = self._socket.recv_data()
        except websocket.WebSocketTimeoutException as error:
            raise ChannelTimeoutError(f"{self._what}: nothing came in time") from error
        except websocket.WebSocketConnectionClosedException:
            return None
        except Exception as error:  # as above
            raise TransportError(f"{self._what}: {type(error).__name__}: {error}") from error
        if code == websocket.ABNF.OPCODE_CLOSE or not data:
            return None
        return data[0], bytes(data[1:])

    def send(self, channel: int, data: bytes) -> None:
        """Sends data on a channel; raises TransportError."""
        try:
            self._socket.send_binary(bytes([channel]) + data)
        except Exception as error:  # as above
            raise TransportError(f"{self._what}: {type(error).__name__}: {error}") from error

    def abort(self) -> None:
        """Ends a `receive` that blocks in another thread."""
        with contextlib.suppress(Exception):  # it has ended already
            if self._socket.sock is not None:
                self._socket.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Closes the connection without waiting for the other side."""
        shutdown: Callable[[], None] = self._socket.shutdown
        with contextlib.suppress(Exception):  # it has ended already
            shutdown()


def _tls(configuration: object) -> dict[str, object]:
    values = vars(configuration)
    if not values["verify_ssl"]:
        options: dict[str, object] = {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}
    else:
        options = {"cert_reqs": ssl.CERT_REQUIRED}
        options |= {"ca_certs": values["ssl_ca_cert"]} if values["ssl_ca_cert"] else {}
    options |= {"certfile": values["cert_file"], "keyfile": values["key_file"]} if values["cert_file"] else {}
    return options | ({"server_hostname": values["tls_server_name"]} if values["tls_server_name"] else {})


def _proxy(configuration: object) -> dict[str, object]:
    address = getattr(configuration, "proxy", None)
    if not address:
        return {"http_no_proxy": ["*"]}
    parts = urlsplit(str(address))
    excepted = getattr(configuration, "no_proxy", None)
    return {
        "http_proxy_host": parts.hostname,
        "http_proxy_port": parts.port,
        "proxy_type": "http",
        "http_no_proxy": str(excepted).split(",") if excepted else None,
    }
