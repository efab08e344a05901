"""What a platform's results show beside what it was sent: the same, or what somebody else entered.

PURE. Platforms keep a score on their own scale and round it there (moodle.md §5.18), so shares are compared.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Seen = Literal["same", "differs", "missing"]

# When the results are read after a delivery: soon, and then daily for a month. A re-grade comes after days, if at all.
LOOKS = (timedelta(minutes=5), *(timedelta(days=day) for day in range(1, 31)))
# What a platform that shows two decimals leaves of a score.
ROUNDED = 0.005
# Where a result names no maximum it is out of one (AGS 2.0, result service).
MAXIMUM_WHEN_UNSAID = 1.0


@dataclass(frozen=True, slots=True)
class Value:
    """So much of so much; `given` None means that there is no score."""

    given: float | None
    maximum: float

    def is_same(self, other: "Value") -> bool:
        """Whether both are one grade, but for rounding."""
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


def next_look(delivered_at: datetime, now: datetime) -> datetime | None:
    """When to read the results of a delivery next; None once a month is over."""
    return next((delivered_at + each for each in LOOKS if delivered_at + each > now), None)
