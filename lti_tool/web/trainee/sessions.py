"""The trainee's own sessions: the list, one day minute by minute, questions about it, presence checks, the calendar."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response
from sqlalchemy import Row
from werkzeug.wrappers import Response as AnyResponse

from lti_tool import languages, people, rights
from lti_tool.attendance import calendar_feed, live_sessions, presence_checks, queries, reviews, timeline
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.locking import progress
from lti_tool.attendance.queries import AttendedDay
from lti_tool.credit import claims, licences
from lti_tool.credit.checklist import body_name
from lti_tool.errors import NotFound
from lti_tool.gates.wording import name_of
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.rights import SEE_CLASSES
from lti_tool.times import day_of
from lti_tool.web.forms import field
from lti_tool.web.page import go, show
from lti_tool.web.request import connection, context, now
from lti_tool.web.session import access, viewer, write_for
from lti_tool.web.trainee import join, with_team
from lti_tool.web.trainee.progress import open_modules

blueprint = Blueprint("sessions", __name__)


@dataclass(frozen=True, slots=True)
class CreditYear:
    """The credits of one year from one body, and the modules that earned them."""

    year: int
    credits: Decimal
    modules: Sequence[tuple[str, Decimal]]


@blueprint.get("/record")
@access("trainee")
def record() -> str:
    """What the viewer attended and earned: credits by body and year, sessions, licences, requests, the calendar."""
    programme, trainee_id = versions.current(connection()).programme, viewer().trainee_id
    awards = claims.awards_of(connection(), trainee_id)
    return show(
        "trainee/record.html",
        programme,
        attended=queries.of_trainee(connection(), trainee_id),
        credits=_by_body_and_year(programme, awards),
        awarded=_by_session(programme, awards),
        licences=licences.of_trainee(connection(), trainee_id),
        today=day_of(now(), programme.zone),
        credits_contact=programme.contact("credits"),
        with_team=with_team.load(connection(), programme, trainee_id),
    )


def _by_body_and_year(programme: Programme, awards: Sequence[Row[Any]]) -> dict[str, list[CreditYear]]:
    """The name of each body → its years, the latest first."""
    found: defaultdict[str, defaultdict[int, list[tuple[str, Decimal]]]] = defaultdict(lambda: defaultdict(list))
    for each in awards:
        name = body_name(programme.bodies.get(each.body_id), each.body_id)
        year = day_of(each.starts_at, each.zone).year
        found[name][year].append((name_of(programme, each.module_id), each.credits))
    return {
        name: [
            CreditYear(year, sum((credits for _, credits in earned), Decimal()), earned)
            for year, earned in sorted(years.items(), reverse=True)
        ]
        for name, years in sorted(found.items())
    }


def _by_session(programme: Programme, awards: Sequence[Row[Any]]) -> dict[int, list[tuple[str, Decimal]]]:
    found: defaultdict[int, list[tuple[str, Decimal]]] = defaultdict(list)
    for each in awards:
        found[each.live_session_id].append((body_name(programme.bodies.get(each.body_id), each.body_id), each.credits))
    return found


@blueprint.get("/sessions/<int:session_id>")
@access("trainee")
def own_day(session_id: int) -> str:
    """The viewer's day in one session: what counted, what did not and why, and the credit decision."""
    session, mine = _load_own(session_id)
    programme = versions.version(connection(), session.programme_version).programme
    grace = programme.completion.grace_seconds if programme.completion else 0
    labels, settings = live_sessions.labels(connection(), session_id), context().settings
    return show(
        "trainee/day.html",
        programme,
        session=session,
        name_of=name_of,
        progress=progress(session, now(), has_reports=settings.has_zoom_api, lock_days=settings.lock_days),
        mine=mine,
        rows=timeline.stretches(mine.day, grace_seconds=grace) if mine else (),
        whereabouts=timeline.whereabouts(mine.day) if mine else (),
        questions=mine.day.participation.questions if mine else (),
        bar=timeline.bar_of(mine.day, session.zone) if mine and not mine.is_running else None,
        picture=timeline.draw(mine.day, session.zone, labels, grace) if mine else None,
        room_labels=labels,
        own_requests=reviews.of_trainee_in(connection(), viewer().trainee_id, session_id),
        own_claims=claims.of_session(connection(), programme, viewer().trainee_id, session_id),
    )


@blueprint.post("/sessions/<int:session_id>/requests")
@access("trainee")
def ask_about_day(session_id: int) -> AnyResponse:
    """Ask the training team to look at the viewer's day."""
    _load_own(session_id)
    trainee_id, text = viewer().trainee_id, field("text")
    reviews.open_request(connection(), session_id=session_id, trainee_id=trainee_id, text=text, now=now())
    return go(f"/sessions/{session_id}", "question_about_day")


