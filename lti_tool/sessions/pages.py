"""The trainee's own sessions: the list, one day minute by minute, and the calendar to subscribe to."""

from urllib.parse import urlsplit

from flask import Blueprint, Response
from sqlalchemy import select
from werkzeug.wrappers import Response as AnyResponse

from lti_tool import people, publication
from lti_tool.errors import NotFound
from lti_tool.grades import shown_claims
from lti_tool.page import show
from lti_tool.request import connection, house, now
from lti_tool.session import access, viewer
from lti_tool.sessions import calendar_feed, day_picture, days, live_sessions, rooms
from lti_tool.sessions.asking import participation
from lti_tool.sessions.by_hand import requests
from lti_tool.sessions.meetings import places
from lti_tool.sessions.progress import progress
from lti_tool.tables.people import trainees
from lti_tool.trainee import offerings

blueprint = Blueprint("sessions", __name__)

Page = str | AnyResponse


@blueprint.get("/sessions")
@access("trainee")
def own_sessions() -> Page:
    """Sessions to come of the modules that are open, and those attended."""
    published, trainee_id = publication.current(connection()), viewer().trainee_id
    is_open = offerings.open_modules(connection(), published, trainee_id, now())
    return show(
        "sessions/list.html",
        published.programme,
        upcoming=offerings.sessions_to_come(connection(), is_open, now()),
        attended=days.of_trainee(connection(), trainee_id),
    )


@blueprint.get("/sessions/<int:session_id>")
@access("trainee")
def own_day(session_id: int) -> Page:
    """The viewer's own day in one session: what counted, what did not and why, and the credit decision."""
    session = live_sessions.show(connection(), session_id)
    programme = publication.version(connection(), session.programme_version).programme
    mine = days.of_trainee_in(connection(), viewer().trainee_id, session_id)
    if mine is None and not _is_published(session.module_id):
        raise NotFound("session_unknown", "There is no such live session.", "Choose one from the list of sessions.")
    grace = programme.completion.grace_seconds if programme.completion else 0
    labels, settings = rooms.labels(connection(), session_id), house().settings
    return show(
        "sessions/day.html",
        programme,
        session=session,
        progress=progress(session, now(), has_reports=settings.has_zoom_api, lock_days=settings.lock_days),
        mine=mine,
        rows=day_picture.stretches(mine.day, grace_seconds=grace) if mine else (),
        whereabouts=day_picture.whereabouts(mine.day) if mine else (),
        questions=participation.questions_of(mine.day) if mine else (),
        picture=day_picture.draw(mine.day, session.zone, labels, grace) if mine else None,
        room_labels=labels,
        own_requests=requests.of_trainee_in(connection(), viewer().trainee_id, session_id),
        own_claims=shown_claims.of_session(connection(), programme, viewer().trainee_id, session_id),
    )


@blueprint.get("/calendar")
@access("trainee")
def calendar() -> Page:
    """The personal address to subscribe to."""
    programme = publication.current(connection()).programme
    token = people.trainee(connection(), viewer().trainee_id).calendar_token
    address = f"{house().settings.public_url}/calendar/{token}.ics"
    return show("sessions/calendar.html", programme, address=address, webcal="webcal://" + address.partition("://")[2])


@blueprint.get("/calendar/<token>.ics")
@access("public")
def feed(token: str) -> Response:
    """The feed for calendar programs, which have no session: the token is who asks."""
    trainee_id = _whose(token)
    published = publication.current(connection())
    may_join = calendar_feed.may_join(connection(), trainee_id)
    is_open = offerings.open_modules(connection(), published, trainee_id, now()) if may_join else ()
    host = urlsplit(house().settings.public_url).hostname or "gatehouse"
    own = places.own_links(connection(), trainee_id) if may_join else {}
    body = calendar_feed.feed(connection(), trainee_id, published, now(), is_open, host=host, own_links=own)
    response = Response(body, content_type="text/calendar; charset=utf-8")
    response.headers["Cache-Control"] = "private, max-age=300"
    return response


def _is_published(module_id: str) -> bool:
    return viewer().is_staff or publication.current(connection()).programme.is_published(module_id)


def _whose(token: str) -> int:
    found = connection().scalar(select(trainees.c.id).where(trainees.c.calendar_token == token))
    if found is None:
        raise NotFound(
            "calendar_unknown",
            "There is no calendar at this address.",
            "Copy the address again from the calendar page in your course.",
        )
    return int(found)
