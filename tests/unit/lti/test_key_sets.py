"""Platforms' key sets: when they are asked for, what counts as a key, and what happens when nobody answers."""

import json
import threading
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import responses
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from lti_tool.errors import RefusedLaunch
from lti_tool.http import Http
from lti_tool.lti.key_sets import KeySets, parse_key_set
from tests.clock import TestClock
from tests.platform import KEY, OTHER_KEY, Platform
from tests.unit.lti.test_claims import REGISTRATION

PLATFORM = Platform()


@pytest.fixture
def key_sets(clock: TestClock) -> KeySets:
    return KeySets(Http(), clock)


def code(key_sets: KeySets, kid: str = "key-1") -> str:
    with pytest.raises(RefusedLaunch) as refused:
        key_sets.key(REGISTRATION, kid)
    return refused.value.code


def test_a_key_set_is_fetched_once_and_kept(key_sets: KeySets, wire: responses.RequestsMock) -> None:
    asked = PLATFORM.serve_keys(wire)
    for _ in range(3):
        assert key_sets.key(REGISTRATION, "key-1") == KEY.public_key()
    assert asked.call_count == 1


def test_an_unknown_kid_leads_to_one_fetch_in_a_minute(
    key_sets: KeySets, wire: responses.RequestsMock, clock: TestClock
) -> None:
    asked = PLATFORM.serve_keys(wire)
    key_sets.key(REGISTRATION, "key-1")
    for number in range(5):
        assert code(key_sets, f"key-{number + 2}") == "key_unknown"
    assert asked.call_count == 1
    clock.advance(seconds=60)
    for number in range(5):
        assert code(key_sets, f"key-{number + 2}") == "key_unknown"
    assert asked.call_count == 2


def test_a_rotated_key_is_found_after_the_window(
    key_sets: KeySets, wire: responses.RequestsMock, clock: TestClock
) -> None:
    PLATFORM.serve_keys(wire)
    key_sets.key(REGISTRATION, "key-1")
    rotated = Platform(key=OTHER_KEY, kid="key-2")
    wire.replace(responses.GET, PLATFORM.key_set_url, json={"keys": [PLATFORM.jwk(), rotated.jwk()]})
    clock.advance(seconds=61)
    assert key_sets.key(REGISTRATION, "key-2") == OTHER_KEY.public_key()


def test_a_withdrawn_key_stops_counting_after_a_quarter_of_an_hour(
    key_sets: KeySets, wire: responses.RequestsMock, clock: TestClock
) -> None:
    PLATFORM.serve_keys(wire)
    key_sets.key(REGISTRATION, "key-1")
    wire.replace(responses.GET, PLATFORM.key_set_url, json={"keys": []})
    clock.advance(minutes=15)
    assert key_sets.key(REGISTRATION, "key-1")
    clock.advance(seconds=1)
    assert code(key_sets) == "key_unknown"


def test_a_clock_that_was_set_back_keeps_no_withdrawn_key(
    key_sets: KeySets, wire: responses.RequestsMock, clock: TestClock
) -> None:
    PLATFORM.serve_keys(wire)
    key_sets.key(REGISTRATION, "key-1")
    wire.replace(responses.GET, PLATFORM.key_set_url, json={"keys": []})
    clock.advance(days=-1)
    assert code(key_sets) == "key_unknown"


def test_known_keys_are_used_on_for_a_day_while_the_platform_is_silent(
    key_sets: KeySets, wire: responses.RequestsMock, clock: TestClock
) -> None:
    PLATFORM.serve_keys(wire)
    key_sets.key(REGISTRATION, "key-1")
    wire.replace(responses.GET, PLATFORM.key_set_url, status=503)
    clock.advance(hours=24)
    assert key_sets.key(REGISTRATION, "key-1") == KEY.public_key()
    clock.advance(seconds=1)
    assert code(key_sets) == "key_set_unreachable"


def test_a_platform_that_was_away_for_a_moment_is_asked_again_soon(
    key_sets: KeySets, wire: responses.RequestsMock, clock: TestClock
) -> None:
    failed = PLATFORM.serve_keys(wire, status=503)
    assert code(key_sets) == "key_set_unreachable"
    assert code(key_sets) == "key_set_unreachable"
    assert failed.call_count == 1
    wire.replace(responses.GET, PLATFORM.key_set_url, json={"keys": [PLATFORM.jwk()]})
    clock.advance(seconds=5)
    assert key_sets.key(REGISTRATION, "key-1")


def test_the_window_begins_when_a_silent_platform_has_been_given_up(
    key_sets: KeySets, wire: responses.RequestsMock, clock: TestClock
) -> None:
    asked: list[Any] = []

    def keep_waiting(request: Any) -> tuple[int, dict[str, str], str]:
        asked.append(request)
        clock.advance(seconds=10)
        return 503, {}, ""

    wire.add_callback(responses.GET, PLATFORM.key_set_url, keep_waiting)
    assert [code(key_sets), code(key_sets)] == ["key_set_unreachable"] * 2
    assert len(asked) == 1


