"""Calls to a platform's services, each with an access token of that platform (lti.md §8, §9).

Access tokens are asked for by client assertion (lti.md TK-1 to TK-5). Addresses of services are made from the ones that
the platform gave, and nothing of those is lost or changed (lti.md AG-3, AG-5).
"""

import json
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from urllib.parse import SplitResult, quote, unquote_plus, urlsplit, urlunsplit

import jwt

from lti_tool.db import Database
from lti_tool.errors import AddressRefused, NoAnswer, OutboundError, PlatformRefused
from lti_tool.http import CONNECT_SECONDS, READ_SECONDS, WHOLE_ANSWER_SECONDS, Http, Pauses, Reply
from lti_tool.lti.claims import LTI
from lti_tool.lti.keys import ToolKeys
from lti_tool.lti.registration import Registration, load, origin
from lti_tool.lti.service_log import AnswerBook
from lti_tool.oauth import WAIT_SECONDS, AccessToken, TokenCache, usable_for

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFE = timedelta(minutes=5)
# Moodle allows no skew: an assertion issued a second in its future is refused.
ISSUED_AGO = timedelta(seconds=5)
LONGEST_LIFE = timedelta(days=1)
# A token, the request, and both once more after a 401, each as slow as `http` allows.
LONGEST_CALL = 4 * timedelta(seconds=CONNECT_SECONDS + READ_SECONDS + WHOLE_ANSWER_SECONDS)

