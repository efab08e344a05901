"""The time of a test."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# 2026-12-01 10:00 in Los Angeles: the middle of the demonstration's training day.
START = datetime(2026, 12, 1, 18, 0, tzinfo=UTC)


@dataclass
class TestClock:
    """Called like the real clock; stands still until a test moves it."""

    __test__ = False

    at: datetime = START

    def __call__(self) -> datetime:
        return self.at

    def advance(self, **span: float) -> datetime:
        """Move on by `minutes=5`, `days=1`…; the new time."""
        self.at += timedelta(**span)
        return self.at
