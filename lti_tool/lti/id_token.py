"""The id_token of a launch: who signed it, then what must hold of its claims (lti.md §3, LA-2 to LA-11).

The checks are one flat table for every message and one for each kind of message. They run in order; the first that
fails refuses the launch with its code.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import jwt
from jwt.utils import base64url_decode

from lti_tool.errors import RefusedLaunch
from lti_tool.lti.claims import (
    DEEP_LINKING_REQUEST,
    DL,
    LONGEST_ID,
    LTI,
    RESOURCE_LINK_REQUEST,
    SUBMISSION_REVIEW_REQUEST,
    is_plain_text,
)
from lti_tool.lti.key_sets import KeySets
from lti_tool.lti.login import REOPEN, State
from lti_tool.lti.registration import Registration, origin

ALGORITHM = "RS256"
VERSION = "1.3.0"
LONGEST_TOKEN = 64 * 1024
LEEWAY = timedelta(seconds=60).total_seconds()
OLDEST = timedelta(minutes=10).total_seconds()
FAR_FUTURE = 1e12
# What no web address holds (RFC 3986), and what would be markup on a page.
NOT_IN_ADDRESS = frozenset('\\<>"` ')

DEEP_LINKING_SETTINGS = DL + "deep_linking_settings"

TELL_PLATFORM = "Tell the people who run the course: the learning platform's message is not as LTI 1.3 describes it."
CHECK_CLOCKS = f"{REOPEN} If it stays, tell the people who run the platform to check the clocks of both machines."
CHECK_REGISTRATION = "Tell the people who run the course: the platform's registration with Gatehouse does not fit."


_jws = jwt.PyJWS(algorithms=[ALGORITHM])


@dataclass(frozen=True, slots=True)
class Candidate:
    """Signed claims that have not been checked yet, and what they are checked against. `now` is Unix seconds."""

    claims: Mapping[str, Any]
    registration: Registration
    state: State
    now: float

    def __getitem__(self, name: str) -> Any:
        return self.claims.get(name)

    def lti(self, name: str) -> Any:
        return self.claims.get(LTI + name)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold, and how its failure is told."""

    code: str
    holds: Callable[[Candidate], bool]
    message: str
    next_step: str = TELL_PLATFORM
    status: int = 400


def is_issuer_registered(it: Candidate) -> bool:
    return bool(it["iss"] == it.registration.issuer)


def is_audience_us_alone(it: Candidate) -> bool:
    audience = it["aud"]
    audiences = audience if isinstance(audience, list) else [audience]
    return bool(audiences) and all(each == it.registration.client_id for each in audiences)


def is_authorized_party_us(it: Candidate) -> bool:
    """lti.md LA-5: a list of several needs `azp`; an `azp` is ours wherever it stands."""
    audience = it["aud"]
    if "azp" not in it.claims:
        return not (isinstance(audience, list) and len(audience) > 1)
    return bool(it["azp"] == it.registration.client_id)


def is_expiry_ahead(it: Candidate) -> bool:
    return _is_number(it["exp"]) and it.now < it["exp"] + LEEWAY


def is_issued_now(it: Candidate) -> bool:
    return _is_number(it["iat"]) and it.now - OLDEST <= it["iat"] <= it.now + LEEWAY


def is_valid_yet(it: Candidate) -> bool:
    return "nbf" not in it.claims or (_is_number(it["nbf"]) and it["nbf"] <= it.now + LEEWAY)


def is_nonce_of_state(it: Candidate) -> bool:
    return bool(it["nonce"] == it.state.nonce)


def is_subject_text(it: Candidate) -> bool:
    return bool(it["sub"]) and is_plain_text(it["sub"], LONGEST_ID)


def is_subject_who_logged_in(it: Candidate) -> bool:
    """lti.md LA-8: on platforms that promise it, the launch is for the person the login was for."""
    return not it.registration.profile.sub_is_login_hint or bool(it["sub"] == it.state.login_hint)


def is_version_known(it: Candidate) -> bool:
    return bool(it.lti("version") == VERSION)


def is_message_type_named(it: Candidate) -> bool:
    return isinstance(it.lti("message_type"), str) and bool(it.lti("message_type"))


def is_message_served(it: Candidate) -> bool:
    return it.lti("message_type") in MESSAGES


def is_deployment_known(it: Candidate) -> bool:
    deployment = it.lti("deployment_id")
    return isinstance(deployment, str) and deployment in it.registration.deployment_ids


def is_role_list(it: Candidate) -> bool:
    roles = it.lti("roles")
    return isinstance(roles, list) and all(isinstance(role, str) for role in roles)


def is_resource_link_named(it: Candidate) -> bool:
    link = it.lti("resource_link")
    return isinstance(link, dict) and isinstance(link.get("id"), str) and bool(link["id"])


def is_target_named(it: Candidate) -> bool:
    return isinstance(it.lti("target_link_uri"), str) and bool(it.lti("target_link_uri"))


def has_settings(it: Candidate) -> bool:
    return isinstance(it[DEEP_LINKING_SETTINGS], dict)


def is_return_url_safe(it: Candidate) -> bool:
    """lti.md DL-3: an absolute https address in plain spelling, without user and password; http only on the platform's
    own hosts, where it was registered with http, which takes the setting for private addresses."""
    url = it[DEEP_LINKING_SETTINGS].get("deep_link_return_url")
    if not isinstance(url, str) or not (url.isascii() and url.isprintable()) or NOT_IN_ADDRESS.intersection(url):
        return False
    if origin(url) is None or "@" in urlsplit(url).netloc:
        return False
    return url.lower().startswith("https:") or origin(url) in it.registration.hosts