TokenKey = tuple[int, str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What an error of the token endpoint means, and the signs by which it is known."""

    code: str
    message: str
    errors: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()

    def fits(self, status: int, error: str, words: str) -> bool:
        return error in self.errors or status in self.statuses or any(each in words for each in self.words)


SCOPE_REFUSED = _Refusal(
    "scope_refused", "The platform does not allow this service to the tool.", errors=("invalid_scope",)
)
# Open edX: openedx.md §6. Moodle puts an internal message where the OAuth code belongs (moodle.md §4); what it says of
# a token's time is (unverified).
REFUSALS = (
    _Refusal(
        "assertion_expired",
        "The platform finds our request for access too old or too early: the clocks of both machines disagree.",
        errors=("unidentified_error",),
        words=("expired", "prior to", "not yet valid"),
    ),
    SCOPE_REFUSED,
    _Refusal(
        "tool_keys_unreadable",
        "The platform could not check our signature: it cannot read this tool's key set, or has another key for it.",
        errors=("invalid_client",),
    ),
    _Refusal(
        "token_url_wrong",
        "There is no token service at the platform's token address, or it does not know this client.",
        statuses=(404, 405, 410),
    ),
)
UNKNOWN_REFUSAL = _Refusal(
    "token_refused",
    "The platform gave no access token. Often it cannot read this tool's key set, or the clocks disagree.",
)


class Tokens:
    """The tokens in memory, by (registration, client, scopes). Call it outside of a transaction."""

    def __init__(
        self,
        http: Http,
        keys: ToolKeys,
        clock: Callable[[], datetime],
        answers: AnswerBook,
        *,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._http = http
        self._keys = keys
        self._clock = clock
        self._answers = answers
        self._pauses: Pauses[int] = Pauses(clock)
        self._cache: TokenCache[TokenKey, AccessToken] = TokenCache(clock, wait_seconds=wait_seconds)

    def token(self, registration: Registration, scopes: Collection[str]) -> str:
        """A token for exactly these scopes (whole URIs), kept until a minute before it expires.

        Raises PlatformRefused `token_refused`, `scope_refused`, `tool_keys_unreadable`, `assertion_expired` or
        `token_url_wrong`, or `asked_to_wait` while the token service wants a pause; NoAnswer (`token_awaited` when
        another thread's request takes too long), AddressRefused.
        """
        key = _token_key(registration, scopes)
        try:
            return self._cache.token(key, partial(self._fetch, registration, key[2])).value
        except TimeoutError as error:
            raise NoAnswer(
                "token_awaited", "The platform's token service is slow.", "Try again in a few minutes."
            ) from error

    def forget(self, registration: Registration, scopes: Collection[str], refused: str) -> None:
        """Drop a token that a service refused, unless it has been replaced meanwhile."""
        self._cache.forget(_token_key(registration, scopes), refused)

    def _fetch(self, registration: Registration, scopes: tuple[str, ...]) -> AccessToken:
        """lti.md TK-1. An assertion is used once, so the request is repeated only by asking for a token again."""
        self._pauses.verify_over(registration.id)
        note = partial(self._answers.note, registration.id, "token", " ".join(scopes))
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self._assertion(registration),
            "scope": " ".join(scopes),
        }
        try:
            accept = {"Accept": "application/json"}
            reply = self._http.request("POST", registration.token_url, headers=accept, data=form)
            document = reply.json_object  # lti.md TK-4
            until = self._pauses.heed(registration.id, reply)
            if not reply.is_ok or not _is_bearer(document):
                refused = _refused(reply, document)
                refused.retry_at = until
                raise refused
            if not set(scopes) <= _granted(document, scopes):
                raise PlatformRefused(SCOPE_REFUSED.code, SCOPE_REFUSED.message, answered=reply.status)
        except OutboundError as error:
            note(error.answered, error.code)
            raise
        note(reply.status, "")
        return AccessToken(document["access_token"], self._clock() + usable_for(document, LONGEST_LIFE))

    def _assertion(self, registration: Registration) -> str:
        """lti.md TK-2. Names the deployment if the registration has only one (core 6.2.1)."""
        key, now = self._keys.signing_key(), self._clock()
        claims = {
            "iss": registration.client_id,
            "sub": registration.client_id,
            "aud": registration.token_audience or registration.token_url,
            "iat": int((now - ISSUED_AGO).timestamp()),
            "exp": int((now - ISSUED_AGO + ASSERTION_LIFE).timestamp()),
            "jti": secrets.token_urlsafe(24),
        }
        if len(registration.deployment_ids) == 1:
            claims[LTI + "deployment_id"] = next(iter(registration.deployment_ids))
        return jwt.encode(claims, key.private_key, algorithm="RS256", headers={"kid": key.kid})


def _token_key(registration: Registration, scopes: Collection[str]) -> TokenKey:
    return registration.id, registration.client_id, tuple(sorted(set(scopes)))


def _refused(reply: Reply, document: Mapping[str, Any]) -> PlatformRefused:
    error = document.get("error")
    words = f"{error} {document.get('error_description')}"[:1000].lower()
    fitting = (each for each in REFUSALS if not reply.is_ok and each.fits(reply.status, str(error), words))
    refusal = next(fitting, UNKNOWN_REFUSAL)
    return PlatformRefused(refusal.code, refusal.message, answered=reply.status)


def _is_bearer(document: Mapping[str, Any]) -> bool:
    value, kind = document.get("access_token"), document.get("token_type", "bearer")
    return (
        isinstance(value, str)
        and value.isascii()
        and value.isprintable()
        and bool(value.strip())
        and isinstance(kind, str)
        and kind.lower() == "bearer"
    )


def _granted(document: Mapping[str, Any], asked: Collection[str]) -> set[str]:
    """lti.md TK-3: the scopes that the answer names; if it names none, those that were asked for (RFC 6749 5.1)."""
    said = document.get("scope")
    if said is None:
        return set(asked)
    words = said.split() if isinstance(said, str) else said
    return {each for each in words if isinstance(each, str)} if isinstance(words, list) else set()


def below(url: str, *steps: str) -> str:
    """The address with more steps at the end of its path, each percent-encoded; its query stays (Moodle's line items
    carry `?type_id=`). Raises AddressRefused `address_refused` when it is no web address."""
    parts = _split(url)
    path = "/".join([parts.path.rstrip("/"), *(quote(step, safe="") for step in steps)])
    return urlunsplit(parts._replace(path=path))


def with_query(url: str, wanted: Mapping[str, str | None]) -> str:
    """The address with these parameters, percent-encoded (Open edX answers 500 to a bare `+`); None leaves one out.

    A parameter of the same name that was there is replaced, every other stays byte for byte. Raises as `below`.
    """
    parts = _split(url)
    kept = [each for each in parts.query.split("&") if each and unquote_plus(each.partition("=")[0]) not in wanted]
    added = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in wanted.items() if value is not None]
    return urlunsplit(parts._replace(query="&".join(kept + added)))


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        message = "The platform gave something that is no web address."
        raise AddressRefused("address_refused", message, "Ask the platform's administrator.") from error


SCORE_SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope/score"
SCORE_TYPE = "application/vnd.ims.lis.v1.score+json"

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a platform said to a score: the HTTP status, whatever it is, the first characters of its body, and when it
    may be asked again, if it said so."""

    status: int
    body_start: str
    retry_at: datetime | None = None

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Question:
    """One request to a service. `scopes` are whole URIs; the log of services (service_log) keeps its answer under
    `service` and `subject`. A 403 whose body holds `not_the_token` is no reason to ask for another token."""

    registration_id: int
    scopes: tuple[str, ...]
    url: str
    service: str
    subject: str = ""
    method: str = "GET"
    accept: str | None = None
    content_type: str | None = None
    body: bytes | None = field(default=None, repr=False)
    not_the_token: bytes | None = None

    def headers(self, token: str) -> dict[str, str]:
        typed = {} if self.content_type is None else {"Content-Type": self.content_type}
        return {"Authorization": f"Bearer {token}", "Accept": self.accept or "*/*"} | typed

    def is_about_the_token(self, reply: Reply) -> bool:
        """Whether the token may be at fault: Open edX says 403 to one that has expired, others 401 (lti.md TK-6)."""
        if reply.status not in (401, 403):
            return False
        return self.not_the_token is None or self.not_the_token not in reply.body


class PlatformApi:
    """The services of the registered platforms. Safe to use from several threads; call it outside of a transaction,
    for it reads registrations and keys in its own and waits for other machines."""

    def __init__(
        self,
        database: Database,
        http: Http,
        keys: ToolKeys,
        clock: Callable[[], datetime],
        answers: AnswerBook | None = None,
    ) -> None:
        self._database = database
        self._http = http
        self._answers = answers or AnswerBook(database, clock)
        self._pauses: Pauses[tuple[int, str]] = Pauses(clock)
        self._tokens = Tokens(http, keys, clock, self._answers)

    def token(self, registration_id: int, scopes: Collection[str]) -> str:
        """An access token for exactly these scopes (whole URIs), kept until a minute before it expires.

        Raises what `Tokens.token` does.
        """
        return self._tokens.token(self.registration(registration_id), scopes)

    def fetch(self, question: Question, read: Callable[[Reply], Read]) -> Read:
        """What `read` makes of the answer to a question; the outcome is kept in service_answers.

        A 401 or 403 is asked once more with a new token. Raises AddressRefused `service_foreign` when the address is
        not on one of the platform's own hosts, PlatformRefused when the platform is not in use here, no token is to be
        had, or the service wants a pause (`asked_to_wait`), NoAnswer when nothing came back (the request may then have
        arrived), and what `read` raises. A refusal has the end of the pause that it asks for (`retry_at`).
        """
        service = question.registration_id, question.service
        self._pauses.verify_over(service)
        note = partial(self._answers.note, question.registration_id, question.service, question.subject)
        try:
            reply = self._ask(question)
        except OutboundError as error:
            note(error.answered, error.code)
            raise
        until = self._pauses.heed(service, reply)
        try:
            found = read(reply)
        except PlatformRefused as error:
            error.retry_at = until
            note(reply.status, error.code)
            raise
        note(reply.status, "" if reply.is_ok else "service_refused")
        return found

    def post_score(self, registration_id: int, line_item_url: str, score: Mapping[str, Any]) -> Answer:
        """Post one AGS 2.0 score to a line item; any status is an Answer, for the ledger to judge. Raises what `fetch`
        does."""
        question = Question(
            registration_id,
            (SCORE_SCOPE,),
            scores_url(line_item_url),
            service="scores",
            subject=line_item_url,
            method="POST",
            content_type=SCORE_TYPE,
            body=json.dumps(score).encode(),
        )
        reply = self.fetch(question, lambda reply: reply)
        return Answer(reply.status, reply.body_start, self._pauses.heed((registration_id, question.service), reply))

    def registration(self, registration_id: int) -> Registration:
        """The registration of this id. Raises NotFound `platform_missing`."""
        with self._database.read() as connection:
            return load(connection, registration_id)

    def _ask(self, question: Question) -> Reply:
        registration = self.registration(question.registration_id)
        if not registration.is_active:
            raise PlatformRefused(
                "platform_not_in_use", "This platform waits for approval here, or is switched off.", answered=0
            )
        if origin(question.url) not in registration.hosts:
            raise AddressRefused(
                "service_foreign",
                "The service is not on one of the platform's own hosts, so no access token is sent there.",
                "Check the platform's addresses with `gatehouse platform show`.",
            )
        token = self._tokens.token(registration, question.scopes)
        reply = self._send(question, token)
        if question.is_about_the_token(reply):
            self._tokens.forget(registration, question.scopes, token)
            reply = self._send(question, self._tokens.token(registration, question.scopes))
        return reply

    def _send(self, question: Question, token: str) -> Reply:
        headers = question.headers(token)
        return self._http.request(question.method, question.url, headers=headers, data=question.body)


def scores_url(line_item_url: str) -> str:
    """The line item's path with `/scores` after it; its query stays (lti.md AG-3: Moodle's carry `?type_id=`)."""
    return below(line_item_url, "scores")
