"""No test reaches anything but this machine: a call elsewhere fails the test that made it."""

import ipaddress
import socket
from typing import Any

import pytest


class OutsideCallError(RuntimeError):
    """A test tried to reach another machine. Not an OSError, so that no error handling mistakes it for an outage."""


def close_sockets(patch: pytest.MonkeyPatch) -> None:
    """From now on sockets connect, and names resolve, to loopback and local sockets only."""
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        _check(self.family, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        _check(self.family, address)
        return connect_ex(self, address)

    def guarded_getaddrinfo(host: Any, *rest: Any, **named: Any) -> Any:
        if not _is_this_machine(host):
            raise OutsideCallError(f"a test asked for the address of {host!r}")
        return getaddrinfo(host, *rest, **named)

    patch.setattr(socket.socket, "connect", guarded_connect)
    patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    patch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)


def _check(family: int, address: Any) -> None:
    if family in (socket.AF_INET, socket.AF_INET6) and not _is_this_machine(address[0]):
        raise OutsideCallError(f"a test tried to connect to {address[0]!r}")


def _is_this_machine(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
