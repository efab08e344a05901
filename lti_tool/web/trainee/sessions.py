"""The trainee's own sessions: the list, one day minute by minute, and the calendar to subscribe to.

"This does not look right", from the trainee's own day: ask the training team to look, or take it back.

The presence check in the frame: "Are you there?", answered by one tap.
"""

from urllib.parse import urlsplit

from flask import Blueprint, Response
from flask import request as http_request
from sqlalchemy import select
from werkzeug.wrappers import Response as AnyResponse

from lti_tool import people
from lti_tool.attendance import calendar_feed, live_sessions, presence_checks, queries, reviews, timeline
from lti_tool.attendance.progress import progress
from lti_tool.credit import claims
from lti_tool.errors import NotFound
from lti_tool.programme import versions
from lti_tool.tables.people import trainees
from lti_tool.web.page import go, show
from lti_tool.web.request import connection, house, now
from lti_tool.web.session import access, viewer
from lti_tool.web.trainee import home
from zoom_adapter import places

blueprint = Blueprint("sessions", __name__)

Page = str | AnyResponse


@blueprint.get("/sessions")
@access("trainee")
def own_sessions() -> Page:
    """Sessions to come of the modules that are open, and those attended."""
    published, trainee_id = versions.current(connection()), viewer().trainee_id
    is_open = home.open_modules(connection(), published, trainee_id, now())
    return show(
        "trainee/sessions.html",
        published.programme,
        upcoming=home.sessions_to_come(connection(), is_open, now()),
        attended=queries.of_trainee(connection(), trainee_id),
    )


@blueprint.get("/sessions/<int:session_id>")
@access("trainee")
def own_day(session_id: int) -> Page:
    """The viewer's own day in one session: what counted, what did not and why, and the credit decision."""
    session = live_sessions.show(connection(), session_id)
    programme = versions.version(connection(), session.programme_version).programme
    mine = queries.of_trainee_in(connection(), viewer().trainee_id, session_id)
    if mine is None and not _is_published(session.module_id):
        raise NotFound("session_unknown", "There is no such live session.", "Choose one from the list of sessions.")
    grace = programme.completion.grace_seconds if programme.completion else 0
    labels, settings = live_sessions.labels(connection(), session_id), house().settings
    return show(
        "trainee/day.html",
        programme,
        session=session,
        progress=progress(session, now(), has_reports=settings.has_zoom_api, lock_days=settings.lock_days),
        mine=mine,
        rows=timeline.stretches(mine.day, grace_seconds=grace) if mine else (),
        whereabouts=timeline.whereabouts(mine.day) if mine else (),
        questions=mine.day.participation.questions if mine else (),
        picture=timeline.draw(mine.day, session.zone, labels, grace) if mine else None,
        room_labels=labels,
        own_requests=reviews.of_trainee_in(connection(), viewer().trainee_id, session_id),
        own_claims=claims.of_session(connection(), programme, viewer().trainee_id, session_id),
    )


@blueprint.get("/calendar")
@access("trainee")
def calendar() -> Page:
    """The personal address to subscribe to."""
    programme = versions.current(connection()).programme
    token = people.trainee(connection(), viewer().trainee_id).calendar_token
    address = f"{house().settings.public_url}/calendar/{token}.ics"
    return show("trainee/calendar.html", programme, address=address, webcal="webcal://" + address.partition("://")[2])


@blueprint.get("/calendar/<token>.ics")
@access("public")
def feed(token: str) -> Response:
    """The feed for calendar programs, which have no session: the token is who asks."""
    trainee_id = _whose(token)
    published = versions.current(connection())
    may_join = calendar_feed.may_join(connection(), trainee_id)
    is_open = home.open_modules(connection(), published, trainee_id, now()) if may_join else ()
    host = urlsplit(house().settings.public_url).hostname or "gatehouse"
    own = places.own_links(connection(), trainee_id) if may_join else {}
    body = calendar_feed.feed(connection(), trainee_id, published, now(), is_open, host=host, own_links=own)
    response = Response(body, content_type="text/calendar; charset=utf-8")
    response.headers["Cache-Control"] = "private, max-age=300"
    return response


def _is_published(module_id: str) -> bool:
    return viewer().is_staff or versions.current(connection()).programme.is_published(module_id)


def _whose(token: str) -> int:
    found = connection().scalar(select(trainees.c.id).where(trainees.c.calendar_token == token))
    if found is None:
        raise NotFound(
            "calendar_unknown",
            "There is no calendar at this address.",
            "Copy the address again from the calendar page in your course.",
        )
    return int(found)


requests_blueprint = Blueprint("day_requests", __name__, url_prefix="/sessions")


@requests_blueprint.post("/<int:session_id>/requests")
@access("trainee")
def ask(session_id: int) -> AnyResponse:
    """Ask about one's own day."""
    _verify_visible(session_id)
    text = http_request.form.get("text", "")
    reviews.open_request(connection(), session_id=session_id, trainee_id=viewer().trainee_id, text=text, now=now())
    return go(f"/sessions/{session_id}", "question_about_day")


@requests_blueprint.post("/requests/<int:request_id>/withdraw")
@access("trainee")
def withdraw(request_id: int) -> AnyResponse:
    """Take one's own request back."""
    own = reviews.withdraw(connection(), request_id, trainee_id=viewer().trainee_id, now=now())
    return go(f"/sessions/{own.live_session_id}", "question_withdrawn")


def _verify_visible(session_id: int) -> None:
    """A session that has no page for this person cannot be asked about either."""
    session = live_sessions.show(connection(), session_id)
    is_shown = viewer().is_staff or versions.current(connection()).programme.is_published(session.module_id)
    if not is_shown and queries.of_trainee_in(connection(), viewer().trainee_id, session_id) is None:
        raise NotFound("session_unknown", "There is no such live session.", "Choose one from the list of sessions.")


checks_blueprint = Blueprint("checks", __name__, url_prefix="/presence")


@checks_blueprint.get("")
@access("trainee")
def page() -> str:
    """The page to keep open during class; the part that changes is fetched again by its script."""
    return show("trainee/presence_check.html", versions.current(connection()).programme, **_questions())


@checks_blueprint.get("/now")
@access("trainee")
def now_open() -> str:
    """Only the part that changes."""
    return show("trainee/presence_check_now.html", versions.current(connection()).programme, **_questions())


@checks_blueprint.post("/<int:check_id>")
@access("trainee")
def answer(check_id: int) -> AnyResponse:
    """The tap."""
    presence_checks.answer(connection(), check_id, viewer().trainee_id, now())
    return go("/presence", "presence_answered")


def _questions() -> dict[str, object]:
    asked = presence_checks.open_for(connection(), viewer().trainee_id, now())
    return {"asked": [(each, live_sessions.show(connection(), each.check.session_id)) for each in asked]}
