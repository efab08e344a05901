"""Names to addresses, in bounded time.

The system's own look-up knows no time limit, and nothing can stop it once it hangs. So each runs in a thread of its own
that the asker leaves behind when its time is over. One name has one look-up under way, and all names together a few.
"""

import ipaddress
import socket
import threading
from collections.abc import Callable
from functools import partial

from lti_tool.flights import Flights

LOOKUP_SECONDS = 5
MOST_AT_ONCE = 16

Resolve = Callable[[str, int], list[str]]


def resolve_by_system(name: str, port: int) -> list[str]:
    """The addresses of a name, without scope ids. Raises OSError when it has none."""
    answers = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]).partition("%")[0] for *_, sockaddr in answers]


class BoundedLookups:
    """`resolve` with a time limit; called as it is called."""

    def __init__(self, resolve: Resolve, *, seconds: float = LOOKUP_SECONDS, at_once: int = MOST_AT_ONCE) -> None:
        self._resolve = resolve
        self._seconds = seconds
        self._free = threading.BoundedSemaphore(at_once)
        self._flights: Flights[tuple[str, int], list[str]] = Flights()

    def __call__(self, name: str, port: int) -> list[str]:
        """The addresses of a name; an address is its own. Raises OSError (TimeoutError) when there is no answer."""
        if _is_address(name):
            return [name.partition("%")[0]]
        look_up = partial(self._look_up, name, port)
        return self._flights.join((name, port), look_up, wait_seconds=self._seconds, start=_in_a_thread)

    def _look_up(self, name: str, port: int) -> list[str]:
        if not self._free.acquire(timeout=self._seconds):
            raise TimeoutError("too many look-ups hang")
        try:
            return self._resolve(name, port)
        finally:
            self._free.release()


def _in_a_thread(job: Callable[[], None]) -> None:
    """A daemon: a look-up that hangs does not keep the process from ending."""
    threading.Thread(target=job, daemon=True, name="look-up").start()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
