"""One call of Zoom's REST interface: the token, the pace, what is worth asking again, and lists of several pages."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from logging import getLogger
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

from lti_tool.errors import NoAnswer
from lti_tool.http import Http, Reply
from zoom_adapter.api_errors import (
    ZoomRefused,
    daily_limit,
    document,
    rate_limited,
    refusal,
    registrant_limit,
    unreadable,
)
from zoom_adapter.limits import Limits, Weight, is_daily, next_day, retry_at
from zoom_adapter.tokens import Token, ZoomTokens

log = getLogger(__name__)

MOST_BACKOFFS = 3
PAGE_SIZE = 300
# 10,000 people with fourteen stays each are 467 pages.
MOST_PAGES = 2000
# A page of 300 rows is 150 KB, the polls of a large class several MB in one answer: the door's usual cap is for less.
MOST_BYTES = 16 * 1024 * 1024

Answer = TypeVar("Answer")


class Call(NamedTuple):
    """A kind of call: how heavy it is for the limits, and the scope it needs, to be named when it is missing."""

    weight: Weight
    scope: str


@dataclass(frozen=True, slots=True)
class Question:
    """One request: a path below the interface's address, each step of it encoded as it is to be sent."""

    call: Call
    path: str
    method: str = "GET"
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)


class Calls:
    """Asks Zoom. Safe to use from several threads; call it outside of a transaction."""

    def __init__(self, http: Http, tokens: ZoomTokens, limits: Limits) -> None:
        self._http = http
        self._tokens = tokens
        self._limits = limits

    def ask(self, question: Question) -> dict[str, Any]:
        """The answer's JSON object, empty for an answer without a body.

        Raises ZoomRefused with what Zoom refuses, NoAnswer when there is no answer or none that can be read.
        """
        reply = self._reply(question)
        if not reply.is_ok:
            raise refusal(reply, question.call.scope)
        said = document(reply)
        if reply.body.strip() and not said and reply.body.strip() != b"{}":
            raise unreadable()
        return said

    def pages(self, question: Question, name: str) -> list[dict[str, Any]]:
        """All rows of the list `name` from all pages, or an exception: half a list is none.

        Raises what `ask` raises, and NoAnswer `zoom_pages_endless` when the pages go round in a circle.
        """
        rows: list[dict[str, Any]] = []
        for page in self._pages(question):
            found = page.get(name)
            if not isinstance(found, list):
                raise unreadable()
            rows += [each for each in found if isinstance(each, dict)]
        return rows

    def _pages(self, question: Question) -> Iterator[dict[str, Any]]:
        """Zoom's token for the next page lives 15 minutes and wants the same parameters again."""
        seen: set[str] = {""}
        following: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            parameters = {**question.parameters, "page_size": str(PAGE_SIZE), **following}
            page = self.ask(Question(question.call, question.path, parameters=parameters))
            yield page
            token = page.get("next_page_token") or ""
            if token == "":
                return
            if not isinstance(token, str) or token in seen:
                break
            seen.add(token)
            following = {"next_page_token": token}
        raise _endless()

    def _reply(self, question: Question) -> Reply:
        """The answer to a question that Zoom had time for; a token that is refused is replaced once."""
        reply, token = self._in_time(question)
        if reply.status == 401 and not _is_about_scope(reply):
            self._tokens.forget(token)
            reply, _ = self._in_time(question)
        return reply

    def _in_time(self, question: Question) -> tuple[Reply, Token]:
        """A 429 was not carried out, so any request may be repeated after one."""
        for attempt in range(MOST_BACKOFFS + 1):
            self._limits.wait(question.call.weight)
            token = self._tokens.token()
            reply = self._send(question, token)
            if reply.status != 429:
                self._limits.heed(question.call.weight, reply.headers)
                return reply, token
            limited = self._limited(question.call.weight, reply)
            is_last = attempt == MOST_BACKOFFS
            if is_last or limited.code != "zoom_rate_limited" or not self._waited(attempt, limited):
                raise limited
        raise AssertionError("the last attempt returns or raises")

    def _waited(self, attempt: int, limited: ZoomRefused) -> bool:
        log.info("Zoom asks for patience", extra={"code": limited.code, "attempts": attempt + 1})
        return limited.retry_at is not None and self._limits.back_off(attempt, limited.retry_at)

    def _limited(self, weight: Weight, reply: Reply) -> ZoomRefused:
        """What a 429 means. The day's limit of one registrant says nothing about other calls."""
        now = self._limits.clock()
        message = str(document(reply).get("message", "")).lower()
        if is_daily(reply.headers) or "daily" in message:
            if "registrant" in message:
                return registrant_limit(next_day(now))
            until = retry_at(reply.headers, now, daily=True)
            self._limits.close(weight, until)
            log.error("Zoom's calls of the day are used up", extra={"kind": weight, "at": until.isoformat()})
            return daily_limit(until)
        return rate_limited(retry_at(reply.headers, now, daily=False))

    def _send(self, question: Question, token: Token) -> Reply:
        headers = {"Authorization": f"Bearer {token.value}", "Accept": "application/json"}
        body = None
        if question.body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(question.body).encode()
        query = f"?{urlencode(question.parameters, quote_via=quote)}" if question.parameters else ""
        url = f"{token.api_url}/{question.path}{query}"
        return self._http.request(question.method, url, headers=headers, data=body, most_bytes=MOST_BYTES)


def uuid_forms(uuid: str) -> tuple[str, str]:
    """A uuid as a step of a path, the likelier form first. Zoom wants one that begins with `/` or holds `//` encoded
    twice and says nothing of a single `/` inside; it takes the other form where it does not know the first one."""
    once = quote(uuid, safe="")
    twice = quote(once, safe="")
    return (twice, once) if "/" in uuid else (once, twice)


def number_path(meeting_id: str) -> str:
    """A meeting's number as a step of a path."""
    return quote(meeting_id, safe="")


def chunks(values: Sequence[Answer], size: int) -> Iterator[Sequence[Answer]]:
    """The values in portions of at most `size`."""
    return (values[start : start + size] for start in range(0, len(values), size))


def _is_about_scope(reply: Reply) -> bool:
    found = refusal(reply, "")
    return isinstance(found, ZoomRefused) and found.code == "zoom_scope_missing"


def _endless() -> NoAnswer:
    return NoAnswer("zoom_pages_endless", "Zoom's list does not come to an end.", "It is tried again by itself.")
