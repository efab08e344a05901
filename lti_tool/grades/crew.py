"""A few threads for work that waits for other machines: what is due is claimed as far as they are free, and one caller
asks again and again how it goes."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

Job = TypeVar("Job")


class Crew(Generic[Job]):
    """`claim(limit)` gives up to so many jobs that nobody else has, `do(job)` does one and records it."""

    def __init__(
        self, name: str, size: int, claim: Callable[[int], Sequence[Job]], do: Callable[[Job], object]
    ) -> None:
        self._name = name
        self._size = size
        self._claim = claim
        self._do = do
        self._pool = ThreadPoolExecutor(size, thread_name_prefix=name)
        self._in_flight: set[Future[object]] = set()

    @property
    def is_busy(self) -> bool:
        """Whether anything is under way."""
        return bool(self._in_flight)

    def step(self) -> bool:
        """Start what is due, look after what is under way, and wait for neither; False once all is quiet."""
        self._land()
        room = self._size - len(self._in_flight)
        if room > 0:
            self._in_flight |= {self._pool.submit(self._do, job) for job in self._claim(room)}
        if self._in_flight:
            wait(self._in_flight, timeout=0.05, return_when=FIRST_COMPLETED)
        return bool(self._in_flight)

    def run(self) -> None:
        """Work until nothing is due."""
        while self.step():
            pass

    def _land(self) -> None:
        for done in [each for each in self._in_flight if each.done()]:
            self._in_flight.remove(done)
            error = done.exception()
            if error is not None:  # its claim runs out and it is done again
                log.error("a job could not be recorded", extra={"kind": self._name, "error": type(error).__name__})
