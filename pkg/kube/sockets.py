"""Socket options that notice a peer that is gone, also on a connection where nothing is sent.

A watch may be silent for minutes and be healthy, so no read timeout can tell a dead peer from a quiet one. The
kernel can: it probes an idle connection after 10 s and gives up after 3 probes 5 s apart, and TCP_USER_TIMEOUT
bounds the wait for an acknowledgement to 20 s. A cut link is noticed within 25 s.
"""

from __future__ import annotations

import socket
from typing import Final

KEEPALIVE_IDLE_SECONDS: Final = 10
KEEPALIVE_INTERVAL_SECONDS: Final = 5
KEEPALIVE_PROBES: Final = 3
USER_TIMEOUT_MILLISECONDS: Final = 20_000

SocketOption = tuple[int, int, int]


def socket_options() -> list[SocketOption]:
    """The options for every socket to the API server, as far as this system has them."""
    options = [
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    ]
    tunables = {
        "TCP_KEEPIDLE": KEEPALIVE_IDLE_SECONDS,
        "TCP_KEEPINTVL": KEEPALIVE_INTERVAL_SECONDS,
        "TCP_KEEPCNT": KEEPALIVE_PROBES,
        "TCP_USER_TIMEOUT": USER_TIMEOUT_MILLISECONDS,
    }
    options += [
        (socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in tunables.items() if hasattr(socket, name)
    ]
    return options
