"""Participation beyond presence: of the questions put while somebody was there, how many were answered.

PURE. A question is a presence check or a poll, with the time in which it could be answered. It counts as put to a
person whose counted presence covers that whole time while there was teaching: who was away has lost those seconds
already and is not charged twice, and who came early or stayed at lunch is charged for nothing. Any other answer is
shown, and counts for nothing.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

Kind = Literal["check", "poll"]
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Question:
    """A presence check or poll that could be answered from `from_at` to `to_at` (aware UTC)."""

    kind: Kind
    from_at: datetime
    to_at: datetime
    answered_at: datetime | None = None
    """When this person did; None: not at all."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A question as a day keeps it: whether it was `put` to the person, and when they answered."""

    kind: Kind
    from_at: datetime
    to_at: datetime
    put: bool
    answered_at: datetime | None


def in_class(present: Iterable[Span], taught: Iterable[Span]) -> list[Span]:
    """The times in both; each of the two holds disjoint ones."""
    parts = [(max(start, opens), min(end, closes)) for start, end in present for opens, closes in taught]
    return sorted((start, end) for start, end in parts if start < end)


def of_day(questions: Iterable[Question], present: Sequence[Span]) -> dict[str, Any]:
    """What a day keeps of it, in plain JSON values: how many questions were put to the person and answered, and each
    with its times. `present` are the disjoint spans of counted presence in class."""
    rows = [_row(each, present) for each in sorted(questions, key=lambda each: (each.from_at, each.to_at, each.kind))]
    put = [row for row in rows if row["put"]]
    return {"put": len(put), "answered": sum(row["answered_at"] is not None for row in put), "questions": rows}


def questions_of(day: Mapping[str, Any]) -> list[Answered]:
    """The questions that a day keeps, in order of time; none in a day of before there were questions."""
    return [
        Answered(
            each["kind"],
            datetime.fromisoformat(each["from"]),
            datetime.fromisoformat(each["to"]),
            each["put"],
            datetime.fromisoformat(each["answered_at"]) if each["answered_at"] else None,
        )
        for each in day.get("participation", {}).get("questions", ())
    ]


def is_enough(participation: Mapping[str, Any] | None, share: Decimal | None) -> bool:
    """Whether the answered share reaches the policy's (None: the policy asks for none). With no question put, nothing
    is missing."""
    if share is None or participation is None:
        return True
    return int(participation["answered"]) >= math.ceil(share * int(participation["put"]))


def _row(question: Question, present: Sequence[Span]) -> dict[str, Any]:
    covered = any(start <= question.from_at and question.to_at <= end for start, end in present)
    return {
        "kind": question.kind,
        "from": _iso(question.from_at),
        "to": _iso(question.to_at),
        "put": covered,
        "answered_at": None if question.answered_at is None else _iso(question.answered_at),
    }


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
