"""When Zoom is asked for the report of an instance. PURE: all of it follows from the end of the class and from what was
asked so far, so there is no plan that a restart could lose, and an end that moves moves the plan.

At +5, +15, +30, +60 min, +2 h and +24 h after the end (zoom.md §6). Two equal answers in a row end the asking; one more
at +24 h confirms them, since the report is the lasting proof, may have grown meanwhile, and is not kept by Zoom for
long. Where there is no agreement by then, every hour for one more day; then staff must look.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

STEPS = tuple(timedelta(minutes=each) for each in (5, 15, 30, 60, 120, 24 * 60))
CONFIRMATION = STEPS[-1]
AGAIN = timedelta(hours=1)
MOST_AGAIN = 24
# Answers closer together than this are one answer: two workers at once, somebody who asks twice.
APART = timedelta(minutes=5)


class Standing(NamedTuple):
    """What was asked about one instance since the class was over: when, in order; `answered_at` is the last answer,
    `settled` whether it agrees with the one before; `hopeless`: Zoom will never have it."""

    asked_at: Sequence[datetime] = ()
    answered_at: datetime | None = None
    settled: bool = False
    hopeless: bool = False


def next_at(ended_at: datetime, standing: Standing) -> datetime | None:
    """When to ask next about an instance of a class that was over at `ended_at`; None when there is no more to ask."""
    confirmation = ended_at + CONFIRMATION
    if standing.hopeless or _is_confirmed(standing, confirmation):
        return None
    steps = [confirmation] if standing.settled else [ended_at + step for step in STEPS]
    if not standing.asked_at:
        return steps[0]
    last = max(standing.asked_at)
    following = next((step for step in steps if step > last), None)
    return following or _hour_after(last, [each for each in standing.asked_at if each >= confirmation])


def apart(ended_at: datetime, now: datetime) -> timedelta:
    """How far apart two equal answers must lie to prove that the report has stopped growing; a day later it has."""
    return APART if now < ended_at + CONFIRMATION else timedelta()


def _is_confirmed(standing: Standing, confirmation: datetime) -> bool:
    return standing.settled and standing.answered_at is not None and standing.answered_at >= confirmation


def _hour_after(last: datetime, in_vain: Sequence[datetime]) -> datetime | None:
    return last + AGAIN if len(in_vain) <= MOST_AGAIN else None
