"""Assignment and Grade Services 2.0 without the wire: a score's body, what an answer means, and what results show.

PURE. Facts: lti.md §8, openedx.md §5, moodle.md §5.

Platforms keep a score on their own scale and round it there (moodle.md §5.18), so shares are compared. "Accepted" is
what the platform's service answered, "seen" what its gradebook shows: the two are kept apart (lti.md AG-12).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from lti_tool.errors import BadInput
from lti_tool.lti.quirks import Profile

Seen = Literal["same", "differs", "missing"]
# delivered: the platform has it · again: with a new timestamp · later: as it is, after a pause · parked: staff look ·
# look: the results decide whether it arrived · regraded: the platform shows a grade that a person entered
Outcome = Literal["delivered", "again", "later", "parked", "look", "regraded"]

SCORE_SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope/score"
# When the results are read after a delivery: soon, and then daily for a month.
READINGS = (timedelta(minutes=5), *(timedelta(days=day) for day in range(1, 31)))
# What a platform that shows two decimals leaves of a score.
ROUNDED = 0.005
# Where a result names no maximum it is out of one (AGS 2.0, result service).
MAXIMUM_WHEN_UNSAID = 1.0
# The last answer of a score whose column is not used any more begins with this.
RETIRED = "column_"


@dataclass(frozen=True, slots=True)
class Value:
    """A grade: `given` of `maximum`. `given` None means that there is no score."""

    given: float | None
    maximum: float

    def is_same(self, other: "Value") -> bool:
        """Whether both are the same grade, apart from rounding."""
        if self.given is None or other.given is None:
            return self.given is other.given
        rounded = ROUNDED / max(1.0, min(self.maximum, other.maximum))
        return abs(self.given / self.maximum - other.given / other.maximum) <= rounded + 1e-9

    def out_of(self, maximum: float) -> float | None:
        """The same share of another maximum, to five decimals as Moodle keeps them."""
        return None if self.given is None else round(self.given / self.maximum * maximum, 5)


def compare(shown: Value, ours: Iterable[Value]) -> Seen:
    """What the platform shows against everything of ours that it may show."""
    if any(shown.is_same(each) for each in ours):
        return "same"
    return "missing" if shown.given is None else "differs"


def next_reading(delivered_at: datetime, now: datetime) -> datetime | None:
    """When to read the results of a delivery next; None once a month is over."""
    return next((delivered_at + each for each in READINGS if delivered_at + each > now), None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do after an answer, and what the ledger says about it; `seen` is the grade that a re-grade shows,
    `retry_at` when the platform may be asked again, if it said so."""

    outcome: Outcome
    says: str
    seen: Value | None = None
    retry_at: datetime | None = None


def score_body(
    *, user_id: str, given: float | None, maximum: float, comment: str, timestamp: datetime
) -> dict[str, Any]:
    """The JSON of one final score (lti.md AG-7). `given` None clears an earlier score (lti.md AG-10).

    Raises BadInput "score_wrong": a platform may answer such a score with 500 every time (openedx.md §5).
    """
    if not user_id or not _is_amount(maximum) or maximum <= 0 or (given is not None and not _is_amount(given)):
        raise BadInput("score_wrong", "A score needs a user, a maximum above zero and a value that is not negative.")
    body: dict[str, Any] = {
        "userId": user_id,
        "timestamp": timestamp_text(timestamp),
        "activityProgress": "Completed",
        "gradingProgress": "FullyGraded",
        "comment": comment,
    }
    if given is not None:
        body |= {"scoreGiven": _number(given), "scoreMaximum": _number(maximum)}
    return body


def timestamp_text(at: datetime) -> str:
    """ISO 8601 with zone and microseconds (lti.md AG-8)."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def next_timestamp(now: datetime, last: datetime | None, *, whole_seconds: bool = False) -> datetime:
    """Later than the last one sent for the pair, and no later than now unless our clock was set back.

    With `whole_seconds` it also falls into a later second (Moodle).
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
    if status == profile.already_exists_status and profile.already_exists_text in body_start:
        return Verdict("delivered", f"{status} already there") if resent else Verdict("again", answer)
    if status == profile.older_timestamp_status and (status == 409 or "later point in time" in body_start):
        return Verdict("look" if profile.refusal_needs_a_look else "again", answer)
    if status in (401, 403, 408, 425, 429) or status >= 500:
        return Verdict("later", answer)
    return Verdict("parked", answer)


def _is_amount(value: float) -> bool:
    return math.isfinite(value) and value >= 0


def _number(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value


@dataclass(frozen=True, slots=True)
class State:
    """`kind` and `icon` are those of a state on a page (shared/ui.html); `says` is its word and names the filter."""

    id: str
    says: str
    kind: str
    icon: str


# In the order of `scores.state`: those that need a person come first.
STATES = (
    State("regraded", "Changed on the platform", "stop", "warn"),
    State("refused", "Refused", "stop", "warn"),
    State("missing", "Not in the gradebook", "info", "warn"),
    State("waiting", "On its way", "wait", "clock"),
    State("accepted", "Accepted", "ok", "clock"),
    State("seen", "In the gradebook", "ok", "check"),
    State("kept", "Their grade kept", "info", "info"),
)
NUMBER_OF = {state.id: number for number, state in enumerate(STATES)}


def state_of(score: Any) -> State:
    """The state of one row of the ledger."""
    return STATES[score.state]
