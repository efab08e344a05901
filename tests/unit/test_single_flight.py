"""Work that several threads want at once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from lti_tool.http import SingleFlight


@pytest.fixture
def flight() -> SingleFlight[str, int]:
    return SingleFlight()


def test_work_of_one_thread_is_just_done(flight: SingleFlight[str, int]) -> None:
    assert [flight.run("a", lambda: 1, wait_seconds=1), flight.run("a", lambda: 2, wait_seconds=1)] == [1, 2]


def test_several_threads_get_what_one_of_them_brings(flight: SingleFlight[str, int]) -> None:
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
        coming = [pool.submit(flight.run, Key("a"), work, wait_seconds=60) for _ in range(4)]
        for _ in range(5):  # each of them looks for it, and the first one puts it there
            assert looked_up.acquire(timeout=60)
        assert flight.run("b", lambda: 7, wait_seconds=60) == 7, "another key waits for nobody"
        go_on.set()
        assert [each.result(60) for each in coming] == [1] * 4


def test_who_waits_does_not_wait_for_ever(flight: SingleFlight[str, int]) -> None:
    go_on = threading.Event()
    started = threading.Event()

    def work() -> int:
        started.set()
        go_on.wait(60)
        return 1

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(flight.run, "a", work, wait_seconds=60)
        started.wait(60)
        with pytest.raises(TimeoutError):
            flight.run("a", work, wait_seconds=0.05)
        go_on.set()
        assert first.result(60) == 1


def test_a_failure_is_everybodys_and_over(flight: SingleFlight[str, int]) -> None:
    def fail() -> int:
        raise LookupError("nothing there")

    with pytest.raises(LookupError):
        flight.run("a", fail, wait_seconds=1)
    assert flight.run("a", lambda: 1, wait_seconds=1) == 1


def test_work_that_cannot_be_started_is_over(flight: SingleFlight[str, int]) -> None:
    def no_thread(job: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.raises(RuntimeError):
        flight.run("a", lambda: 1, wait_seconds=1, start=no_thread)
    assert flight.run("a", lambda: 1, wait_seconds=1) == 1