@blueprint.post("/sessions/requests/<int:request_id>/withdraw")
@access("trainee")
def withdraw_question(request_id: int) -> AnyResponse:
    """Withdraw the viewer's own question."""
    own = reviews.withdraw(connection(), request_id, trainee_id=viewer().trainee_id, now=now())
    return go(f"/sessions/{own.live_session_id}", "question_withdrawn")


def _load_own(session_id: int) -> tuple[LiveSession, AttendedDay | None]:
    """A session and the viewer's day in it, None if there is none.

    Raises NotFound `session_unknown`, also for a session of an unpublished module that the viewer did not attend.
    """
    session = live_sessions.show(connection(), session_id)
    mine = queries.of_trainee_in(connection(), viewer().trainee_id, session_id)
    is_shown = viewer().teaches or versions.current(connection()).programme.is_published(session.module_id)
    if mine is None and not is_shown:
        raise NotFound("session_unknown", "There is no such live session.", "Choose one from the list of sessions.")
    return session, mine


@blueprint.get("/presence")
@access("trainee")
def presence_check() -> str:
    """The page to keep open during a session. Its script fetches the part that changes."""
    return _presence_page("trainee/presence_check.html")


@blueprint.get("/presence/now")
@access("trainee")
def presence_check_now() -> str:
    """The part that changes."""
    return _presence_page("trainee/presence_check_now.html")


@blueprint.post("/presence/<int:check_id>")
@access("trainee")
def answer_presence_check(check_id: int) -> AnyResponse:
    """Answer a presence check."""
    presence_checks.answer(connection(), check_id, viewer().trainee_id, now())
    return go("/" if field("to") == "home" else "/presence", "presence_answered")


def _presence_page(template: str) -> str:
    found = presence_checks.open_for(connection(), viewer().trainee_id, now())
    asked = [(each, live_sessions.show(connection(), each.check.session_id)) for each in found]
    return show(template, versions.current(connection()).programme, asked=asked)


@blueprint.get("/calendar")
@access("trainee")
def calendar() -> str:
    """Whether the viewer has a calendar address. The address itself is shown only when it is made."""
    programme = versions.current(connection()).programme
    made_at = people.trainee(connection(), viewer().trainee_id).calendar_made_at
    return show("trainee/calendar.html", programme, made_at=made_at, zone=programme.zone)


@blueprint.post("/calendar")
@access("trainee")
def renew_calendar() -> str:
    """Make a new calendar address for the viewer and show it, this once. The old one and the join links in it stop
    working."""
    token = calendar_feed.renew_token(connection(), viewer().trainee_id, viewer().actor, now())
    folder = "/calendar/staff" if viewer().teaches else "/calendar"
    address = f"{context().settings.public_url}{folder}/{token}.ics"
    webcal = "webcal://" + address.partition("://")[2]
    programme = versions.current(connection()).programme
    return show("trainee/calendar.html", programme, address=address, webcal=webcal)


@blueprint.get("/calendar/<token>.ics")
@access("public")
def feed(token: str) -> Response:
    """The feed for calendar programs, which have no browser session: the token says who asks."""
    settings = context().settings
    trainee_id = calendar_feed.owner(connection(), token)
    write_for(trainee_id)
    published = versions.current(connection())
    may_join = calendar_feed.may_join(connection(), trainee_id)
    is_open = open_modules(connection(), published, trainee_id, now()) if may_join else ()

    def join_address(session: LiveSession) -> str | None:
        secret, registers = settings.secret_key, settings.has_zoom_api
        path = join.address_in_calendar(secret, trainee_id, token, session, registers=registers)
        return f"{settings.public_url}{path}" if path else None

    body = calendar_feed.feed(
        connection(), trainee_id, published, now(), is_open, host=_host(), join_address=join_address
    )
    return _calendar_file(body)


@blueprint.get("/calendar/staff/<token>.ics")
@access("public")
def staff_feed(token: str) -> Response:
    """The feed of the sessions that its owner sees on the desk. Raises NotFound `calendar_unknown` for a person who
    sees none any more."""
    languages.choose(languages.ENGLISH)
    trainee_id = calendar_feed.owner(connection(), token)
    sees_all = SEE_CLASSES.is_held(rights.roles_of(connection(), trainee_id, now()), reads=True)
    taught = calendar_feed.taught(connection(), trainee_id)
    if not (sees_all or taught):
        raise calendar_feed.unknown_calendar()

    def page_address(session: LiveSession) -> str:
        return f"{context().settings.public_url}/desk/sessions/{session.id}"

    published = versions.current(connection())
    body = calendar_feed.staff_feed(
        connection(), published, now(), host=_host(), page_address=page_address, only=None if sees_all else taught
    )
    return _calendar_file(body)


def _host() -> str:
    return urlsplit(context().settings.public_url).hostname or "gatehouse"


def _calendar_file(body: bytes) -> Response:
    response = Response(body, content_type="text/calendar; charset=utf-8")
    response.headers["Cache-Control"] = "private, max-age=300"
    return response
