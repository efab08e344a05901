"""What an entry of the audit log says to staff, as the end of a sentence that begins with who did it. PURE."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from lti_tool.gates.condition_checks import short_name
from lti_tool.programme.model import Programme
from lti_tool.times import weekday

# Visits and downloads: nothing was changed.
LOOKS = (
    "accommodation_request_viewed",
    "attendance_exported",
    "attendance_reviewed",
    "decisions_viewed",
    "equivalency_viewed",
    "gate_bypassed",
    "log_exported",
)

ACTS = {
    "accommodation_request_answered": "answered a request for an accommodation",
    "accommodation_request_closed": "closed a request for an accommodation",
    "accommodation_request_opened": "asked for an accommodation",
    "accommodation_request_viewed": "read a request for an accommodation",
    "accommodation_request_withdrawn": "withdrew a request for an accommodation",
    "application_submitted": "applied for a retreat",
    "application_withdrawn": "withdrew an application for a retreat",
    "attendance_asked": "asked for attendance to be brought up to date",
    "attendance_exported": "took the attendance of a session as a file",
    "attendance_let_stand": "accepted a day of attendance as it is",
    "attendance_request_answered": "answered a question about attendance",
    "attendance_request_opened": "asked about the attendance of a day",
    "attendance_request_withdrawn": "withdrew a question about attendance",
    "attendance_reviewed": "looked at a day of attendance",
    "award_contested": "marked credit as contested, because its evidence changed",
    "calendar_renewed": "renewed the address of the calendar",
    "columns_looked_for": "had the grade columns of a unit looked for again",
    "completions_imported": "imported completions",
    "completion_ended": "ended a completion",
    "completion_recorded": "recorded a module as completed",
    "correction_confirmed": "confirmed a correction of attendance",
    "correction_proposed": "proposed a correction of attendance",
    "correction_undone": "undid a correction of attendance",
    "credit_awarded": "awarded credit",
    "credit_evaluation_recorded": "recorded that the evaluation was handed in",
    "credit_fee_recorded": "recorded that a credit fee is settled",
    "decisions_viewed": "looked at a person's page",
    "deep_link_answered": "chose what a unit opens, from the platform",
    "equivalency_approved": "accepted training elsewhere",
    "equivalency_declined": "declined training elsewhere",
    "equivalency_expired": "ended an accepted equivalency on its last day",
    "equivalency_more_info": "asked a question about training elsewhere",
    "equivalency_revoked": "revoked an accepted equivalency",
    "equivalency_submitted": "sent a request about training elsewhere",
    "equivalency_viewed": "looked at a request about training elsewhere",
    "equivalency_withdrawn": "withdrew a request about training elsewhere",
    "exception_ended": "ended an exception",
    "exception_granted": "made an exception",
    "gate_bypassed": "opened a module as staff",
    "licence_ended": "ended a licence",
    "log_exported": "took the log as a file",
    "licence_recorded": "recorded a licence",
    "people_kept_apart": "said that two accounts are two people",
    "platform_added": "added a platform",
    "platform_changed": "changed a platform",
    "platform_invited": "invited a platform",
    "presence_check_opened": "asked whether people were there",
    "programme_published": "published the programme",
    "person_joined": "joined two accounts",
    "person_linked": "matched a participant to this person",
    "person_separated": "separated two accounts",
    "person_unlinked": "took back a match to this person",
    "role_ended": "ended a role",
    "role_granted": "granted a role",
    "retreat_attended": "recorded attendance of a retreat",
    "retreat_attended_ended": "took back attendance of a retreat",
    "retreat_no_show": "recorded absence from a retreat",
    "rooms_named": "named the rooms of a session",
    "session_added": "added a session",
    "session_cancelled": "cancelled a session",
    "session_edited": "edited a session",
    "session_ended": "recorded when a session ended",
    "session_locked": "locked a session",
    "session_moved": "moved a session",
    "session_reopened": "opened a locked session again",
    "tool_key_rotated": "made a new key",
    "unit_assigned": "chose the module of a unit",
    "unit_unassigned": "took back the module of a unit",
    "units_confirmed": "confirmed the units of a course",
}


def act_in_words(act: str, details: Mapping[str, Any], programme: Programme) -> str:
    """The act, with the module and the day it names."""
    words = ACTS.get(act, act.replace("_", " "))
    if credits := details.get("credits"):
        words = f"awarded {credits} credits"
    offering = next((details[name] for name in ("module", "offering", "target") if details.get(name)), None)
    if offering:
        words += f" for {short_name(programme, offering)}"
    if role := details.get("role"):
        words = words.replace("a role", f"the role {role.replace('_', ' ')}")
    if until := details.get("until"):
        words += f" until {weekday(date.fromisoformat(until))}"
    return words
