"""Ports of this machine for servers that are started a moment later."""

import random
import socket
from itertools import chain

# Below those that outgoing connections are given (on Linux from 32768 on), so that none takes one in that moment. Each
# is tried once, in an order of chance: two servers of one run never meet, and two runs side by side hardly do.
PORTS = range(20_000, 32_000)

_untried = iter(random.sample(PORTS, len(PORTS)))


def free_port(wanted: int = 0) -> int:
    """The wanted port when nobody has it, else any free one. Raises RuntimeError when there is none."""
    for port in chain([wanted] if wanted else [], _untried):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port on 127.0.0.1")
