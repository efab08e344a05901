"""Platform Notification Service 1.0: asking for notices, and reading those that come (facts: lti.md §14).

A notice comes without a session and without a login: it stands on the platform's signature alone.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from jwt.utils import base64url_decode

from lti_tool.errors import PlatformRefused, RefusedLaunch
from lti_tool.http import Reply
from lti_tool.lti.claims import LONGEST_ID, LTI, is_plain_text
from lti_tool.lti.id_token import verify_signature
from lti_tool.lti.key_sets import KeySets
from lti_tool.lti.platform_api import PlatformApi, Question
from lti_tool.lti.registration import Registration

NOTICES_SCOPE = "https://purl.imsglobal.org/spec/lti/scope/noticehandlers"
CONTENT_TYPE = "application/json"
# Canvas documents these names; that other platforms use the same ones is (unverified).
CONTEXT_COPY = "LtiContextCopyNotice"
NOTICE_CLAIM = LTI + "notice"
CONTEXT_CLAIM = LTI + "context"
ORIGIN_CONTEXTS_CLAIM = LTI + "origin_contexts"

VERSION = "1.3.0"
LEEWAY = timedelta(seconds=60).total_seconds()
# A notice lives an hour on Canvas; its nonce is remembered no longer than this.
LONGEST_LIFE = timedelta(days=1).total_seconds()
MOST_NOTICES = 100
MOST_ORIGINS = 100

Find = Callable[[str, str], Registration]


@dataclass(frozen=True, slots=True)
class Notice:
    """One verified notice. Whoever acts on it must use up `nonce`, and remember it until `expires_at`."""

    registration_id: int
    deployment_id: str
    id: str
    type: str
    nonce: str
    expires_at: datetime
    context_id: str | None
    origin_context_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Signed claims that have not been checked yet, and what they are checked against. `now` is Unix seconds."""

    claims: Mapping[str, Any]
    registration: Registration
    now: float

    def __getitem__(self, name: str) -> Any:
        return self.claims.get(name)

    @property
    def notice(self) -> Mapping[str, Any]:
        claim = self[NOTICE_CLAIM]
        return claim if isinstance(claim, dict) else {}


@dataclass(frozen=True, slots=True)
class _Check:
    code: str
    holds: Callable[[_Candidate], bool]
    message: str


def ask_for_notices(
    api: PlatformApi, registration_id: int, service_url: str, handler_url: str, types: Iterable[str]
) -> None:
    """Ask a platform to send its notices of these types to `handler_url`; "" asks it to stop.

    Raises what `PlatformApi.fetch` does, and PlatformRefused `notices_refused`.
    """
    for each in types:
        body = json.dumps({"notice_type": each, "handler": handler_url}).encode()
        question = Question(
            registration_id,
            (NOTICES_SCOPE,),
            service_url,
            "notices",
            service_url,
            "PUT",
            CONTENT_TYPE,
            CONTENT_TYPE,
            body,
        )

        def verify_taken(reply: Reply) -> None:
            if not reply.is_ok:
                message = "The platform does not send its notices to the tool."
                raise PlatformRefused("notices_refused", message, answered=reply.status)

        api.fetch(question, verify_taken)


def load_notices(body: bytes, find: Find, key_sets: KeySets, now: datetime) -> list[Notice]:
    """The notices of one delivery, each signed by the platform that it names and not expired.

    `find` gives the active registration of an issuer and client id, or raises RefusedLaunch. May ask platforms for
    their key sets: call it outside of a transaction. Raises RefusedLaunch; one invalid notice refuses the whole
    delivery.
    """
    return [_load(token, find, key_sets, now) for token in _tokens(body)]


def _tokens(body: bytes) -> list[str]:
    try:
        notices = json.loads(body)["notices"]
        tokens = [each["jwt"] for each in notices]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _unreadable() from None
    if len(tokens) > MOST_NOTICES or not all(isinstance(each, str) for each in tokens):
        raise _unreadable()
    return tokens


