"""Work that several threads want at once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from lti_tool.flights import Flights


@pytest.fixture
def flights() -> Flights[str, int]:
    return Flights()


def test_work_of_one_thread_is_just_done(flights: Flights[str, int]) -> None:
    assert [flights.join("a", lambda: 1, wait_seconds=1), flights.join("a", lambda: 2, wait_seconds=1)] == [1, 2]


def test_several_threads_get_what_one_of_them_brings(flights: Flights[str, int]) -> None:
    go_on, done = threading.Event(), []
    looked_up = threading.Semaphore(0)

    class Key(str):
        __slots__ = ()

        def __hash__(self) -> int:
            looked_up.release()
            return super().__hash__()

    def work() -> int:
        go_on.wait(60)
        done.append(1)
        return len(done)

    with ThreadPoolExecutor(4) as pool:
        coming = [pool.submit(flights.join, Key("a"), work, wait_seconds=60) for _ in range(4)]
        for _ in range(5):  # each of them looks for it, and the first one puts it there
            assert looked_up.acquire(timeout=60)
        assert flights.join("b", lambda: 7, wait_seconds=60) == 7, "another key waits for nobody"
        go_on.set()
        assert [each.result(60) for each in coming] == [1] * 4


def test_who_waits_does_not_wait_for_ever(flights: Flights[str, int]) -> None:
    go_on = threading.Event()
    started = threading.Event()

    def work() -> int:
        started.set()
        go_on.wait(60)
        return 1

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(flights.join, "a", work, wait_seconds=60)
        started.wait(60)
        with pytest.raises(TimeoutError):
            flights.join("a", work, wait_seconds=0.05)
        go_on.set()
        assert first.result(60) == 1


def test_a_failure_is_everybodys_and_over(flights: Flights[str, int]) -> None:
    def fail() -> int:
        raise LookupError("nothing there")

    with pytest.raises(LookupError):
        flights.join("a", fail, wait_seconds=1)
    assert flights.join("a", lambda: 1, wait_seconds=1) == 1


def test_work_that_cannot_be_started_is_over(flights: Flights[str, int]) -> None:
    def no_thread(job: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.raises(RuntimeError):
        flights.join("a", lambda: 1, wait_seconds=1, start=no_thread)
    assert flights.join("a", lambda: 1, wait_seconds=1) == 1