def test_nobody_waits_long_for_the_fetch_of_another_launch(key_sets: KeySets, wire: responses.RequestsMock) -> None:
    begun, answer = threading.Event(), threading.Event()

    def hang(_request: Any) -> tuple[int, dict[str, str], str]:
        begun.set()
        answer.wait(60)
        return 200, {}, json.dumps({"keys": [PLATFORM.jwk()]})

    wire.add_callback(responses.GET, PLATFORM.key_set_url, hang)
    first = threading.Thread(target=key_sets.key, args=(REGISTRATION, "key-1"))
    first.start()
    begun.wait(60)
    assert code(key_sets) == "key_set_unreachable"
    answer.set()
    first.join()
    assert key_sets.key(REGISTRATION, "key-1") == KEY.public_key()


def test_registrations_have_key_sets_of_their_own(key_sets: KeySets, wire: responses.RequestsMock) -> None:
    PLATFORM.serve_keys(wire)
    other = Platform(origin="https://other.example.org", key=OTHER_KEY)
    other.serve_keys(wire)
    second = replace(REGISTRATION, id=2, key_set_url=other.key_set_url)
    assert key_sets.key(REGISTRATION, "key-1") == KEY.public_key()
    assert key_sets.key(second, "key-1") == OTHER_KEY.public_key()


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 404},
        {"status": 302, "headers": {"Location": "https://evil.example/keys"}},
        {"body": "<html>", "json": None},
        {"body": "[" * 100_000, "json": None},
        {"body": b"\xff\xfe", "json": None},
        {"json": []},
        {"json": {"keys": "none"}},
        {"body": b"x" * 1_100_000, "json": None},
    ],
    ids=str,
)
def test_an_answer_that_is_no_key_set_is_no_answer(
    answer: dict[str, Any], key_sets: KeySets, wire: responses.RequestsMock
) -> None:
    PLATFORM.serve_keys(wire, **answer)
    assert code(key_sets) == "key_set_unreachable"


def test_a_private_key_set_address_is_not_called(key_sets: KeySets) -> None:
    inside = replace(REGISTRATION, key_set_url="https://169.254.169.254/keys")
    with pytest.raises(RefusedLaunch) as refused:
        key_sets.key(inside, "key-1")
    assert refused.value.code == "key_set_unreachable"


def jwk(**changed: Any) -> dict[str, Any]:
    return {name: value for name, value in (PLATFORM.jwk() | changed).items() if value is not None}


@pytest.mark.parametrize(
    "changed", [{}, {"alg": "RS256"}, {"use": "sig"}, {"key_ops": ["verify"]}, {"x5c": ["nonsense"]}]
)
def test_a_signature_key_counts_with_or_without_alg_and_use(changed: dict[str, Any]) -> None:
    assert set(parse_key_set({"keys": [jwk(**changed)]})) == {"key-1"}


UNSAFE_KEYS = {
    "for encryption": jwk(use="enc"),
    "another algorithm": jwk(alg="RS512"),
    "elliptic curve": jwk(kty="EC"),
    "symmetric": jwk(kty="oct", k="c2VjcmV0"),
    "no kid": jwk(kid=None),
    "a number as kid": jwk(kid=7),
    "no modulus": jwk(n=None),
    "a number as modulus": jwk(n=7),
    "unreadable modulus": jwk(n="!!"),
    "unsafe exponent": jwk(e="AA"),
    "a text": "key",
    "nothing": None,
    "1024 bits": Platform(key=generate_private_key(public_exponent=65537, key_size=1024)).jwk(),
}


@pytest.mark.parametrize("key", UNSAFE_KEYS.values(), ids=UNSAFE_KEYS)
def test_what_is_no_safe_rsa_signature_key_is_skipped(key: Any) -> None:
    other = Platform(key=OTHER_KEY, kid="key-2").jwk()
    assert set(parse_key_set({"keys": [key, other]})) == {"key-2"}


def test_only_so_many_keys_are_read() -> None:
    assert len(parse_key_set({"keys": [jwk(kid=str(number)) for number in range(60)]})) == 50


def test_what_the_key_set_service_answered_is_noted(clock: TestClock, wire: responses.RequestsMock) -> None:
    noted: list[tuple[object, ...]] = []
    key_sets = KeySets(Http(), clock, lambda *results: noted.append(results[1:]))
    for answer in ({"status": 302}, {"status": 404}, {"json": []}, {}):
        served = PLATFORM.serve_keys(wire, **answer)
        with suppress(RefusedLaunch):
            key_sets.key(REGISTRATION, "key-1")
        wire.remove(served)
        clock.advance(seconds=5)
    results = [(302, "redirect_refused"), (404, "key_set_unreadable"), (200, "key_set_unreadable"), (200, "")]
    assert noted == [("key_set", PLATFORM.key_set_url, *each) for each in results]
