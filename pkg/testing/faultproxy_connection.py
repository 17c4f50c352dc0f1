"""One client's connection to a fault proxy: request after request, each relayed, refused or spoiled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlencode, urlsplit

from pkg.testing.faultproxy_answer import Answer, Upstream, read_answer, read_body, status_answer
from pkg.testing.faultproxy_faults import BODY_KINDS, REQUEST_KINDS, Board, Fault, Kind, Switch
from pkg.testing.faultproxy_request import Request, Verb, parse_request
from pkg.testing.faultproxy_watch import DRIP_SECONDS, WatchRelay
from pkg.testing.faultproxy_wire import Wire, WireEndError, readable

DRIPPED_PARTS = 50


@dataclass
class Memory:
    """What a proxy has seen; thread-safe."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    requests: list[Request] = field(default_factory=list)
    first_lists: dict[str, tuple[Answer, bytes]] = field(default_factory=dict)
    first_versions: dict[str, str] = field(default_factory=dict)

    def saw(self, request: Request) -> None:
        """Notes a request."""
        version = request.query.get("resourceVersion", "")
        with self.lock:
            self.requests.append(request)
            if request.verb is Verb.WATCH and version not in ("", "0"):
                self.first_versions.setdefault(request.place, version)

    def answered(self, request: Request, answer: Answer, body: bytes) -> None:
        """Notes the first list of a place."""
        if request.verb is Verb.LIST and answer.status == 200 and "continue" not in request.query:
            with self.lock:
                self.first_lists.setdefault(request.place, (answer, body))


class Connection:
    """Serves in the thread that calls `serve`; `end` from any."""

    def __init__(
        self, client: Wire, upstream: Upstream, board: Board, memory: Memory, *, number: int, identity: int
    ) -> None:
        self._client = client
        self._upstream = upstream
        self._board = board
        self._memory = memory
        self._number = number
        self._identity = identity
        self._server: Wire | None = None
        self.may_be_dropped = False  # what a new connection is for is known with its first request

    def serve(self) -> None:
        """Serves until either side is done; OSError and ValueError are such an end."""
        try:
            while (request := self._read_request()) is not None:
                self._memory.saw(request)
                self.may_be_dropped = request.verb is not Verb.UPGRADE
                if not self._answer(request):
                    return
        finally:
            if self._server is not None:
                self._server.socket.close()

    def end(self) -> None:
        """Ends both sides."""
        self._client.end()
        if self._server is not None:
            self._server.end()

    def _read_request(self) -> Request | None:
        head = self._client.head()
        if head is None:
            return None
        request = parse_request(head, identity=self._identity, connection=self._number)
        if request.header("Transfer-Encoding").lower() == "chunked":
            return replace(request, body=b"".join(iter(self._client.chunk, b"")))
        length = int(request.header("Content-Length") or 0)
        return replace(request, body=self._client.exactly(length)) if length else request

    def _answer(self, request: Request) -> bool:
        """Answers one request; returns whether the connection can be used for another."""
        if request.verb is Verb.UPGRADE:
            return self._tunnel(request)
        target = request.target
        switch = self._board.take(request, REQUEST_KINDS)
        if switch is not None:
            match switch.fault.kind:
                case Kind.REFUSE:
                    self._client.reset()
                    return False
                case Kind.STATUS:
                    self._client.send(status_answer(switch.fault))
                    return True
                case Kind.OLD_LIST if (old := self._memory.first_lists.get(request.place)) is not None:
                    self._client.send(old[0].head(f"Content-Length: {len(old[1])}") + old[1])
                    return True
                case Kind.OLD_VERSION:
                    target = self._older(request, switch.fault)
                case Kind.HANG if not hang(self._board, switch, request, self._client):
                    return False
        return self._relay(request, target)

    def _relay(self, request: Request, target: str) -> bool:
        server, answer = self._exchange(request, target)
        if request.verb is Verb.WATCH and answer.status == 200 and answer.is_chunked:
            usable = WatchRelay(self._client, server, request, self._board).run(answer)
            server.socket.close()  # the server may still have something to say in that watch
            self._server = None
            return usable
        body = read_body(server, request, answer)
        self._memory.answered(request, answer, body)
        switch = self._board.take(request, BODY_KINDS)
        if switch is None:
            length = [] if request.method == "HEAD" else [f"Content-Length: {len(body)}"]
            self._client.send(answer.head(*length) + body)
            return True
        return _spoil(self._client, switch, answer, body)

    def _exchange(self, request: Request, target: str) -> tuple[Wire, Answer]:
        """Sends a request on and reads the answer's head; once more where a kept connection had ended."""
        head = self._upstream.head(request, target)
        kept = self._server is not None
        server = self._server = self._server or self._upstream.connect()
        try:
            server.send(head + request.body)
            answer = read_answer(server)
        except OSError:
            answer = None
        if answer is not None:
            return server, answer
        server.socket.close()
        self._server = None
        if not kept:
            raise WireEndError("the API server did not answer")
        return self._exchange(request, target)

    def _older(self, request: Request, fault: Fault) -> str:
        version = fault.text or self._memory.first_versions.get(request.place, "")
        url = urlsplit(request.target)
        query = dict(parse_qsl(url.query)) | ({"resourceVersion": version} if version else {})
        return url._replace(query=urlencode(query)).geturl()

    def _tunnel(self, request: Request) -> bool:
        """Passes bytes both ways until one side is done."""
        server = self._server = self._upstream.connect()
        server.send(self._upstream.head(request, request.target, hop_headers=True) + request.body)
        other = {self._client: server, server: self._client}
        while True:
            for wire in readable([self._client, server], None, None):
                data = wire.some()
                if not data:
                    return False
                other[wire].send(data)


def hang(board: Board, switch: Switch, request: Request, client: Wire | None = None) -> bool:
    """Holds a request back; returns False when the client, if it is given, went away meanwhile."""
    watched = [client] if client else []
    with board.waker() as waker:
        while switch.holds(request):
            if readable(watched, waker.socket, switch.fault.seconds or None):
                return False  # it has nothing to say before its answer, so it is gone
            waker.clear()
    return True


def _spoil(client: Wire, switch: Switch, answer: Answer, body: bytes) -> bool:
    whole, half = answer.head(f"Content-Length: {len(body)}"), body[: len(body) // 2]
    spoilers: dict[Kind, Callable[[], None]] = {
        Kind.CUT: lambda: client.send(whole + half),
        Kind.HALF_CLOSE: lambda: client.send(whole + half),
        Kind.TRUNCATE: lambda: client.send(answer.head(f"Content-Length: {len(half)}") + half),
        Kind.GARBAGE: lambda: client.send(answer.head(f"Content-Length: {len(half)}") + b"\0" * len(half)),
        Kind.DRIP: lambda: _drip(client, whole, body, switch.fault.seconds or DRIP_SECONDS),
    }
    spoilers[switch.fault.kind]()
    if switch.fault.kind is Kind.CUT:
        client.reset()
    if switch.fault.kind is Kind.HALF_CLOSE:
        client.half_close()
        client.some()
    return switch.fault.kind not in (Kind.CUT, Kind.HALF_CLOSE)


def _drip(client: Wire, head: bytes, body: bytes, seconds: float) -> None:
    client.send(head)
    size = max(1, len(body) // DRIPPED_PARTS)
    for start in range(0, len(body), size):
        client.send(body[start : start + size])
        time.sleep(seconds)
