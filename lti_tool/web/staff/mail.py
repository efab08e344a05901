"""Messages to people, for staff: how many are in which state, and those that could not be delivered."""

from flask import Blueprint
from werkzeug.wrappers import Response

from lti_tool.mail import delivery
from lti_tool.programme import versions
from lti_tool.rights import RUN_PLATFORMS
from lti_tool.web.page import asked_part, go, show
from lti_tool.web.request import connection, context, now
from lti_tool.web.session import access

PLACE = "/desk/mail"
ROWS = 50

# State → kind of the sign, word.
STATES = {
    "waiting": ("wait", "Waiting"),
    "sent": ("ok", "Sent"),
    "refused": ("stop", "Refused"),
    "gave_up": ("stop", "Not delivered in time"),
    "dropped": ("plain", "No longer needed"),
}
KINDS = {
    "equivalency_received": "Request received",
    "equivalency_question": "Question about a request",
    "equivalency_approved": "Request approved",
    "equivalency_declined": "Request declined",
    "accommodation_answered": "Request for an accommodation answered",
    "session_scheduled": "New live session",
    "session_moved": "New time of a live session",
    "session_cancelled": "Live session cancelled",
    "session_reminder": "Reminder",
    "digest": "Digest for staff",
}
# Code → why a message was not delivered. The server's own status codes are told as they are.
REASONS = {
    "no_address": "The platform shares no e-mail address that a message can go to.",
    "smtp_no_answer": "The mail server did not answer.",
    "smtp_not_supported": "The mail server offers no encryption or no login.",
    "smtp_tls_failed": "The connection to the mail server could not be encrypted.",
}

blueprint = Blueprint("mail_desk", __name__, url_prefix=PLACE)


@blueprint.get("")
@access(RUN_PLATFORMS)
def messages() -> str:
    """Counts by state, and the messages that could not be delivered, the latest first."""
    counts = delivery.counts(connection())
    total = sum(counts.get(state, 0) for state in delivery.REFUSED)
    last = max(-(-total // ROWS), 1)
    number = min(asked_part(), last)
    return show(
        "staff/mail.html",
        versions.current(connection()).programme,
        counts=[(*STATES[state], counts[state]) for state in STATES if counts.get(state)],
        rows=delivery.undelivered(connection(), ROWS, number),
        number=number,
        last=last,
        kinds=KINDS,
        states=STATES,
        reason_of=reason_of,
        is_on=context().settings.has_mail,
    )


@blueprint.post("/<int:message_id>/again")
@access(RUN_PLATFORMS)
def try_again(message_id: int) -> Response:
    """Try one of them again."""
    delivery.try_again(connection(), message_id, now())
    return go(PLACE, "message_again")


def reason_of(answer: str | None) -> str:
    """Why a message was not delivered, as staff read it."""
    if answer is None:
        return "It was not tried in time."
    if answer.isdigit():
        return f"The mail server answered {answer}."
    return REASONS.get(answer, "The message could not be written.")
