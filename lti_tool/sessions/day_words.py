"""What is said of a day of presence, to the person it is about and about that person to staff.

PURE. Every code that a stored day may hold has its words here; a code that is newer than the words says something
general, never nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Any

WHY = {
    "counted": "You were in the session.",
    "absent": "You were not seen in the session.",
    "before_arrival": "Before you arrived.",
    "away": "You were not in the session.",
    "left_early": "After you had left.",
    "waiting_room": "You were in the waiting room, which is not the session.",
    "unconfirmed": "We cannot tell from Zoom's records that you were in the session.",
    "staff_role": "You ran the session in this time, which is work and no attendance.",
    "corrected": "The training team took this time away and wrote down why.",
}
WHY_OF_ANOTHER = {
    "counted": "In the session.",
    "absent": "Not seen in the session.",
    "before_arrival": "Before arriving.",
    "away": "Not in the session.",
    "left_early": "After leaving.",
    "waiting_room": "In the waiting room, which is not the session.",
    "unconfirmed": "Zoom's records do not tell whether the person was in the session.",
    "staff_role": "Ran the session in this time, which is no attendance.",
    "corrected": "Taken away by staff, with a reason.",
}
EVIDENCE = {
    "webhook": "Zoom, live",
    "report": "Zoom's report afterwards",
    "both": "Zoom, live and in its report",
    "estimated": "estimated",
    "manual": "the training team",
}
FLAGS = {
    "estimated": "Some of this time is an estimate, because Zoom's records have a gap.",
    "unconfirmed": "Some time could not be counted, because Zoom's records do not confirm it.",
    "concurrent": "You were connected with two devices at once. The time counts once.",
    "stale": "Some of Zoom's messages arrived late.",
    "webhook_log": "Some of Zoom's messages were lost on the way and read from Zoom's own log later.",
    "interrupted": "Your connection was away for a while, or Zoom's messages of that time were lost.",
    "open": "Zoom has not told when one of your stays ended, so it does not count yet.",
    "conflict": "Zoom's records name two different people for one connection, so somebody looks at it.",
    "report_differs": "Zoom's live messages and its report tell different times for you, so somebody looks at it.",
    "report_missing": "Zoom's report does not list you, so somebody looks at it.",
    "report_only": "Only Zoom's report shows you; its live messages did not. Somebody looks at it.",
    "phone": "Some of this time was by phone.",
    "manual": "Some of this time rests on what the training team recorded.",
    "corrected": "The training team corrected this day and wrote down why.",
    "evidence_withdrawn": "What showed you here turned out to be about somebody else.",
}
STAFF_FLAGS = {
    "estimated": "partly estimated",
    "unconfirmed": "partly unconfirmed",
    "concurrent": "two devices at once",
    "stale": "late messages",
    "webhook_log": "partly from Zoom's log",
    "open": "a stay without an end",
    "interrupted": "connection interrupted",
    "conflict": "two registrations on one connection",
    "repeated": "the same stay told twice",
    "reversed": "left before joining",
    "report_differs": "report differs",
    "report_missing": "not in the report",
    "report_only": "only in the report",
    "phone": "by phone",
    "phone_only": "by phone only",
    "no_connection_id": "connection without an id",
    "manual": "partly recorded by staff",
    "corrected": "corrected by staff",
    "staff_role": "ran the session",
    "evidence_withdrawn": "evidence withdrawn",
    "in_progress": "running values",
}
REASONS = {
    "report_lacks": "the report lacks time that the live messages prove",
    "webhooks_lack": "the report shows time of which no live message came",
    "estimate_unconfirmed": "the report does not confirm what was estimated",
    "completed_by_report": "the report fills a gap in the live messages",
    "waiting_room_in_report": "the report counts time in the waiting room",
    "room_unclear_in_report": "the report shows this address in a breakout room, which alone proves nobody's presence",
    "rounding": "the two round to different seconds",
}
DIFFERENCE_TOLD = "The two are kept side by side; neither replaces the other by itself."


def flags_in_words(flags: Iterable[str]) -> list[str]:
    """The short notes that staff read beside somebody's minutes."""
    return [STAFF_FLAGS.get(flag, flag.replace("_", " ")) for flag in flags]


def evidence_in_words(grades: Iterable[str]) -> str:
    """By which records something is known: "Zoom, live; estimated"."""
    return "; ".join(EVIDENCE.get(grade, grade) for grade in grades)


def reasons_in_words(report: Mapping[str, Any]) -> str:
    """Why the two records of a day differ, as far as that is known; empty where it is not."""
    return "; ".join(REASONS.get(each, each.replace("_", " ")) for each in report["reasons"])


def room_name(room: str, names: Mapping[str, str]) -> str:
    """What staff call a room; else a short mark of Zoom's id, which is the same on every page."""
    if not room:
        return "A breakout room"
    mark = "".join(letter for letter in room if letter.isalnum() and letter.isascii())[:4].upper()
    return names.get(room) or f"Room {mark}"
