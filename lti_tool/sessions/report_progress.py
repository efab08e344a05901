"""What the conference system was asked for reports of a live session, and when it is asked next: plain values.

PURE.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """One asking about one instance of the class (`instance`, the system's id of it, empty where none was known). It
    gave so many `rows`, or none and the `code` of why; `settled`: it said the same the time before."""

    instance: str
    rows: int | None
    code: str | None
    settled: bool
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class ReportProgress:
    """Every asking, the latest first; `next_at` is None when nobody asks again."""

    asked: tuple[Asked, ...] = ()
    next_at: datetime | None = None
