"""Signatures over raw bytes, the replay window, and the challenge."""

import hmac
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.zoom.training_day import signed
from zoom_adapter.signature import challenge_answer, freshness, matching_secret, secret_mark, sign

NOW = datetime(2026, 12, 1, 18, 0, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))


def test_the_signature_is_the_one_zoom_documents() -> None:
    body = b'{"event": "meeting.ended"}'
    expected = "v0=" + hmac.new(b"secret", b"v0:1626230691:" + body, sha256).hexdigest()
    assert sign("secret", "1626230691", body) == expected


@given(st.binary(max_size=300), st.text(min_size=1, max_size=20))
def test_any_bytes_verify_with_the_secret_that_signed_them(body: bytes, secret: str) -> None:
    if "\ud800" <= max(secret) <= "\udfff":
        return
    headers = signed(body, secret, NOW)
    given_signature = headers["x-zm-signature"]
    assert matching_secret([secret], STAMP, body, given_signature) == 0
    assert matching_secret(["other", secret], STAMP, body, given_signature) == 1
    assert matching_secret([secret], STAMP, body + b" ", given_signature) is None


@pytest.mark.parametrize("signature", ["", "v0=", "v0=ü", "v1=" + "0" * 64, "v0=" + "0" * 64, "\udcff", "☃" * 67])
def test_a_malformed_or_non_ascii_signature_matches_nothing(signature: str) -> None:
    assert matching_secret(["a secret", "another"], STAMP, b"{}", signature) is None


def test_json_written_again_has_another_signature() -> None:
    original = '{"topic":  "Übung ☃"}'.encode()
    signature = sign("secret", STAMP, original)
    assert matching_secret(["secret"], STAMP, original, signature) == 0
    assert matching_secret(["secret"], STAMP, '{"topic": "Übung ☃"}'.encode(), signature) is None


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [(0, "fresh"), (85, "fresh"), (100, "fresh"), (100.1, "stale"), (-5, "fresh"), (-5.1, "future")],
)
def test_the_last_retry_is_fresh_and_a_replay_is_not(minutes: float, expected: str) -> None:
    stamp = str(int((NOW - timedelta(minutes=minutes)).timestamp()))
    assert freshness(stamp, NOW) == expected


@pytest.mark.parametrize("stamp", ["", "soon", "-1", "1e9", "١٢٣", "9" * 400])
def test_what_is_no_number_of_seconds_is_never_fresh(stamp: str) -> None:
    assert freshness(stamp, NOW) == "stale"


def test_the_challenge_is_answered_with_the_given_secret() -> None:
    answer = challenge_answer("secret", "qgg8vlvZRS6UYooatFL8Aw")
    digest = hmac.new(b"secret", b"qgg8vlvZRS6UYooatFL8Aw", sha256).hexdigest()
    assert answer == {"plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": digest}


def test_a_mark_tells_secrets_apart_and_signs_nothing() -> None:
    marks = {secret_mark(secret) for secret in ("one", "two", "þree 🌱", "")}
    assert len(marks) == 4
    assert secret_mark("one") == secret_mark("one") != sign("one", "", b"")[3:19]
