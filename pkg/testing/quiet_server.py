"""An HTTP server that accepts watches and never says a word: what a quiet resource looks like.

Run as `python -m pkg.testing.quiet_server HOST PORT`; it prints `listening` and ends when it is killed.
"""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EMPTY_LIST = b'{"kind":"List","metadata":{"resourceVersion":"10"},"items":[]}'


class QuietHandler(BaseHTTPRequestHandler):
    """Answers lists with nothing and watches with silence."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answers one request."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if "watch=true" not in self.path:
            self.send_header("Content-Length", str(len(EMPTY_LIST)))
            self.end_headers()
            self.wfile.write(EMPTY_LIST)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        threading.Event().wait()

    def log_message(self, *args: object) -> None:
        """Stays quiet here too."""


def main() -> None:
    """Serves until killed."""
    host, port = sys.argv[1], int(sys.argv[2])
    server = ThreadingHTTPServer((host, port), QuietHandler)
    server.daemon_threads = True
    print("listening", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
