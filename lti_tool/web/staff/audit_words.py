"""What an entry of the audit log says to staff, as the end of a sentence that begins with who did it. PURE."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from lti_tool.gates.condition_checks import short_name
from lti_tool.programme.model import Programme
from lti_tool.times import weekday

ACTS = {
    "accommodation_request_answered": "answered a request for an accommodation",
    "accommodation_request_closed": "closed a request for an accommodation",
    "accommodation_request_opened": "asked for an accommodation",
    "accommodation_request_viewed": "read a request for an accommodation",
    "accommodation_request_withdrawn": "withdrew a request for an accommodation",
    "application_submitted": "applied for a retreat",
    "application_withdrawn": "withdrew an application for a retreat",
    "attendance_let_stand": "accepted a day of attendance as it is",
    "attendance_request_answered": "answered a question about attendance",
    "attendance_request_opened": "asked about the attendance of a day",
    "attendance_request_withdrawn": "withdrew a question about attendance",
    "attendance_reviewed": "looked at a day of attendance",
    "award_contested": "marked credit as contested, because its evidence changed",
    "calendar_renewed": "renewed the address of the calendar",
    "completion_ended": "ended a completion",
    "completion_recorded": "recorded a module as completed",
    "correction_confirmed": "confirmed a correction of attendance",
    "correction_proposed": "proposed a correction of attendance",
    "correction_undone": "undid a correction of attendance",
    "credit_awarded": "awarded credit",
    "credit_evaluation_recorded": "recorded that the evaluation was handed in",
    "credit_fee_recorded": "recorded that a credit fee is settled",
    "decisions_viewed": "looked at this page",
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
    "licence_recorded": "recorded a licence",
    "person_joined": "joined two accounts",
    "person_linked": "matched a participant to this person",
    "person_separated": "separated two accounts",
    "person_unlinked": "took back a match to this person",
    "role_ended": "ended a role",
    "role_granted": "granted a role",
    "retreat_attended": "recorded attendance of a retreat",
    "retreat_no_show": "recorded absence from a retreat",
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