def _load(token: str, find: Find, key_sets: KeySets, now: datetime) -> Notice:
    registration = find(*_says_it_is_from(token))
    claims = verify_signature(token, registration, key_sets)
    candidate = _Candidate(claims, registration, now.timestamp())
    for check in CHECKS:
        if not check.holds(candidate):
            next_step = "Check the platform's registration here."
            raise RefusedLaunch(check.code, check.message, next_step, status=401)
    context = claims.get(CONTEXT_CLAIM)
    return Notice(
        registration_id=registration.id,
        deployment_id=claims[LTI + "deployment_id"],
        id=candidate.notice["id"],
        type=candidate.notice["type"],
        nonce=claims["nonce"],
        expires_at=datetime.fromtimestamp(claims["exp"] + LEEWAY, UTC),
        context_id=context["id"] if context else None,
        origin_context_ids=tuple(claims.get(ORIGIN_CONTEXTS_CLAIM) or ()),
    )


def _says_it_is_from(token: str) -> tuple[str, str]:
    """The issuer and client id that the token states, not verified yet: they only select the keys that must have signed
    it."""
    try:
        claims = json.loads(base64url_decode(token.split(".")[1]))
        audience = claims["aud"]
        issuer, client_id = claims["iss"], audience[0] if isinstance(audience, list) else audience
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        raise _unreadable() from None
    if not (is_plain_text(issuer, LONGEST_ID) and is_plain_text(client_id, LONGEST_ID)):
        raise _unreadable()
    return issuer, client_id


def is_from_registration(it: _Candidate) -> bool:
    return bool(it["iss"] == it.registration.issuer)


def is_for_us_alone(it: _Candidate) -> bool:
    audience = it["aud"]
    audiences = audience if isinstance(audience, list) else [audience]
    ours = it.registration.client_id
    return bool(audiences) and all(each == ours for each in audiences) and it.claims.get("azp", ours) == ours


def is_in_its_time(it: _Candidate) -> bool:
    issued_at, expires_at = it["iat"], it["exp"]
    if not (_is_instant(issued_at) and _is_instant(expires_at)):
        return False
    return bool(issued_at <= it.now + LEEWAY and it.now < expires_at + LEEWAY and expires_at - it.now <= LONGEST_LIFE)


def has_nonce(it: _Candidate) -> bool:
    return bool(it["nonce"]) and is_plain_text(it["nonce"], LONGEST_ID)


def is_version_known(it: _Candidate) -> bool:
    return bool(it[LTI + "version"] == VERSION)


def is_deployment_known(it: _Candidate) -> bool:
    deployment = it[LTI + "deployment_id"]
    return isinstance(deployment, str) and deployment in it.registration.deployment_ids


def is_notice_named(it: _Candidate) -> bool:
    return all(bool(it.notice.get(name)) and is_plain_text(it.notice[name], LONGEST_ID) for name in ("id", "type"))


def are_contexts_named(it: _Candidate) -> bool:
    """Both may be missing; a notice of a copy names the copy."""
    context, origins = it[CONTEXT_CLAIM], it[ORIGIN_CONTEXTS_CLAIM]
    if origins is not None:
        is_list = isinstance(origins, list) and len(origins) <= MOST_ORIGINS
        if not is_list or not all(bool(each) and is_plain_text(each, LONGEST_ID) for each in origins):
            return False
    if context is None:
        return it.notice.get("type") != CONTEXT_COPY
    return isinstance(context, dict) and bool(context.get("id")) and is_plain_text(context["id"], LONGEST_ID)


def _is_instant(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12


CHECKS: tuple[_Check, ...] = (
    _Check("notice_issuer_wrong", is_from_registration, "The notice comes from another platform."),
    _Check("notice_audience_wrong", is_for_us_alone, "The notice is meant for another tool."),
    _Check("notice_time_wrong", is_in_its_time, "The notice is past its time, or lies in the future."),
    _Check("notice_nonce_missing", has_nonce, "The notice cannot be told from a repeated one."),
    _Check("notice_version_wrong", is_version_known, "The notice is not of LTI version 1.3.0."),
    _Check("notice_deployment_unknown", is_deployment_known, "This deployment of the tool is not registered here."),
    _Check("notice_unnamed", is_notice_named, "The notice does not say what it is."),
    _Check("notice_contexts_wrong", are_contexts_named, "The notice does not say which courses it is about."),
)


def _unreadable() -> RefusedLaunch:
    return RefusedLaunch("notice_unreadable", "The platform's notice cannot be read.", status=400)
