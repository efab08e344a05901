"""Assignment and Grade Services 2.0, the parts that need no wire: the body of a score, and what an answer to it means.

PURE. (facts: lti.md §8, openedx.md §5, moodle.md §5)
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from lti_tool.errors import BadInput
from lti_tool.grades.seen import Value
from lti_tool.lti.quirks import Profile

SCORE_SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope/score"
ACTIVITY_PROGRESS = ("Initialized", "Started", "InProgress", "Submitted", "Completed")
GRADING_PROGRESS = ("FullyGraded", "Pending", "PendingManual", "Failed", "NotReady")

# delivered: the platform has it · again: with a new timestamp · later: as it is, after a pause · parked: staff look ·
# look: the results decide whether it arrived · regraded: the platform shows what somebody else entered
Outcome = Literal["delivered", "again", "later", "parked", "look", "regraded"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do after an answer, and what the ledger shows of it; `seen` is what a re-grade shows."""

    outcome: Outcome
    says: str
    seen: Value | None = None


def score_body(
    *,
    user_id: str,
    given: float | None,
    maximum: float,
    comment: str,
    timestamp: datetime,
    activity_progress: str = "Completed",
    grading_progress: str = "FullyGraded",
) -> dict[str, Any]:
    """The JSON of one score (lti.md AG-7). `given` None clears an earlier score (AG-10).

    Raises BadInput "score_wrong": a platform may answer such a score with 500, for ever (openedx.md §5).
    """
    if activity_progress not in ACTIVITY_PROGRESS or grading_progress not in GRADING_PROGRESS:
        raise BadInput("score_wrong", "The progress of a score is none of the specification's words.")
    if not user_id or not _is_amount(maximum) or maximum <= 0 or (given is not None and not _is_amount(given)):
        raise BadInput("score_wrong", "A score needs a user, a maximum above zero and a value that is not negative.")
    body: dict[str, Any] = {
        "userId": user_id,
        "timestamp": timestamp_text(timestamp),
        "activityProgress": activity_progress,
        "gradingProgress": grading_progress,
        "comment": comment,
    }
    if given is not None:
        body |= {"scoreGiven": _number(given), "scoreMaximum": _number(maximum)}
    return body


def timestamp_text(at: datetime) -> str:
    """ISO 8601 with zone and microseconds (lti.md AG-8)."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def next_timestamp(now: datetime, last: datetime | None, *, whole_seconds: bool = False) -> datetime:
    """Later than the last one sent for the pair, and no later than now unless our clock has gone back since then.

    With `whole_seconds` it is later by the second that it falls into too (Moodle).
    """
    if last is None:
        return now
    if whole_seconds:
        return max(now, last.replace(microsecond=0) + timedelta(seconds=1))
    return max(now, last + timedelta(microseconds=1))


def interpret(profile: Profile, status: int, body_start: str, *, resent: bool) -> Verdict:
    """What an answer to a score means on this kind of platform. `resent`: this timestamp may have arrived before."""
    if 200 <= status < 300:
        return Verdict("delivered", f"{status} accepted")
    answer = f"{status} {body_start[:300]}".strip()
    if _says_already_exists(profile, status, body_start):
        return Verdict("delivered", f"{status} already there") if resent else Verdict("again", answer)
    if status == profile.older_timestamp_status and (status == 409 or "later point in time" in body_start):
        return Verdict("look" if profile.refusal_needs_a_look else "again", answer)
    if status in (401, 403, 408, 425, 429) or status >= 500:
        return Verdict("later", answer)
    return Verdict("parked", answer)


def _says_already_exists(profile: Profile, status: int, body_start: str) -> bool:
    return status == profile.already_exists_status and profile.already_exists_text in body_start


def _is_amount(value: float) -> bool:
    return math.isfinite(value) and value >= 0


def _number(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value
