"""What one column should show of one person: so much of so much, and the words that explain it."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Row

from lti_tool.grades.claim_lines import body_name
from lti_tool.grades.columns import whole_maximum
from lti_tool.programme.model import Programme

# The full score says "completed"; minutes alone, however many, stay below it.
MOST_HUNDREDTHS = 9_999


@dataclass(frozen=True, slots=True)
class Score:
    """What one line item should show of one person: `given` of `maximum`, and the comment that explains it."""

    meaning: str
    given: float
    maximum: float
    comment: str


def score_of(programme: Programme, best: Any, awarded: Sequence[Row[Any]], place: Any) -> Score:
    """The score for one column (`place.meaning`), from somebody's best attendance and awards of the module."""
    comment = _comment(programme, best, awarded)
    if place.meaning == "ce":
        credits = sum((row.credits for row in awarded[:1]), Decimal(0))
        maximum = whole_maximum(credits) if credits else (place.desired_maximum or 1)
        return Score("ce", float(maximum) if credits else 0.0, float(maximum), comment)
    hundredths = 10_000 * best.seconds_present // max(best.seconds_instructional, 1)
    return Score("completion", 100.0 if best.in_full else min(hundredths, MOST_HUNDREDTHS) / 100, 100.0, comment)


def _comment(programme: Programme, best: Any, awarded: Sequence[Row[Any]]) -> str:
    """The minutes and the CE result; no health word and no reason ever stands in a gradebook."""
    minutes = f"{best.seconds_present // 60} of {best.seconds_instructional // 60} instructional minutes."
    earned = [f"{row.credits} credits ({body_name(programme.bodies.get(row.body_id), row.body_id)})" for row in awarded]
    return f"{minutes} CE: {', '.join(earned) or 'none awarded'}."
