"""Ports for servers that are told where to listen before they do.

A port is taken from below the range that the kernel gives to outgoing connections, so that none of those
lands on it between our check and the server's bind, and no port is handed out twice by one process.
"""

import errno
import itertools
import random
import socket

FIRST, LAST = 20000, 32000
# Not the seeded generator: processes that run tests beside each other would try the same ports in the same order.
_ports = itertools.cycle(random.SystemRandom().sample(range(FIRST, LAST), LAST - FIRST))


def free_port(bind_address: str = "127.0.0.1") -> int:
    """Return a TCP port that nothing listens on; an address of another namespace has all ports free."""
    return next(port for port in itertools.islice(_ports, LAST - FIRST) if _is_free(bind_address, port))


def _is_free(bind_address: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((bind_address, port))
        except OSError as error:
            return error.errno == errno.EADDRNOTAVAIL
    return True
