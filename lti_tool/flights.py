"""Work that several threads want at once and one of them does: the others wait for what it brings, but not for ever."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
Start = Callable[[Callable[[], None]], object]


def here(job: Callable[[], None]) -> None:
    """Start a job in the thread that asks for it."""
    job()


class Flights(Generic[Key, Value]):
    """What is under way, by key. Different keys never wait for each other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[Key, Future[Value]] = {}

    def join(self, key: Key, work: Callable[[], Value], *, wait_seconds: float, start: Start = here) -> Value:
        """What `work` brings, or what the same work brings that another thread began for this key.

        Everybody who joined gets the same value or the same exception. Raises TimeoutError when it takes longer than
        `wait_seconds`; the work goes on.
        """
        with self._lock:
            flight = self._under_way.get(key)
            is_first = flight is None
            if flight is None:
                flight = self._under_way[key] = Future()
        if is_first:
            self._start(key, flight, lambda: self._fly(key, flight, work), start)
        return flight.result(wait_seconds)

    def _start(self, key: Key, flight: Future[Value], job: Callable[[], None], start: Start) -> None:
        """What cannot be started (no thread is to be had) is over."""
        try:
            start(job)
        except BaseException as error:
            self._land(key)
            flight.set_exception(error)

    def _fly(self, key: Key, flight: Future[Value], work: Callable[[], Value]) -> None:
        """Who comes once it has ended begins anew: the flight is over before its value is handed out."""
        try:
            value = work()
        except BaseException as error:
            self._land(key)
            flight.set_exception(error)
        else:
            self._land(key)
            flight.set_result(value)

    def _land(self, key: Key) -> None:
        with self._lock:
            del self._under_way[key]
