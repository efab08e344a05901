"""The help page: contacts, the form that asks for an accommodation, and what the programme answers."""

from collections.abc import Sequence
from datetime import timedelta

from flask import Blueprint
from werkzeug.wrappers import Response

from lti_tool.attendance import accommodations, live_sessions
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.errors import BadInput, Conflict, GatehouseError
from lti_tool.languages import translated
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.web.forms import Problems, field
from lti_tool.web.page import go, show
from lti_tool.web.request import connection, now, read_id
from lti_tool.web.session import access, viewer

Page = str | Response | tuple[str, int]
# The sessions that the form offers.
AHEAD = timedelta(days=120)
MOST_SESSIONS = 40
# Which field of the form a refusal is about.
FIELD_OF = {"request_text_missing": "needed"}

blueprint = Blueprint("help", __name__)


@blueprint.get("/help")
@access("trainee")
def contacts() -> str:
    """The addresses of the programme, and the viewer's requests for accommodations. Nothing is stored about a visit
    here."""
    return _page({}, {})


@blueprint.post("/help/accommodations")
@access("trainee")
def ask_for_accommodation() -> Page:
    """Ask the training team for an accommodation."""
    about, needed = field("about"), field("needed")
    try:
        module_id, session_id = _subject(about)
        with connection().begin_nested():
            accommodations.ask(
                connection(),
                versions.current(connection()).programme,
                trainee_id=viewer().trainee_id,
                module_id=module_id,
                session_id=session_id,
                text=needed,
                now=now(),
            )
    except (BadInput, Conflict) as refusal:
        return _page({"about": about, "needed": needed}, _problems(refusal)), refusal.status
    return go("/help", "accommodation_asked")


@blueprint.post("/help/accommodations/<int:request_id>/withdraw")
@access("trainee")
def withdraw_accommodation(request_id: int) -> Response:
    """Withdraw the viewer's own request for an accommodation."""
    accommodations.withdraw(connection(), request_id, trainee_id=viewer().trainee_id, now=now())
    return go("/help", "accommodation_withdrawn")


def _page(given: dict[str, str], problems: Problems) -> str:
    programme = versions.current(connection()).programme
    return show(
        "trainee/help.html",
        programme,
        contact=None,
        contacts=[each for each in programme.contacts.values() if each.address],
        offered=[each for each in (*programme.modules, *programme.retreats) if programme.is_published(each)],
        sessions=_sessions(programme),
        own=accommodations.of_trainee(connection(), viewer().trainee_id),
        longest=accommodations.MAX_TEXT,
        given=given,
        problems=problems,
    )


def _sessions(programme: Programme) -> Sequence[LiveSession]:
    found = live_sessions.held_between(connection(), now(), now() + AHEAD)
    return [each for each in found if programme.is_published(each.module_id)][:MOST_SESSIONS]


def _subject(about: str) -> tuple[str | None, int | None]:
    """The module, or the session, that the form names: "module:…", "session:…" or nothing."""
    kind, _, name = about.partition(":")
    try:
        return (None, read_id(name)) if kind == "session" else (name or None, None)
    except ValueError as error:
        raise BadInput("form_incomplete", "Choose a module or a session from the list.") from error


def _problems(refusal: GatehouseError) -> Problems:
    return {
        FIELD_OF.get(refusal.code, "form"): [f"{translated(refusal.message)} {translated(refusal.next_step)}".strip()]
    }
