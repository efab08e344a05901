"""Calls to a platform's services, each with an access token of that platform (facts: lti.md §8 and §9)."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from lti_tool.db import Database
from lti_tool.errors import AddressRefused, OutboundError, PlatformRefused
from lti_tool.http import Http, Reply
from lti_tool.lti.keys import ToolKeys
from lti_tool.lti.registration import Registration, load, origin
from lti_tool.lti.service_answers import AnswerBook
from lti_tool.lti.service_urls import below
from lti_tool.lti.tokens import Tokens

SCORE_SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope/score"
SCORE_TYPE = "application/vnd.ims.lis.v1.score+json"

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a platform said to a score: the HTTP status, whatever it is, and the first characters of its body."""

    status: int
    body_start: str

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Question:
    """One request to a service. `scopes` are whole URIs; `service` and `subject` are what its answer is filed under
    (service_answers). A 403 whose body holds `not_the_token` is no reason to ask for another token."""

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
        self._tokens = Tokens(http, keys, clock, self._answers)

    def token(self, registration_id: int, scopes: Collection[str]) -> str:
        """An access token for exactly these scopes (whole URIs), kept until a minute before it expires.

        Raises what `Tokens.token` does.
        """
        return self._tokens.token(self.registration(registration_id), scopes)

    def fetch(self, question: Question, read: Callable[[Reply], Read]) -> Read:
        """What `read` makes of the answer to a question. What came of it is noted (service_answers).

        A 401 or 403 is asked once more with a new token. Raises AddressRefused `service_foreign` when the address is
        not on one of the platform's own hosts, PlatformRefused when the platform is not in use here or no token is to
        be had, NoAnswer when nothing came back (the request may then have arrived), and what `read` raises.
        """
        note = partial(self._answers.note, question.registration_id, question.service, question.subject)
        try:
            reply = self._ask(question)
        except OutboundError as error:
            note(error.answered if isinstance(error, PlatformRefused) else 0, error.code)
            raise
        try:
            found = read(reply)
        except PlatformRefused as error:
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
        return Answer(reply.status, reply.body_start)

    def registration(self, registration_id: int) -> Registration:
        """The registration of this id. Raises NotFound `platform_missing`."""
        with self._database.read() as connection:
            return load(connection, registration_id)

    def _ask(self, question: Question) -> Reply:
        registration = self.registration(question.registration_id)
        _verify_in_use(registration)
        _verify_own(registration, question.url)
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


def _verify_in_use(registration: Registration) -> None:
    if not registration.is_active:
        raise PlatformRefused(
            "platform_not_in_use", "This platform waits for approval here, or is switched off.", answered=0
        )


def _verify_own(registration: Registration, url: str) -> None:
    if origin(url) not in registration.hosts:
        raise AddressRefused(
            "service_foreign",
            "The service is not on one of the platform's own hosts, so no access token is sent there.",
            "Check the platform's addresses with `gatehouse platform show`.",
        )
