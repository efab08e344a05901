"""Participation beyond presence: how many of the questions put to a person were answered.

PURE. A question is a presence check or a poll, with the time in which it could be answered. It counts as put to a
person whose counted presence covers that whole time during instruction: a person who was away has lost those seconds
already, and a person who came early or stayed during lunch gains nothing by it. Other answers are shown and do not
count.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from lti_tool.intervals import Interval

Kind = Literal["check", "poll"]


@dataclass(frozen=True, slots=True)
class Question:
    """A presence check or poll that could be answered from `from_at` to `to_at` (aware UTC). `answered_at` is when
    this person answered, None without an answer; `put` says whether it counts as put to the person."""

    kind: Kind
    from_at: datetime
    to_at: datetime
    answered_at: datetime | None = None
    put: bool = False


@dataclass(frozen=True, slots=True)
class Participation:
    """The questions of one session as they stand for one person, in order of time."""

    questions: tuple[Question, ...] = ()

    @property
    def put(self) -> int:
        return sum(each.put for each in self.questions)

    @property
    def answered(self) -> int:
        """How many of the questions put to the person were answered."""
        return sum(each.put and each.answered_at is not None for each in self.questions)

    def is_enough(self, share: Decimal | None) -> bool:
        """Whether the answered share reaches the policy's (None: the policy asks for none). Without questions nothing
        is missing."""
        return share is None or self.answered >= math.ceil(share * self.put)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON column; instants as ISO 8601 in UTC."""
        questions = [
            {
                "kind": each.kind,
                "from": each.from_at.astimezone(UTC).isoformat(),
                "to": each.to_at.astimezone(UTC).isoformat(),
                "put": each.put,
                "answered_at": None if each.answered_at is None else each.answered_at.astimezone(UTC).isoformat(),
            }
            for each in self.questions
        ]
        return {"put": self.put, "answered": self.answered, "questions": questions}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Participation":
        """What `to_json` wrote."""
        return cls(
            tuple(
                Question(
                    each["kind"],
                    datetime.fromisoformat(each["from"]),
                    datetime.fromisoformat(each["to"]),
                    datetime.fromisoformat(each["answered_at"]) if each["answered_at"] else None,
                    each["put"],
                )
                for each in raw.get("questions", ())
            )
        )


NO_QUESTIONS = Participation()


def participate(questions: Iterable[Question], present: Sequence[Interval]) -> Participation:
    """Which questions count as put to a person; `present` are the disjoint intervals of counted presence during
    instruction."""
    return Participation(
        tuple(
            replace(each, put=any(start <= each.from_at and each.to_at <= end for start, end in present))
            for each in sorted(questions, key=lambda each: (each.from_at, each.to_at, each.kind))
        )
    )
