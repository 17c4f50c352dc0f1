"""What is counted, and that it is passed on as it came."""

from __future__ import annotations

import http.server
import threading
import urllib.request
from collections.abc import Iterator

import pytest

from pkg.testing.countingproxy import CountingProxy


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with what it was sent."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, int]]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield "127.0.0.1", made.server_port
        made.shutdown()
        thread.join()


def test_requests_are_counted_by_method_and_passed_on(server: tuple[str, int]) -> None:
    body = b"x" * 300_000
    with CountingProxy(server) as proxy:
        for _ in range(2):
            put = urllib.request.Request(f"{proxy.endpoint}/a", data=body, method="PUT")
            with urllib.request.urlopen(put, timeout=10) as answer:
                assert answer.read() == body
        with urllib.request.urlopen(f"{proxy.endpoint}/b", timeout=10) as answer:
            assert answer.status == 200
        assert proxy.counts == {"PUT": 2, "GET": 1}
