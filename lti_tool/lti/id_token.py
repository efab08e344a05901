"""The id_token of a launch: who signed it, then what must hold of its claims (facts: lti.md §3, LA-2 to LA-11)."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import jwt
from jwt.utils import base64url_decode

from lti_tool.errors import RefusedLaunch
from lti_tool.lti.checks import TELL_PLATFORM, Candidate, checks_of
from lti_tool.lti.key_sets import KeySets
from lti_tool.lti.oidc import State
from lti_tool.lti.registration import Registration

ALGORITHM = "RS256"
LONGEST_TOKEN = 64 * 1024

_jws = jwt.PyJWS(algorithms=[ALGORITHM])


def verify(token: str, registration: Registration, state: State, key_sets: KeySets, now: datetime) -> Mapping[str, Any]:
    """The claims of a token that this registration's platform signed for this login and that stands.

    May ask the platform for its key set, so call it outside of a transaction. Raises RefusedLaunch with the code of the
    first thing that does not hold.
    """
    claims = verify_signature(token, registration, key_sets)
    candidate = Candidate(claims, registration, state, now.timestamp())
    for check in checks_of(candidate):
        if not check.holds(candidate):
            raise RefusedLaunch(check.code, check.message, check.next_step, status=check.status)
    return claims


def verify_signature(token: str, registration: Registration, key_sets: KeySets) -> dict[str, Any]:
    """lti.md LA-2, LA-3: RS256 and nothing else, by a key of this registration's key set; key material in the header is
    ignored. Returns the claims, still unchecked."""
    header = _read_header(token)
    if header.get("alg") != ALGORITHM:
        raise _refused("token_algorithm", f"The launch is not signed with {ALGORITHM}.")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise _refused("key_id_missing", "The launch does not say which key signed it.")
    key = key_sets.key(registration, kid)
    try:
        claims = json.loads(_jws.decode_complete(token, key=key, algorithms=[ALGORITHM])["payload"])
    except jwt.InvalidSignatureError:
        raise _refused("signature_wrong", "The launch was changed on its way, or another key signed it.") from None
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise _unreadable() from None
    if not isinstance(claims, dict):
        raise _unreadable()
    return claims


def _read_header(token: str) -> dict[str, Any]:
    try:
        if len(token) > LONGEST_TOKEN or not token.isascii():
            raise ValueError("not a token")
        header = json.loads(base64url_decode(token.partition(".")[0]))
    except (ValueError, RecursionError):
        raise _unreadable() from None
    if not isinstance(header, dict):
        raise _unreadable()
    return header


def _refused(code: str, message: str) -> RefusedLaunch:
    return RefusedLaunch(code, message, TELL_PLATFORM, status=401)


def _unreadable() -> RefusedLaunch:
    return _refused("token_unreadable", "The learning platform's message cannot be read.")
