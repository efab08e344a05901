"""Ports of this machine for servers that are started a moment later."""

import random
import socket
from itertools import chain

# Below those that outgoing connections are given (on Linux from 32768 on), so that none takes one in that moment. Each
# is tried once, in an order of chance.
PORTS = range(20_000, 32_000)

_untried = iter(random.sample(PORTS, len(PORTS)))


def free_port(wanted: int = 0) -> int:
    """The wanted port when nobody has it, else any free one. Raises RuntimeError when there is none.

    Until this process ends, no other one is given it here: runs side by side never meet at a port.
    """
    for port in chain([wanted] if wanted else [], _untried):
        if _is_free(port) and _is_ours(port):
            return port
    raise RuntimeError("no free port on 127.0.0.1")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _is_ours(port: int) -> bool:
    """Claim a TCP port by its namesake of UDP, which the system gives to one process and takes back at its end."""
    claim = socket.socket(type=socket.SOCK_DGRAM)
    try:
        claim.bind(("127.0.0.1", port))
    except OSError:
        claim.close()
        return False
    claim.detach()
    return True
