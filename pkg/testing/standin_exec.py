"""The stand-in's answer to `exec`: what the API server reaches as the kubelet's port.

A command runs beside the pod's volumes, not in a container: its working directory is the pod's `volumes`, and
`VOLUME_<name>` (dashes as underscores) says where each volume is. Only websockets are spoken, so the API server
must not translate them (`APISERVER_ARGUMENTS`). Who connects must show a certificate of the cluster's authority.
"""

import base64
import hashlib
import json
import os
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qs, urlsplit

from pkg.apis.meta import JsonObject
from pkg.testing.pki import Authority

APISERVER_ARGUMENTS = ("--feature-gates=TranslateStreamCloseWebsocketRequests=false",)
PROTOCOL = "v4.channel.k8s.io"
STDOUT, STDERR, STATUS = 1, 2, 3
BINARY_FRAME, CLOSE_FRAME = 0x82, 0x88
HANDSHAKE_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ADDRESS = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a container's commands run, and its pod's volumes by name."""

    directory: Path
    volumes: Mapping[str, Path]


Locate = Callable[[str, str, str], Place | None]
"""Finds (namespace, pod, container); None when that container does not run."""


class ExecServer(ThreadingHTTPServer):
    """Listens on a free port of the loopback interface."""

    daemon_threads = True

    def __init__(self, directory: Path, client_ca: str, locate: Locate) -> None:
        super().__init__((ADDRESS, 0), _Handler)
        self.locate = locate
        serving = Authority(directory).issue("kubelet", common_name="stand-in", hosts=[ADDRESS])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(serving.certificate_file, serving.key_file)
        context.load_verify_locations(cadata=client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Serve in a thread until the process ends."""
        threading.Thread(target=self.serve_forever, name="exec-server", daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no error of ours."""


class _Handler(BaseHTTPRequestHandler):
    server: ExecServer

    def do_GET(self) -> None:
        """Answer `/exec/<namespace>/<pod>/<container>?command=…`."""
        url = urlsplit(self.path)
        verb, *words = url.path.strip("/").split("/")
        place = self.server.locate(words[0], words[1], words[-1]) if verb == "exec" and len(words) >= 3 else None
        if place is None or "Sec-WebSocket-Key" not in self.headers:
            self.send_error(404, "container not found, or not asked for exec by websocket")
            return
        self._upgrade()
        self._execute(parse_qs(url.query)["command"], place)
        self.close_connection = True

    def _upgrade(self) -> None:
        digest = hashlib.sha1((self.headers["Sec-WebSocket-Key"] + HANDSHAKE_GUID).encode()).digest()
        self.protocol_version = "HTTP/1.1"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
        self.send_header("Sec-WebSocket-Protocol", PROTOCOL)
        self.end_headers()
        self.wfile.flush()

    def _execute(self, command: list[str], place: Place) -> None:
        lock = threading.Lock()

        def send(channel: int, data: bytes) -> None:
            with lock:
                self.wfile.write(frame(BINARY_FRAME, bytes([channel]) + data))

        send(STATUS, json.dumps(run(command, place, send)).encode())
        self.wfile.write(frame(CLOSE_FRAME, struct.pack("!H", 1000)))

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Keep the log for what matters."""


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a whole websocket message of a server."""
    size = len(payload)
    if size < 126:
        return bytes([opcode, size]) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", opcode, 126, size) + payload
    return struct.pack("!BBQ", opcode, 127, size) + payload


def run(command: list[str], place: Place, send: Callable[[int, bytes], None]) -> JsonObject:
    """Run a command to its end, sending what it prints, and return the API's Status of it."""
    try:
        child = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *command],
            cwd=place.directory,
            env=os.environ | volume_variables(place.volumes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        return {"status": "Failure", "reason": "InternalError", "message": str(error)}
    with child:
        pumps = [
            threading.Thread(target=_pump, args=(stream, channel, send), name="exec-output")
            for channel, stream in ((STDOUT, child.stdout), (STDERR, child.stderr))
        ]
        for pump in pumps:
            pump.start()
        for pump in pumps:
            pump.join()
    return status(child.returncode)


def _pump(stream: BinaryIO, channel: int, send: Callable[[int, bytes], None]) -> None:
    gone = False
    while data := os.read(stream.fileno(), 1 << 15):
        try:
            if not gone:
                send(channel, data)
        except OSError:
            gone = True  # nobody listens any more; the command goes on, as it does in a container


def status(exit_code: int) -> JsonObject:
    """Return what channel 3 says about an exit code."""
    if exit_code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: {exit_code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(exit_code)}]},
    }


def volume_variables(volumes: Mapping[str, Path]) -> dict[str, str]:
    """Return the variables that tell a command where each volume is."""
    return {f"VOLUME_{name.replace('-', '_')}": str(path) for name, path in volumes.items()}
