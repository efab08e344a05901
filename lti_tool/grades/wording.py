"""The reason behind a score's state, in words for staff: platforms' answers, our own codes, columns.

PURE.
"""

from lti_tool.languages import gettext
from lti_tool.lti.quirks import PROFILES

ANSWERS = {
    "400": "The platform did not understand the score. The maximum of the unit may differ from the programme's.",
    "401": "The platform did not accept our sign-in for grades. It is tried again by itself.",
    "403": "The platform does not allow this tool to write grades here. Check the unit's grade settings (AGS).",
    "404": "The place of this grade no longer exists on the platform. The unit may have been removed or copied.",
    "405": "The platform does not take scores at this address. Check the unit's grade settings (AGS).",
    "409": "The platform says that it holds a newer score. Compare the two scores.",
    "422": "The platform did not take this value. The person may have left the course.",
    "429": "The platform asked us to slow down. It is tried again by itself.",
}

# Where a kind of platform gives an answer a more exact meaning.
ANSWERS_OF = {
    ("openedx", "400"): "Open edX did not accept the score; its answer names the field.",
    ("openedx", "403"): "Open edX does not let this unit's passport write the grade. Check that the unit is still "
    "connected with the client id that is registered here.",
    ("openedx", "500"): "Open edX had an error with this score. It gives the same answer for a person whom it does not "
    "know: check that the person is still enrolled.",
    ("moodle", "403"): "Moodle does not allow this tool to write grades in this course. Check the grade service in the "
    "tool's settings.",
    ("moodle", "404"): "Moodle has no such grade column any more. The activity may have been deleted.",
    ("moodle", "409"): "Moodle holds a newer grade, often one that a teacher entered. Compare the two grades.",
}

NOT_A_PARTICIPANT = (
    "This person gets no grades in the platform's course: teachers, administrators and people who are not enrolled are "
    "no graded participants there."
)

CODES = {
    "regraded": "A person changed this grade in the platform's gradebook. Nothing is sent before you decide.",
    "column_taken_over": "The unit shows another module now, and the one grade column belongs to that module.",
    "column_meaning_changed": "The unit's grade column has another meaning now.",
    "column_not_bound": "The grade column is not tied to this unit, so nothing would appear in the gradebook.",
    "column_gone": "The grade column was removed on the platform.",
    "results_unreadable": "The platform's grades cannot be read. Nothing is sent, because a person may have entered a "
    "grade. It is tried again by itself.",
    "score_wrong": "This score cannot be written as the platform requires. Tell the people who run the tool.",
    "service_foreign": "The grade's address is not on the platform's own hosts. Check the platform's registration.",
    "line_item_foreign": "The grade's address is not on the platform's own hosts. Check the platform's registration.",
    "token_refused": "The platform gave no access to its grades. Often it cannot read this tool's key set, or the "
    "clocks disagree. It is tried again by itself.",
    "scope_refused": "The platform does not allow this tool to write grades. Check the tool's settings there.",
    "tool_keys_unreadable": "The platform could not check our signature: it cannot read this tool's key set.",
    "assertion_refused": "The clocks of the platform and of this tool disagree.",
    "token_url_wrong": "There is no token service at the registered address. Check the platform's registration.",
    "redirect_refused": "The platform sends scores to another address, which is never followed.",
    "platform_not_in_use": "The platform is switched off here.",
}

COLUMNS = {
    "line_item_gone": "A grade column was removed on the platform. It is made again when you ask for it.",
    "column_taken_over": "Another module behind the same link writes the one grade column.",
    "line_items_refused": "The platform does not let the tool read or make grade columns here.",
    "line_items_unreadable": "The platform's list of grade columns cannot be read.",
    "scope_refused": "The platform does not allow this tool to manage grade columns. Check the tool's settings there.",
    "service_foreign": "The address of the grade columns is not on the platform's own hosts.",
    "next_link_foreign": "The platform's list of grade columns continues on another host, which is never asked.",
}
AGAIN = "It is tried again by itself."
GAVE_UP = "It was tried for days without success. Fix the cause, then try again."
ACCEPTED = "The platform accepted it."
# How the ledger notes a score that the platform has.
TAKEN = ("accepted", "already there")
COLUMN_UNREACHED = "The platform could not be reached for its grade columns. It is tried again by itself."


def in_words(last_answer: str | None, profile: str = "generic", *, is_parked: bool = False) -> str:
    """The plain reason behind the ledger's last answer, which starts with the HTTP status or with one of our codes.

    `profile` is the kind of platform that answered; `is_parked` says that the score is not tried again.
    """
    words = _reason(last_answer, profile)
    return words.replace(AGAIN, GAVE_UP) if is_parked else words


def _reason(last_answer: str | None, profile: str) -> str:
    if not last_answer:
        return "Not tried yet."
    status, _, rest = last_answer.partition(" ")
    if status in CODES:
        return CODES[status]
    if rest in CODES:  # our code for an answer of the token service, or for a redirect
        return CODES[rest]
    if status.isdigit():
        return ACCEPTED if rest in TAKEN else status_in_words(status, profile)
    if status[:1].isupper():  # the class of an error in the tool; our codes are in lower case
        return "The tool had an error. It is tried again by itself."
    if last_answer == "seen in the results":
        return "The platform accepted it: its gradebook shows it."
    return "The platform could not be reached. It is tried again by itself."


def column_in_words(code: str) -> str:
    """Why a unit's grade columns are not as they should be."""
    return COLUMNS.get(code, COLUMN_UNREACHED)


def unseen_in_words(profile: str, status: str) -> str:
    """Why the gradebook of an accepted score is unknown; "" where it will be read."""
    if status == "delivered" and not PROFILES[profile].results_show_gradebook:
        return "This platform does not let us see its gradebook."
    return ""


def status_in_words(status: str, profile: str) -> str:
    """What an HTTP status means on this kind of platform."""
    if status == str(PROFILES[profile].not_a_participant_status):
        return NOT_A_PARTICIPANT
    if (profile, status) in ANSWERS_OF:
        return ANSWERS_OF[profile, status]
    if status in ANSWERS:
        return ANSWERS[status]
    if status < "300":
        return ACCEPTED
    if status >= "500":
        return "The platform had an error. It is tried again by itself."
    return "The platform refused the score."


def credit_in_words(credits: float, most: float, maximum: float, *, with_share: bool = False) -> str:
    """What a gradebook's number means: `maximum` stands for `most` credits (ce.md G5). Empty where the number is the
    credits; `with_share` also explains a percentage below 100, which many gradebooks show."""
    share = credits / most
    values = {
        "number": f"{round(share * maximum, 5):g}",
        "maximum": f"{maximum:g}",
        "credits": f"{credits:g}",
        "most": f"{most:g}",
    }
    if not with_share:
        if maximum == most:
            return ""
        return gettext("%(number)s of %(maximum)s means %(credits)s of %(most)s credits.", **values)
    if maximum == most and share >= 1:
        return ""
    return gettext(
        "%(number)s of %(maximum)s (%(share)s) means %(credits)s of %(most)s credits, the most that a body gives for "
        "this module.",
        share=f"{share:.0%}",
        **values,
    )
