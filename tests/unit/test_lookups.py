"""Look-ups of names that may hang: nobody waits for them for ever, and they do not pile up."""

import threading
from collections.abc import Iterator

import pytest

from lti_tool.http import BoundedLookups

ADDRESS = "93.184.216.34"


class Hanging:
    """A resolver that answers for every name but those that hang until the test is over."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.asked: list[str] = []
        self.answered: list[str] = []

    def __call__(self, name: str, port: int) -> list[str]:
        self.asked.append(name)
        if name.startswith("hanging"):
            self.over.wait(60)
        if name.startswith("nobody"):
            raise OSError("no such name")
        self.answered.append(name)
        return [ADDRESS]


@pytest.fixture
def resolver() -> Iterator[Hanging]:
    hanging = Hanging()
    yield hanging
    hanging.over.set()


def test_a_name_has_its_addresses(resolver: Hanging) -> None:
    assert BoundedLookups(resolver)("lms.example.org", 443) == [ADDRESS]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "2606:2800::1"])
def test_an_address_is_its_own(address: str, resolver: Hanging) -> None:
    assert BoundedLookups(resolver)(address, 443) == [address]
    assert resolver.asked == []


def test_a_name_that_does_not_exist_is_told(resolver: Hanging) -> None:
    with pytest.raises(OSError, match="no such name"):
        BoundedLookups(resolver)("nobody.example.org", 443)


def test_a_look_up_that_hangs_is_left_behind(resolver: Hanging) -> None:
    with pytest.raises(TimeoutError):
        BoundedLookups(resolver, seconds=0.2)("hanging.example.org", 443)
    assert resolver.answered == []


def test_it_hangs_once_for_each_name(resolver: Hanging) -> None:
    lookups = BoundedLookups(resolver, seconds=0.05)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            lookups("hanging.example.org", 443)
    assert resolver.asked == ["hanging.example.org"]


def test_one_name_that_hangs_holds_up_no_other(resolver: Hanging) -> None:
    lookups = BoundedLookups(resolver, seconds=0.2, at_once=2)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            lookups("hanging.example.org", 443)
    assert lookups("lms.example.org", 443) == [ADDRESS]


def test_only_so_many_hang_at_once(resolver: Hanging) -> None:
    lookups = BoundedLookups(resolver, seconds=0.1, at_once=2)
    for number in range(5):
        with pytest.raises(TimeoutError):
            lookups(f"hanging-{number}.example.org", 443)
    assert len(resolver.asked) == 2


def test_no_thread_of_a_look_up_keeps_the_process_alive(resolver: Hanging) -> None:
    with pytest.raises(TimeoutError):
        BoundedLookups(resolver, seconds=0.05)("hanging.example.org", 443)
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "look-up")
