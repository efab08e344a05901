"""Presence that staff judge: days to look at, presence by hand with two people, and what trainees say is not right."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint
from flask import request as http_request
from sqlalchemy import Row
from werkzeug.wrappers import Response

from lti_tool import people, publication
from lti_tool.desk import overview, what_changes
from lti_tool.desk.evidence_forms import ANSWER, CORRECTION, PRESENT, REASON, REVIEW, read
from lti_tool.page import go, show
from lti_tool.programme.model import Programme
from lti_tool.request import connection, now
from lti_tool.session import access, viewer
from lti_tool.sessions import day_picture, day_words, days, live_sessions
from lti_tool.sessions.by_hand import correcting, corrections, effects, requests, reviews
from lti_tool.sessions.day_picture import Picture, Stretch
from lti_tool.sessions.days import AttendedDay

blueprint = Blueprint("desk_evidence", __name__, url_prefix="/desk")

# A page that a person can read to the end; the oldest come first.
MOST_ON_A_PAGE = 25


@blueprint.get("/reviews")
@access("staff")
def to_review() -> str:
    """The days whose evidence somebody has to look at."""
    due = reviews.due(connection())
    shown = _days(due[:MOST_ON_A_PAGE])
    return show(
        "desk/review_list.html",
        _programme(),
        days=[(row.id, each, *_drawn(each)) for row, each in shown],
        more=len(due) - MOST_ON_A_PAGE,
        names=overview.names(connection(), {each.trainee_id for _, each in shown if each.trainee_id}),
    )


@blueprint.post("/reviews/<int:session_id>")
@access("staff")
def let_stand(session_id: int) -> Response:
    """Let a day stand as it is."""
    given = read(REVIEW, http_request.form.to_dict())
    reviews.let_stand(connection(), session_id=session_id, **given, actor=viewer().actor, now=now())
    return go("/desk/reviews", "day_let_stand")


@blueprint.get("/corrections")
@access("staff")
def all_corrections() -> str:
    """What waits for a second person, with what it would change; and what was decided."""
    me = viewer().actor
    # Those first about which the reader can do something.
    waiting = sorted(corrections.waiting(connection()), key=lambda each: bool(each.proposed_by == me))
    decided = corrections.decided(connection())
    actors = {by for each in (*waiting, *decided) for by in (each.proposed_by, each.confirmed_by, each.undone_by)}
    return show(
        "desk/corrections.html",
        _programme(),
        waiting=[(each, _change(each)) for each in waiting[:MOST_ON_A_PAGE]],
        more=len(waiting) - MOST_ON_A_PAGE,
        decided=decided,
        acting=overview.acting(connection(), actors),
        state_of=corrections.state_of,
        me=me,
    )


@blueprint.get("/sessions/<int:session_id>/corrections/<int:trainee_id>")
@access("staff")
def correction_form(session_id: int, trainee_id: int) -> str:
    """Propose presence by hand for one person's day, or take some away."""
    session = live_sessions.show(connection(), session_id)
    who = people.trainee(connection(), trainee_id)
    attended = days.of_trainee_in(connection(), trainee_id, session_id)
    return show(
        "desk/correct.html",
        publication.version(connection(), session.programme_version).programme,
        session=session,
        person=who,
        name=who.name or f"Person {who.id}",
        attended=attended,
        rows=_drawn(attended)[0] if attended else (),
        earlier=corrections.of_person(connection(), session_id, trainee_id),
        state_of=corrections.state_of,
        wall=_wall,
    )


@blueprint.post("/sessions/<int:session_id>/corrections/<int:trainee_id>")
@access("staff")
def propose(session_id: int, trainee_id: int) -> Response:
    """Put it before a second person."""
    given = read(CORRECTION, http_request.form.to_dict())
    zone = live_sessions.show(connection(), session_id).zone
    correcting.propose(
        connection(),
        session_id=session_id,
        trainee_id=trainee_id,
        from_at=correcting.instant_on_wall(given["starts"], zone),
        to_at=correcting.instant_on_wall(given["ends"], zone),
        counts=given["what"] == PRESENT,
        reason=given["reason"],
        evidence=given["evidence"],
        actor=viewer().actor,
        now=now(),
    )
    return go("/desk/corrections", "correction_proposed")


@blueprint.post("/corrections/<int:correction_id>/confirm")
@access("staff")
def confirm(correction_id: int) -> Response:
    """Put a correction in force, as the second person."""
    correcting.confirm(connection(), correction_id, actor=viewer().actor, now=now())
    return go("/desk/corrections", "correction_confirmed")


@blueprint.post("/corrections/<int:correction_id>/undo")
@access("staff")
def undo_correction(correction_id: int) -> Response:
    """Turn a proposal down, or take a correction back."""
    reason = read(REASON, http_request.form.to_dict())["reason"]
    correcting.undo(connection(), correction_id, reason=reason, actor=viewer().actor, now=now())
    return go("/desk/corrections", "correction_undone")


@blueprint.get("/attendance-requests")
@access("staff")
def questions() -> str:
    """What trainees say is not right, first come first."""
    queue, answered = requests.queue(connection()), requests.answered(connection())
    return show(
        "desk/requests.html",
        _programme(),
        queue=[(each, _attended(each)) for each in queue[:MOST_ON_A_PAGE]],
        more=len(queue) - MOST_ON_A_PAGE,
        answered=answered,
        acting=overview.acting(connection(), {each.answered_by for each in answered}),
    )


@blueprint.post("/attendance-requests/<int:request_id>/answer")
@access("staff")
def answer(request_id: int) -> Response:
    """Answer one, in words that the trainee reads."""
    text = read(ANSWER, http_request.form.to_dict())["answer"]
    requests.answer(connection(), request_id, text=text, actor=viewer().actor, now=now())
    return go("/desk/attendance-requests", "question_answered")


def _days(due: Sequence[Row[Any]]) -> list[tuple[Row[Any], AttendedDay]]:
    """These days in this order, without those that a settlement has taken back meanwhile; each session is read once."""
    found = {
        (day.session_id, day.person_key): day
        for session_id in dict.fromkeys(row.live_session_id for row in due)
        for day in days.of_session(connection(), session_id)
    }
    known = [(row, found.get((row.live_session_id, row.person_key))) for row in due]
    return [(row, day) for row, day in known if day is not None]


def _drawn(day: AttendedDay) -> tuple[Sequence[Stretch], Picture | None]:
    return day_picture.stretches(day.day, day_words.WHY_OF_ANOTHER), day_picture.draw(day.day, day.zone)


def _change(correction: Row[Any]) -> what_changes.Change:
    return what_changes.with_credit(connection(), effects.of_correction(connection(), correction))


def _attended(request: Row[Any]) -> AttendedDay | None:
    return days.of_trainee_in(connection(), request.trainee_id, request.live_session_id)


def _wall(at: datetime, zone: str) -> str:
    """As a form field for local times takes it."""
    return at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M:%S")


def _programme() -> Programme:
    return publication.current(connection()).programme
