"""Which messages a person receives: their own page, and the link in a message that needs no login (RFC 8058)."""

from flask import Blueprint
from flask import request as http_request
from werkzeug.wrappers import Response

from lti_tool.outbox import preferences
from lti_tool.outbox.occasions import DIGEST_ROLES
from lti_tool.outbox.preferences import Choice, Preferences
from lti_tool.programme import versions
from lti_tool.web.page import go, show
from lti_tool.web.request import connection, context, now
from lti_tool.web.session import access, viewer, write_for

blueprint = Blueprint("mail", __name__, url_prefix="/mail")


@blueprint.get("")
@access("trainee")
def messages() -> str:
    """What the viewer receives."""
    return show(
        "trainee/mail.html",
        versions.current(connection()).programme,
        chosen=preferences.of(connection(), viewer().trainee_id),
        is_on=context().settings.has_mail,
        gets_digest=_gets_digest(),
    )


def _gets_digest() -> bool:
    return not viewer().roles.isdisjoint(DIGEST_ROLES)


@blueprint.post("")
@access("trainee")
def choose() -> Response:
    """Keep what the viewer chose. The digest is for staff; a trainee's form has no field for it."""
    before = preferences.of(connection(), viewer().trainee_id)
    chosen = Preferences(
        reminders="reminders" in http_request.form,
        schedule_changes="schedule_changes" in http_request.form,
        digest="digest" in http_request.form if _gets_digest() else before.digest,
    )
    preferences.choose(connection(), viewer().trainee_id, chosen, now())
    return go("/mail", "messages_chosen")


@blueprint.get("/unsubscribe/<token>")
@access("public")
def ask(token: str) -> str:
    """Ask before anything changes: programs that look for harm in messages open every link."""
    trainee_id, choice = preferences.read_link(context().settings.secret_key, token, now())
    write_for(trainee_id)
    return _unsubscribe_page(choice, is_done=False)


@blueprint.post("/unsubscribe/<token>")
@access("public")
def unsubscribe(token: str) -> str:
    """End these messages at once: the button of the page, or the one that a mail program shows."""
    trainee_id, choice = preferences.read_link(context().settings.secret_key, token, now())
    write_for(trainee_id)
    preferences.unsubscribe(connection(), trainee_id, choice, now())
    return _unsubscribe_page(choice, is_done=True)


def _unsubscribe_page(choice: Choice, *, is_done: bool) -> str:
    programme = versions.current(connection()).programme
    return show("trainee/unsubscribe.html", programme, choice=choice, is_done=is_done)
