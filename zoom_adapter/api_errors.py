"""What Zoom's REST interface refuses, in words of what staff can do (zoom.md §6).

Zoom answers with its own code in the body; the HTTP status says little. Its messages may hold addresses and names, so
nothing of them is kept but the names of missing scopes.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lti_tool.errors import NoAnswer, OutboundError
from lti_tool.http import Reply

SCOPE = re.compile(r"[a-z_]{2,40}(?::[a-z_]{2,60}){1,3}")
MOST_SCOPES_NAMED = 4
NO_SCOPE = "does not contain scope"
ACTIVATE = "at marketplace.zoom.us, then activate the app again."


class ZoomRefused(OutboundError):
    """Zoom answered, and will not do it. `answered` is its HTTP status (0: not asked), `zoom_code` its own code (0:
    none), `retry_at` the instant (aware UTC) before which asking again is useless, where it is a matter of time."""

    def __init__(
        self,
        code: str,
        message: str,
        next_step: str = "",
        *,
        answered: int = 0,
        zoom_code: int = 0,
        retry_at: datetime | None = None,
    ) -> None:
        super().__init__(code, message, next_step)
        self.answered = answered
        self.zoom_code = zoom_code
        self.retry_at = retry_at


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What an answer means, and the codes of Zoom by which it is known."""

    code: str
    message: str
    next_step: str
    zoom_codes: tuple[int, ...] = ()
    statuses: tuple[int, ...] = ()


REFUSALS = (
    _Refusal(
        "zoom_not_permitted",
        "Zoom does not allow this to the app's account: the host is unknown there, or the plan does not include it.",
        "Check that the meeting belongs to this Zoom account and that its host has a paid licence.",
        zoom_codes=(200, 1010, 1001),
    ),
    _Refusal(
        "zoom_request_invalid",
        "Zoom finds a field of the request invalid.",
        "This is a fault of Gatehouse: report it with this code.",
        zoom_codes=(300,),
    ),
    _Refusal(
        "zoom_is_webinar",
        "This id is a webinar's, not a meeting's.",
        "Set the live session's kind to webinar.",
        zoom_codes=(3000,),
    ),
    _Refusal(
        "zoom_host_cannot_register",
        "Zoom does not register the host or an alternative host of a meeting.",
        "Nothing is to be done: presenters start or join the meeting with their own Zoom account.",
        zoom_codes=(3027,),
    ),
    _Refusal(
        "zoom_registrants_full",
        "The meeting has as many registrants as Zoom allows.",
        "Cancel places that are not needed, or hold the session in a second meeting.",
        zoom_codes=(3043,),
    ),
    _Refusal(
        "zoom_too_old",
        "Zoom keeps no report of meetings that are older than a year.",
        "What the webhook delivered is all the evidence there is.",
        zoom_codes=(12702,),
    ),
    _Refusal(
        "zoom_not_found",
        "Zoom does not know this meeting, or its report is not there yet.",
        "Check the meeting's number on the live session; a report is asked for again by itself.",
        zoom_codes=(3001,),
        statuses=(404,),
    ),
    _Refusal(
        "zoom_token_refused",
        "Zoom does not accept the credentials of the app.",
        "Check GATEHOUSE_ZOOM_ACCOUNT_ID, …_CLIENT_ID and …_CLIENT_SECRET, and that the app is activated.",
        zoom_codes=(124,),
        statuses=(401,),
    ),
)
SCOPE_CODES = (4700, 4711)
UNKNOWN = _Refusal(
    "zoom_refused",
    "Zoom refused the request for a reason of its own.",
    "Look at the app's call logs at marketplace.zoom.us; if it stays, report it with this code.",
)


def document(reply: Reply) -> dict[str, Any]:
    """The answer as a JSON object; empty when it is none."""
    try:
        found = json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def refusal(reply: Reply, scope: str) -> OutboundError:
    """The exception for an answer that is neither success nor 429; `scope` is named where Zoom does not say itself
    which one the token lacks.

    NoAnswer `zoom_unavailable` for 5xx: asking again later may help, and the request may have been carried out.
    """
    said = document(reply)
    zoom_code = _number(said.get("code"))
    message = str(said.get("message", ""))[:2000]
    if zoom_code in SCOPE_CODES or NO_SCOPE in message:
        return _scope_missing(_scopes(message) or scope, reply.status, zoom_code)
    if reply.status >= 500:
        return NoAnswer("zoom_unavailable", "Zoom has trouble of its own.", "It is tried again by itself.")
    found = _find(zoom_code, reply.status)
    return ZoomRefused(found.code, found.message, found.next_step, answered=reply.status, zoom_code=zoom_code)


def token_refused(answered: int) -> ZoomRefused:
    """Zoom gave no token, or refused a new one."""
    found = _find(0, 401)
    return ZoomRefused(found.code, found.message, found.next_step, answered=answered)


def rate_limited(retry_at: datetime) -> ZoomRefused:
    """Too many calls within a second, even after waiting."""
    return ZoomRefused(
        "zoom_rate_limited",
        "Zoom takes no more calls of this account at the moment.",
        "It is tried again by itself. If this stays, other apps use up the account's limit.",
        answered=429,
        retry_at=retry_at,
    )


def daily_limit(retry_at: datetime, answered: int = 429) -> ZoomRefused:
    """The calls of the day (UTC) are used up; `answered` is 0 where Zoom was spared the question."""
    return ZoomRefused(
        "zoom_daily_limit",
        "Zoom's limit of calls for one day is used up.",
        f"It goes on by itself at {retry_at:%H:%M} UTC. Check GATEHOUSE_ZOOM_PLAN and the account's other apps.",
        answered=answered,
        retry_at=retry_at,
    )


def registrant_limit(retry_at: datetime) -> ZoomRefused:
    """The calls of the day (UTC) for one registrant are used up; others are not touched by it."""
    return ZoomRefused(
        "zoom_registrant_limit",
        "Zoom takes no more changes of this person's registration today.",
        "It goes on by itself after midnight UTC.",
        answered=429,
        retry_at=retry_at,
    )


def unreadable() -> NoAnswer:
    """A success whose body is not what Zoom documents."""
    return NoAnswer("zoom_answer_unreadable", "Zoom's answer cannot be read.", "It is tried again by itself.")


def _scope_missing(scope: str, answered: int, zoom_code: int) -> ZoomRefused:
    return ZoomRefused(
        "zoom_scope_missing",
        f"The Zoom app lacks the scope {scope}.",
        f"Add it to the app {ACTIVATE}",
        answered=answered,
        zoom_code=zoom_code,
    )


def _scopes(message: str) -> str:
    """The scopes that a message names in brackets, any of which is enough; empty when it names none."""
    named = SCOPE.findall(message.partition("[")[2].partition("]")[0])
    return " or ".join(dict.fromkeys(named[:MOST_SCOPES_NAMED]))


def _find(zoom_code: int, status: int) -> _Refusal:
    """By Zoom's code, else by the status."""
    by_code = (each for each in REFUSALS if zoom_code in each.zoom_codes)
    by_status = (each for each in REFUSALS if status in each.statuses)
    return next(by_code, None) or next(by_status, UNKNOWN)


def _number(value: object) -> int:
    text = str(value)
    return int(text) if isinstance(value, int | str) and text.isascii() and text.isdigit() and len(text) < 10 else 0


def text_of(row: Mapping[str, Any], name: str) -> str:
    """A field of an answer as text, empty where it is missing or no scalar."""
    value = row.get(name)
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
