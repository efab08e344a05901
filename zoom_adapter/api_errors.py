"""The refusals of Zoom's REST interface as errors that tell staff what to do (zoom.md §6).

Zoom puts its own code in the body; the HTTP status says little. Its messages may contain addresses and names, so only
the names of missing scopes are taken from them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lti_tool.errors import NoAnswer, OutboundError
from lti_tool.http import Reply

SCOPE = re.compile(r"[a-z_]{2,40}(?::[a-z_]{2,60}){1,3}")
MAX_SCOPES_NAMED = 4
SCOPE_CODES = (4700, 4711)
# An invalid request; with a page token it is the token that has expired.
INVALID_REQUEST = 300
NO_SCOPE = "does not contain scope"
AUTOMATIC_RETRY = "Gatehouse tries again automatically."


class ZoomRefused(OutboundError):
    """Zoom refused a request.

    `answered` is its HTTP status (0: not asked), `zoom_code` its own code (0: none); `retry_at` is the instant (aware
    UTC) before which another request is useless, if the refusal is temporary.
    """

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
    """What an answer means, and the Zoom codes or HTTP statuses that identify it."""

    code: str
    message: str
    next_step: str
    zoom_codes: tuple[int, ...] = ()
    statuses: tuple[int, ...] = ()


REFUSALS = (
    _Refusal(
        "zoom_not_permitted",
        "Zoom does not allow this for the app's account: the host is unknown, or the plan does not include it.",
        "Check that the meeting belongs to this Zoom account and that its host has a paid licence.",
        zoom_codes=(200, 1010, 1001),
    ),
    _Refusal(
        "zoom_request_invalid",
        "Zoom rejected a field of the request as invalid.",
        "This is a bug in Gatehouse. Report it with this code.",
        zoom_codes=(INVALID_REQUEST,),
    ),
    _Refusal(
        "zoom_is_webinar",
        "This id belongs to a webinar, not a meeting.",
        "Set the live session's kind to webinar.",
        zoom_codes=(3000,),
    ),
    _Refusal(
        "zoom_host_cannot_register",
        "Zoom does not register the host or an alternative host of a meeting.",
        "You need not do anything: presenters start or join the meeting with their own Zoom account.",
        zoom_codes=(3027,),
    ),
    _Refusal(
        "zoom_registrants_full",
        "The meeting has reached Zoom's limit of registrants.",
        "Cancel places that are no longer needed, or hold the class in a second meeting.",
        zoom_codes=(3043,),
    ),
    _Refusal(
        "zoom_too_old",
        "Zoom keeps no reports of meetings older than a year.",
        "Attendance can rest on the webhook events only.",
        zoom_codes=(12702,),
    ),
    _Refusal(
        "zoom_not_found",
        "Zoom does not know this meeting, or its report is not ready yet.",
        "Check the meeting number of the live session. Gatehouse asks for a report again automatically.",
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
UNKNOWN = _Refusal(
    "zoom_refused",
    "Zoom refused the request for another reason.",
    "Check the app's call logs at marketplace.zoom.us. If the problem persists, report it with this code.",
)


def refusal(reply: Reply, scope: str) -> OutboundError:
    """The exception for an answer that is neither a success nor a 429.

    `scope` is named if Zoom does not say which scope the token lacks. Returns NoAnswer `zoom_unavailable` for 5xx: a
    later request may succeed, and this one may have been carried out.
    """
    said = reply.json_object
    code = said.get("code")
    is_number = isinstance(code, int | str) and re.fullmatch(r"[0-9]{1,9}", str(code))
    zoom_code = int(str(code)) if is_number else 0
    message = str(said.get("message", ""))[:2000]
    if zoom_code in SCOPE_CODES or NO_SCOPE in message:
        # Zoom names in brackets the scopes any of which is enough.
        named = SCOPE.findall(message.partition("[")[2].partition("]")[0])
        missing = " or ".join(dict.fromkeys(named[:MAX_SCOPES_NAMED])) or scope
        return ZoomRefused(
            "zoom_scope_missing",
            f"The Zoom app lacks the scope {missing}.",
            "Add it to the app at marketplace.zoom.us, then activate the app again.",
            answered=reply.status,
            zoom_code=zoom_code,
        )
    if reply.status >= 500:
        return NoAnswer("zoom_unavailable", "Zoom has a technical problem.", AUTOMATIC_RETRY)
    found = _find(zoom_code, reply.status)
    return ZoomRefused(found.code, found.message, found.next_step, answered=reply.status, zoom_code=zoom_code)


def token_refused(answered: int) -> ZoomRefused:
    """Zoom gave no token, or refused a new one."""
    found = _find(0, 401)
    return ZoomRefused(found.code, found.message, found.next_step, answered=answered)


def rate_limited(retry_at: datetime) -> ZoomRefused:
    """Too many calls per second, even after waiting."""
    return ZoomRefused(
        "zoom_rate_limited",
        "Zoom takes no more calls from this account at the moment.",
        f"{AUTOMATIC_RETRY} If the problem persists, other apps use up the account's limit.",
        answered=429,
        retry_at=retry_at,
    )


def daily_limit(retry_at: datetime, answered: int = 429) -> ZoomRefused:
    """The calls of the day (UTC) are used up; `answered` is 0 if Zoom was not asked."""
    return ZoomRefused(
        "zoom_daily_limit",
        "Zoom's daily limit of calls is used up.",
        f"Gatehouse continues at {retry_at:%H:%M} UTC. Check GATEHOUSE_ZOOM_PLAN and the account's other apps.",
        answered=answered,
        retry_at=retry_at,
    )


def registrant_limit(retry_at: datetime) -> ZoomRefused:
    """The calls of the day (UTC) for one registrant are used up; other registrants are not affected."""
    return ZoomRefused(
        "zoom_registrant_limit",
        "Zoom takes no more changes to this person's registration today.",
        "Gatehouse continues after midnight UTC.",
        answered=429,
        retry_at=retry_at,
    )


def unreadable() -> NoAnswer:
    """A success whose body does not match Zoom's documentation."""
    return NoAnswer("zoom_answer_unreadable", "Zoom's answer cannot be read.", AUTOMATIC_RETRY)


def text_of(row: Mapping[str, Any], name: str) -> str:
    """A field of an answer as text; empty if it is missing or not a scalar."""
    value = row.get(name)
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _find(zoom_code: int, status: int) -> _Refusal:
    """The refusal with this Zoom code, else with this status."""
    by_code = (each for each in REFUSALS if zoom_code in each.zoom_codes)
    by_status = (each for each in REFUSALS if status in each.statuses)
    return next(by_code, None) or next(by_status, UNKNOWN)
