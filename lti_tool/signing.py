"""Values that leave the tool and must come back unchanged: signed for one purpose and for a short time.

A signed value is `base64url(JSON) . base64url(HMAC-SHA256)`. It is readable by whoever holds it.
"""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Any


class SignatureWrong(Exception):
    """The value was not signed here for this purpose."""


class SignatureExpired(Exception):
    """The value was signed here, but its time is over."""


def sign(secret: str, purpose: str, payload: dict[str, Any], *, expires_at: datetime) -> str:
    """A signed value that holds `payload` (plain JSON) until `expires_at`."""
    text = json.dumps({**payload, "exp": int(expires_at.timestamp())}, separators=(",", ":"))
    body = base64url(text.encode())
    return f"{body}.{digest(secret, purpose, body)}"


def load(secret: str, purpose: str, signed: str, *, now: datetime) -> dict[str, Any]:
    """The payload of a value made by `sign` with the same secret and purpose; `exp` (Unix seconds) is in it.

    Raises SignatureWrong or SignatureExpired. Nothing is parsed before the signature has been found right.
    """
    body, _, signature = signed.partition(".")
    if not hmac.compare_digest(signature.encode("utf-8", "replace"), digest(secret, purpose, body).encode()):
        raise SignatureWrong
    payload: dict[str, Any] = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    if now.timestamp() >= payload["exp"]:
        raise SignatureExpired
    return payload


def digest(secret: str, purpose: str, text: str) -> str:
    """HMAC-SHA256 of a text for one purpose, in URL-safe base64 without padding."""
    key = hmac.digest(secret.encode(), purpose.encode(), hashlib.sha256)
    return base64url(hmac.digest(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256))


def fingerprint(secret_text: str) -> str:
    """SHA-256 of a random token, in hex: what may be stored or shown where the token itself may not."""
    return hashlib.sha256(secret_text.encode("utf-8", "surrogatepass")).hexdigest()


def base64url(raw: bytes) -> str:
    """URL-safe base64 without padding (RFC 7515)."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