def is_type_list(it: Candidate) -> bool:
    types = it[DEEP_LINKING_SETTINGS].get("accept_types")
    return isinstance(types, list) and all(isinstance(each, str) for each in types)


def is_learner_named(it: Candidate) -> bool:
    learner = it.lti("for_user")
    return isinstance(learner, dict) and bool(learner.get("user_id")) and is_plain_text(learner["user_id"], LONGEST_ID)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < FAR_FUTURE


EVERY_MESSAGE: tuple[Check, ...] = (
    Check(
        "issuer_wrong",
        is_issuer_registered,
        "The launch comes from another platform than the login.",
        CHECK_REGISTRATION,
        401,
    ),
    Check("audience_wrong", is_audience_us_alone, "The launch is meant for another tool.", CHECK_REGISTRATION, 401),
    Check(
        "authorized_party_wrong",
        is_authorized_party_us,
        "The launch was handed out to another tool.",
        CHECK_REGISTRATION,
        401,
    ),
    Check("token_expired", is_expiry_ahead, "The launch is past its time, or names none.", CHECK_CLOCKS, 401),
    Check(
        "issued_wrong",
        is_issued_now,
        "The launch was issued too long ago or lies in the future.",
        CHECK_CLOCKS,
        401,
    ),
    Check("not_valid_yet", is_valid_yet, "The launch is valid only later.", CHECK_CLOCKS, 401),
    Check("nonce_wrong", is_nonce_of_state, "The launch does not belong to this login.", REOPEN, 401),
    Check("subject_wrong", is_subject_text, "The launch does not say who opens the unit.", TELL_PLATFORM, 401),
    Check(
        "login_hint_wrong",
        is_subject_who_logged_in,
        "The launch is for another person than the login.",
        REOPEN,
        401,
    ),
    Check("version_wrong", is_version_known, f"The message is not of LTI version {VERSION}."),
    Check("message_type_missing", is_message_type_named, "The message does not say what it is."),
    Check(
        "message_not_served",
        is_message_served,
        "This tool does not serve this kind of message: only launches, deep linking and submission reviews.",
        "Open a unit of the course, or add one by hand as the administrator's guide says.",
    ),
    Check(
        "deployment_unknown",
        is_deployment_known,
        "This deployment of the tool is not registered here.",
        "Ask the people who run the course to add the deployment id to the platform's registration.",
        403,
    ),
    Check("roles_wrong", is_role_list, "The message does not say in which roles the unit is opened."),
)

# Message type → what must hold of that message beyond what holds of all.
MESSAGES: Mapping[str, tuple[Check, ...]] = {
    RESOURCE_LINK_REQUEST: (
        Check("resource_link_missing", is_resource_link_named, "The message does not say which unit is opened."),
        Check("target_missing", is_target_named, "The message does not say which page the unit opens."),
    ),
    # Certification sends it without resource_link and target_link_uri, Open edX without resource_link (lti.md DL-1).
    DEEP_LINKING_REQUEST: (
        Check("settings_missing", has_settings, "The message does not say what may be picked and where it goes."),
        Check("return_url_wrong", is_return_url_safe, "The picked content would go to an address that is not safe."),
        Check("accept_types_missing", is_type_list, "The message does not say which kinds of content may be picked."),
    ),
    SUBMISSION_REVIEW_REQUEST: (
        Check("learner_missing", is_learner_named, "The message does not say whose work is to be reviewed."),
    ),
}


def checks_of(it: Candidate) -> Iterator[Check]:
    """What is checked of this message, in order. Stop at the first that fails: the rest relies on it."""
    yield from EVERY_MESSAGE
    yield from MESSAGES[it.lti("message_type")]


def verify(token: str, registration: Registration, state: State, key_sets: KeySets, now: datetime) -> Mapping[str, Any]:
    """The claims of a token that this registration's platform signed for this login, if every check holds.

    May ask the platform for its key set, so call it outside of a transaction. Raises RefusedLaunch with the code of the
    first check that fails.
    """
    claims = verify_signature(token, registration, key_sets)
    candidate = Candidate(claims, registration, state, now.timestamp())
    for check in checks_of(candidate):
        if not check.holds(candidate):
            raise RefusedLaunch(check.code, check.message, check.next_step, status=check.status)
    return claims


def verify_signature(token: str, registration: Registration, key_sets: KeySets) -> dict[str, Any]:
    """lti.md LA-2, LA-3: accepts RS256 only, by a key of this registration's key set; ignores key material in the
    header. Returns the claims, still unchecked."""
    try:
        if len(token) > LONGEST_TOKEN or not token.isascii():
            raise ValueError("not a token")
        header = json.loads(base64url_decode(token.partition(".")[0]))
    except (ValueError, RecursionError):
        raise _unreadable() from None
    if not isinstance(header, dict):
        raise _unreadable()
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


def _refused(code: str, message: str) -> RefusedLaunch:
    return RefusedLaunch(code, message, TELL_PLATFORM, status=401)


def _unreadable() -> RefusedLaunch:
    return _refused("token_unreadable", "The learning platform's message cannot be read.")
