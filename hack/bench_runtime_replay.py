"""An API server that is never the slow one: it replays bytes that were made before, as fast as they are read.

Lists come in pages or as a stream (WatchList). A watch stays quiet until somebody asks for `/go`, which says how many
events to send and how far apart. With `--errors` every other request is answered 503 and its time is kept for `/stats`.

Run as `python -m hack.bench_runtime_replay PLURAL=OBJECTS… [--events N]`; it prints its address and ends when killed.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hack.bench_runtime_objects import LAST, Kind, Template, bookmark, event, kind_of, page

LIST_VERSION = 1_000_000
BATCH = 64
ERROR = b'{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"ServiceUnavailable","code":503}'


class Recording:
    """Everything of one kind, ready to be sent."""

    def __init__(self, plural: str, objects: int, events: int) -> None:
        self.kind: Kind = kind_of(plural)
        self._objects = objects
        self._template = Template(self.kind, in_list=False)
        listed = Template(self.kind, in_list=True)
        self._items = [listed.render(number, number + 1) for number in range(objects)]
        self._events = batches(self.line(number, events) for number in range(events))

    def line(self, number: int, events: int, stamp: str = "0") -> bytes:
        """One event; the last one is of an object that nothing else is said of."""
        version = LIST_VERSION + 1 + number
        if number == events - 1:
            return event("ADDED", self._template.render(number, version, name=LAST, stamp=stamp))
        return event("MODIFIED", self._template.render(number % self._objects, version, stamp=stamp))

    def page(self, query: dict[str, str], selected: int) -> bytes:
        """The answer to a list."""
        items = self._items[:selected] if "labelSelector" in query else self._items
        start = int(query.get("continue") or 0)
        end = start + int(query["limit"]) if query.get("limit") else len(items)
        token = str(end) if end < len(items) else ""
        return page(self.kind, items[start:end], version=LIST_VERSION, continue_token=token)

    @functools.cached_property
    def initial(self) -> list[bytes]:
        """The answer to a streamed list, up to the bookmark that ends it; made in the round that does not count."""
        lines = (event("ADDED", self._template.render(number, number + 1)) for number in range(self._objects))
        return [*batches(lines), chunk(bookmark(self.kind, LIST_VERSION, initial_end=True))]

    def events(self, count: int, interval_us: int) -> Iterator[bytes]:
        """What a watch sends."""
        if not interval_us:
            yield from self._events
            return
        for number in range(count):
            time.sleep(interval_us / 1e6)
            yield chunk(self.line(number, count, stamp=str(time.time_ns())))


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked answer: an API server flushes after each event."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def batches(lines: Iterator[bytes]) -> list[bytes]:
    """The lines as chunks, several of them to a write."""
    chunks = map(chunk, lines)
    return list(iter(lambda: b"".join(itertools.islice(chunks, BATCH)), b""))


@dataclass(slots=True)
class World:
    """What all connections share."""

    recordings: dict[str, Recording]
    errors: bool
    selected: int
    changed: threading.Condition
    asked: tuple[int, int] | None = None
    requests: list[float] = field(default_factory=list)
    watches: int = 0

    def new_watch(self) -> int:
        """A number for a watch; from now on only the newest one sends."""
        with self.changed:
            self.watches += 1
            self.changed.notify_all()
            return self.watches

    def wait_for_go(self, watch: int) -> tuple[int, int] | None:
        """Blocks until somebody asks for events; None when there is a newer watch, as this one's reader is gone."""
        with self.changed:
            self.changed.wait_for(lambda: self.asked is not None or watch != self.watches)
            if watch != self.watches:
                return None
            asked, self.asked = self.asked, None
        return asked


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    world: World

    def do_GET(self) -> None:
        """Answers one request."""
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        if url.path == "/stats":
            self._answer(200, json.dumps(self.world.requests).encode())
        elif self.world.errors:
            self.world.requests.append(time.monotonic())
            self._answer(503, ERROR)
        elif url.path == "/go":
            self._go(int(query["count"]), int(query["interval_us"]))
        elif query.get("watch") in ("true", "1"):
            self._watch(url.path, query)
        else:
            self._answer(200, self._recording(url.path).page(query, self.world.selected))

    def _go(self, count: int, interval_us: int) -> None:
        with self.world.changed:
            self.world.asked = (count, interval_us)
            self.world.changed.notify_all()
        self._answer(200, b"{}")

    def _watch(self, path: str, query: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        recording, watch = self._recording(path), self.world.new_watch()
        try:
            if query.get("sendInitialEvents") == "true":
                self._send(recording.initial)
            while (asked := self.world.wait_for_go(watch)) is not None:
                self._send(recording.events(*asked))
        except OSError:
            self.close_connection = True  # the reader has what it wanted

    def _send(self, blobs: Iterable[bytes]) -> None:
        for blob in blobs:
            self.connection.sendall(blob)

    def _recording(self, path: str) -> Recording:
        plural = path.rsplit("/", 1)[-1]
        return self.world.recordings.get(plural) or self.world.recordings["*"]

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Stays quiet."""


class Server(ThreadingHTTPServer):
    """Sends each event at once."""

    daemon_threads = True

    def get_request(self) -> tuple[socket.socket, object]:
        """Accepts a connection."""
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address


def main() -> None:
    """Serves until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("recordings", nargs="*", metavar="PLURAL=OBJECTS")
    parser.add_argument("--events", type=int, default=1)
    parser.add_argument("--selected", type=int, default=0)
    parser.add_argument("--errors", action="store_true")
    chosen = parser.parse_args()
    sizes = dict(word.split("=", 1) for word in chosen.recordings)
    recordings = {plural: Recording(plural, int(objects), chosen.events) for plural, objects in sizes.items()}
    Handler.world = World(
        recordings=recordings,
        errors=chosen.errors,
        selected=chosen.selected,
        changed=threading.Condition(),
    )
    server = Server(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
