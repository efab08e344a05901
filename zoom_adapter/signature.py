"""Verifies that a delivery comes from Zoom: its signature, the age of its timestamp, the answer to a challenge.

PURE. The signature covers the raw bytes (zoom.md §2): JSON that was parsed and written again has another one.
"""

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Literal

Freshness = Literal["fresh", "stale", "future"]

# Zoom's last retry comes 85 minutes after the first try, and Zoom doesn't document whether it is signed anew.
OLDEST = timedelta(minutes=100)
FURTHEST_AHEAD = timedelta(minutes=5)


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The value of `x-zm-signature` for these bytes and this `x-zm-request-timestamp`."""
    message = b"v0:" + _bytes(timestamp) + b":" + body
    return "v0=" + hmac.new(_bytes(secret), message, sha256).hexdigest()


def matching_secret(secrets: Sequence[str], timestamp: str, body: bytes, signature: str) -> int | None:
    """The position of the secret that signed this delivery, or None.

    Tries every secret, compares in constant time, and accepts any character in the header texts.
    """
    given = _bytes(signature)
    matches = [hmac.compare_digest(_bytes(sign(secret, timestamp, body)), given) for secret in secrets]
    return matches.index(True) if any(matches) else None


def freshness(timestamp: str, now: datetime) -> Freshness:
    """How old a timestamp in epoch seconds is; any other text is "stale"."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return "stale"
    age = now.timestamp() - int(timestamp)
    if age > OLDEST.total_seconds():
        return "stale"
    return "future" if -age > FURTHEST_AHEAD.total_seconds() else "fresh"


def challenge_answer(secret: str, plain_token: str) -> dict[str, str]:
    """The body that answers `endpoint.url_validation`. Call it only for a delivery whose signature matched this secret;
    otherwise the tool would sign texts for strangers."""
    encrypted = hmac.new(_bytes(secret), _bytes(plain_token), sha256).hexdigest()
    return {"plainToken": plain_token, "encryptedToken": encrypted}


@cache
def secret_mark(secret: str) -> str:
    """A fingerprint (16 hex digits) that identifies the secret of a delivery later. It can't be used to sign."""
    return hmac.new(_bytes(secret), b"the mark of this secret", sha256).hexdigest()[:16]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
