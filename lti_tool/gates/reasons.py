"""Every reason key a node can carry, with its sentence for the learner and for staff (gates.md A2.7, A7.3). Pure data.

Both sentences come from one node, so they cannot disagree. In braces: {title} is the offering or set that the condition
names, {date}, {until} and {on} are days, the rest are the node's own params; {missing} is how many are left.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sentences:
    """`learner` speaks to the person, `staff` of the person; `until` ends the heading "<title> is locked until …"."""

    learner: str
    staff: str
    until: str = ""


_CANNOT_CHECK = "We cannot check this right now."

REASONS: Mapping[str, Sentences] = {
    # completed, completed_any
    "module_taken": Sentences("You took {title} on {date}.", "{title} completed on {date} ({origin})."),
    "module_not_taken": Sentences(
        "You have not taken {title} yet.", "No completion of {title} is recorded.", "you have taken {title}"
    ),
    "completion_ended": Sentences(
        "Your completion of {title} was taken back on {date}: {why}",
        "The completion of {title} was ended on {date}: {why}",
        "you have taken {title}",
    ),
    "modules_taken": Sentences("You have taken enough of {title}.", "Enough of {title} completed."),
    "one_more_module": Sentences(
        "Take one more of {title}.", "One completion of {title} is missing.", "you have taken one more of {title}"
    ),
    "more_modules": Sentences(
        "Take {missing} more of {title}.",
        "{missing} completions of {title} are missing.",
        "you have taken {missing} more of {title}",
    ),
    # equivalency, retreat_equivalency
    "equivalency_approved": Sentences(
        "Your training elsewhere was accepted in place of {title} on {date}.",
        "Equivalency of {title} approved on {date}.",
    ),
    "equivalency_none": Sentences(
        "You have not asked for training elsewhere to be accepted in place of {title}.",
        "No equivalency request for {title}.",
        "your training elsewhere is accepted in place of {title}",
    ),
    "equivalency_draft": Sentences(
        "You have begun a request about training elsewhere in place of {title}, but not sent it.",
        "An equivalency request for {title} is still a draft.",
        "your training elsewhere is accepted in place of {title}",
    ),
    "equivalency_pending": Sentences(
        "Your request about training elsewhere in place of {title}, sent on {date}, is being reviewed.",
        "Equivalency request for {title} of {date} waits for review.",
        "your request about training elsewhere is accepted",
    ),
    "equivalency_more_info": Sentences(
        "We have a question about your request of {date} (training elsewhere in place of {title}).",
        "Equivalency request for {title} of {date} waits for the learner's answer.",
        "your request about training elsewhere is accepted",
    ),
    "equivalency_declined": Sentences(
        "Your training elsewhere was not accepted in place of {title} on {date}.",
        "Equivalency request for {title} declined on {date}.",
        "your training elsewhere is accepted in place of {title}",
    ),
    "equivalency_withdrawn": Sentences(
        "Your request about training elsewhere in place of {title} was withdrawn on {date}.",
        "Equivalency request for {title} withdrawn on {date}.",
        "your training elsewhere is accepted in place of {title}",
    ),
    "equivalency_expired": Sentences(
        "Your accepted training elsewhere counted in place of {title} until {until}.",
        "Equivalency of {title} expired after {until}.",
        "your training elsewhere is accepted again in place of {title}",
    ),
    "equivalency_revoked": Sentences(
        "Your training elsewhere no longer counts in place of {title} since {date}.",
        "Equivalency of {title} revoked on {date}.",
        "your training elsewhere is accepted in place of {title}",
    ),
    # attended_retreat
    "retreat_attended": Sentences("You attended {title} from {date}.", "Attended {title} from {date}."),
    "retreat_not_attended": Sentences(
        "You have not attended {title}.", "No attendance of {title} on a roster.", "you have attended {title}"
    ),
    "retreat_no_show": Sentences(
        "You were not present at {title} from {date}.",
        "Marked as not present at {title} from {date}.",
        "you have attended {title}",
    ),
    # licence_active
    "licence_ok_until": Sentences(
        "Your licence ({type}, {jurisdiction}) is valid until {date}.",
        "Licence {type}, {jurisdiction}, valid until {date}.",
    ),
    "licence_missing": Sentences(
        "We have no licence of yours on record.", "No licence is recorded.", "your clinical licence is on record"
    ),
    "licence_type_not_listed": Sentences(
        "The licence we have on record is not of a kind that opens this.",
        "No recorded licence is of a listed type.",
        "a clinical licence of a listed kind is on record",
    ),
    "licence_jurisdiction": Sentences(
        "The licence we have on record is not from a listed state.",
        "No recorded licence of a listed type is from a listed jurisdiction.",
        "a clinical licence from a listed state is on record",
    ),
    "licence_inactive": Sentences(
        "The licence we have on record is not active.",
        "The recorded licence is inactive.",
        "an active clinical licence is on record",
    ),
    "licence_on_probation": Sentences(
        "The licence we have on record needs to be looked at by the training team.",
        "The recorded licence is on probation: staff decide, by an exception.",
        "the training team has looked at your licence",
    ),
    "licence_not_verified": Sentences(
        "Your licence has not been checked by the training team yet.",
        "The recorded licence is not verified.",
        "the training team has checked your licence",
    ),
    "licence_not_yet_valid": Sentences(
        "Your licence ({type}, {jurisdiction}) is valid from {date}, which is too late.",
        "Licence {type}, {jurisdiction}, is valid only from {date}.",
        "you hold a licence that is valid on the day",
    ),
    "licence_ends_before": Sentences(
        "Your licence ({type}, {jurisdiction}) ends on {date}, before {on}.",
        "Licence {type}, {jurisdiction}, ends on {date}, before {on}.",
        "your licence is valid on {on}",
    ),
    "licence_expired": Sentences(
        "Your licence ({type}, {jurisdiction}) expired on {date}.",
        "Licence {type}, {jurisdiction}, expired on {date}.",
        "your renewed licence is on record",
    ),
    # profession_in
    "profession_listed": Sentences("Your profession is {profession}.", "Profession {profession} is listed."),
    "profession_not_stated": Sentences(
        "We do not know your profession.", "No profession is recorded.", "your profession is on record"
    ),
    "profession_not_listed": Sentences(
        "This is for other professions than {profession}.",
        "Profession {profession} is not listed.",
        "your profession is one of those this is for",
    ),
    # date_window
    "window_open": Sentences("This is open at present.", "Inside the window from {from} to {to}."),
    "window_not_open": Sentences("This opens on {from}.", "The window opens on {from}.", "{from}"),
    "window_closed": Sentences("This closed on {to}.", "The window closed on {to}.", "it is opened again"),
    # health_clearance: a status and nothing else
    "screening_done": Sentences("Screening: done.", "Screening for {title}: eligible."),
    "screening_not_started": Sentences(
        "Screening: next step.", "Screening for {title}: not begun.", "your screening is done"
    ),
    "screening_in_progress": Sentences(
        "Screening: with the clinic.", "Screening for {title}: in screening.", "your screening is done"
    ),
    "screening_expired": Sentences(
        "Screening: please renew.", "Screening for {title}: in screening again.", "your screening is renewed"
    ),
    "screening_not_passed": Sentences(
        "Please write to us about this.", "Screening for {title}: not eligible.", "you have talked with us"
    ),
    # attestation, invitation
    "attestation_made": Sentences(
        "You read the list and made the statement on {date}.", "Statement for list {version} made on {date}."
    ),
    "attestation_missing": Sentences(
        "You have not yet read the list and made the statement.",
        "No statement for list {version}.",
        "you have read the list and made the statement",
    ),
    "attestation_outdated": Sentences(
        "The list has changed since you read it. Please read it again.",
        "The statement was made for another version than {version}.",
        "you have read the list again",
    ),
    "invited": Sentences("You were invited on {date}.", "Invited to {title} on {date}."),
    "not_invited": Sentences("This is by invitation only.", "No invitation to {title}.", "you are invited"),
    # not
    "not_allowed_with": Sentences(
        "This is not for people for whom the following holds.", "Shut because the following holds.", "that changes"
    ),
    # what cannot be decided: always locked
    "offering_date_unknown": Sentences(
        "No date is announced, so your licence cannot be checked against it.",
        "No date of the offering is known to judge the licence by.",
        "a date is announced",
    ),
    "facts_unavailable": Sentences(_CANNOT_CHECK, "The records that this condition needs could not be read."),
    "check_failed": Sentences(_CANNOT_CHECK, "The check broke off; the log names the rule and the path."),
    "record_unreadable": Sentences(_CANNOT_CHECK, "A record holds a state that the rule does not know."),
    "target_gone": Sentences(_CANNOT_CHECK, "The rule names something that the programme no longer has."),
    "set_gone": Sentences(_CANNOT_CHECK, "The rule names a set that the programme does not have."),
    "set_unset": Sentences(_CANNOT_CHECK, "The rule names a set that is UNSET: a named person must choose it."),
    "set_empty": Sentences(_CANNOT_CHECK, "The rule names a set that is empty."),
    "set_too_small": Sentences(_CANNOT_CHECK, "The rule asks for more than its set holds."),
    # gates without a tree
    "gate_free": Sentences("This is open to everyone.", "Nothing is required."),
    "gate_unset": Sentences("This is not open: its requirements are not decided yet.", "The gate is UNSET."),
    "gate_missing": Sentences(_CANNOT_CHECK, "The programme has no gate for this offering."),
    "rule_unreadable": Sentences(_CANNOT_CHECK, "The rule of this gate cannot be read."),
    "offering_gone": Sentences(_CANNOT_CHECK, "The programme has no such module or retreat."),
    "not_offered": Sentences("This is not offered at present.", "The offering is not published."),
}
