"""Which flags of a day a person must look at before the day is final.

PURE. A flag outside this list only explains (two devices, a telephone): it leaves no doubt about the seconds.
"""

from collections.abc import Iterable

REVIEW_FLAGS = frozenset(
    {
        "conflict",  # two registrants on one connection, or webhook and report name different people
        "estimated",  # seconds rest on edges that nobody reported
        "evidence_withdrawn",  # there was evidence once, and it speaks of somebody else now
        "interrupted",  # a connection was away for a while: a short drop, or a stay of which nothing came
        "open",  # no end of a stay is known
        "repeated",  # one stay came with several beginnings or ends
        "report_differs",  # webhooks and report contradict each other by more than rounding
        "report_missing",  # the report does not know somebody whom the webhooks saw
        "report_only",  # the webhooks did not see somebody whom the report knows
        "reversed",  # a stay ended before it began
        "staff_role",  # ran the meeting for a while, which is no attendance
        "stale",  # an edge came outside the time in which a delivery is trusted
        "unconfirmed",  # presence that nothing proves
    }
)


def needs_review(flags: Iterable[str]) -> bool:
    """Whether somebody of staff must look at this day."""
    return not REVIEW_FLAGS.isdisjoint(flags)
