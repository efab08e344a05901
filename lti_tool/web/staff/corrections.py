"""Presence that staff judge: days to look at, presence by hand with two people, and what trainees say is not right.

What the desk's forms about presence may hold. Texts are judged by the records, which refuse with codes of their own;
a field that is missing is an empty one.

What a link or a correction would change, with the credit that hangs on it: read before deciding (ce.md Y2).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint
from flask import request as http_request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate
from sqlalchemy import Connection, Row
from werkzeug.wrappers import Response

from lti_tool import people
from lti_tool.attendance import corrections, live_sessions, preview, queries, reviews, timeline
from lti_tool.attendance.preview import Effect
from lti_tool.attendance.queries import AttendedDay
from lti_tool.attendance.reviews import needs_review
from lti_tool.attendance.timeline import Picture, Stretch
from lti_tool.credit import claims
from lti_tool.credit.checklist import Checklist, SettledDay, body_name
from lti_tool.errors import BadInput
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.web.page import go, show
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, viewer
from lti_tool.web.staff import overview

PRESENT, ABSENT = "present", "absent"
LARGEST_ID = 10**18 - 1


class _Form(Schema):
    class Meta:
        unknown = EXCLUDE


class _MatchForm(_Form):
    trainee = fields.Integer(required=True, validate=validate.Range(1, LARGEST_ID))
    kind = fields.String(load_default="")
    reason = fields.String(load_default="")


class _ReasonForm(_Form):
    reason = fields.String(load_default="")


class _ReviewForm(_ReasonForm):
    person_key = fields.String(load_default="")
    digest = fields.String(load_default="")


class _CorrectionForm(_ReasonForm):
    what = fields.String(required=True, validate=validate.OneOf((PRESENT, ABSENT)))
    starts = fields.String(load_default="")
    ends = fields.String(load_default="")
    evidence = fields.String(load_default="")


class _AnswerForm(_Form):
    answer = fields.String(load_default="")


class _SearchForm(_Form):
    wanted = fields.String(load_default="")


MATCH = _MatchForm()
REASON = _ReasonForm()
REVIEW = _ReviewForm()
CORRECTION = _CorrectionForm()
ANSWER = _AnswerForm()
SEARCH = _SearchForm()


def read(form: Schema, given: dict[str, str]) -> dict[str, Any]:
    """The form's values. Raises BadInput `form_incomplete`; nothing is changed."""
    try:
        values: dict[str, Any] = form.load(given)
    except ValidationError as error:
        raise BadInput(
            "form_incomplete",
            "The form is incomplete, or holds something it cannot take.",
            "Go back, complete the form and send it again.",
        ) from error
    return values


@dataclass(frozen=True, slots=True)
class CreditChange:
    """One credit body and what would become of the claim there. `gains` is None where nothing changes hands;
    `missing` are the lines of the checklist that keep it open."""

    body_name: str
    says: str
    gains: bool | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One session before and after, for one trainee."""

    effect: Effect
    credit: tuple[CreditChange, ...]


def with_credit(connection: Connection, effect: Effect) -> Change:
    """The effect with what would become of the trainee's claims, as far as is known now. Nothing is written."""
    if effect.is_locked:
        return Change(effect, ())
    return Change(effect, tuple(_credit(connection, effect)))


def _credit(connection: Connection, effect: Effect) -> Iterator[CreditChange]:
    programme = versions.version(connection, effect.session.programme_version).programme
    day = _day(effect)
    held = {row.body_id: row.state for row in claims.of_trainee(connection, day.trainee_id, day.session_id)}
    for (_, body_id), checklist in claims.try_out(connection, programme, [day]).items():
        name = body_name(programme.bodies.get(body_id), body_id)
        yield _credit_change(name, held.get(body_id, "open"), checklist)


def _credit_change(name: str, state: str, checklist: Checklist) -> CreditChange:
    is_ready = checklist.state == "ready"
    if state == "awarded":
        return CreditChange(name, "stays awarded") if is_ready else CreditChange(name, "would be contested", False)
    if state != "open":
        return CreditChange(name, f"stays {state}")
    if is_ready:
        return CreditChange(name, f"{checklist.credits} credits would be awarded", True)
    return CreditChange(
        name, "stays open", missing=tuple(line.name for line in checklist.lines if line.satisfied is not True)
    )


def _day(effect: Effect) -> SettledDay:
    """The day as it would be settled."""
    session, after = effect.session, effect.after
    assert after.trainee_id is not None
    return SettledDay(
        trainee_id=after.trainee_id,
        session_id=session.id,
        module_id=session.module_id,
        programme_version=session.programme_version,
        held_on=session.held_on,
        session_state=session.state,
        ended=session.ended_at is not None,
        attendance_id=0,
        day=after.attendance,
        flags=after.flags,
        is_in_doubt=needs_review(after.flags),
    )


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
        "staff/review_list.html",
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
        "staff/corrections.html",
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
    attended = queries.of_trainee_in(connection(), trainee_id, session_id)
    return show(
        "staff/correct.html",
        versions.version(connection(), session.programme_version).programme,
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
    corrections.propose(
        connection(),
        session_id=session_id,
        trainee_id=trainee_id,
        from_at=corrections.instant_on_wall(given["starts"], zone),
        to_at=corrections.instant_on_wall(given["ends"], zone),
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
    corrections.confirm(connection(), correction_id, actor=viewer().actor, now=now())
    return go("/desk/corrections", "correction_confirmed")


@blueprint.post("/corrections/<int:correction_id>/undo")
@access("staff")
def undo_correction(correction_id: int) -> Response:
    """Turn a proposal down, or take a correction back."""
    reason = read(REASON, http_request.form.to_dict())["reason"]
    corrections.undo(connection(), correction_id, reason=reason, actor=viewer().actor, now=now())
    return go("/desk/corrections", "correction_undone")


@blueprint.get("/attendance-requests")
@access("staff")
def questions() -> str:
    """What trainees say is not right, first come first."""
    queue, answered = reviews.queue(connection()), reviews.answered(connection())
    return show(
        "staff/requests.html",
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
    reviews.answer(connection(), request_id, text=text, actor=viewer().actor, now=now())
    return go("/desk/attendance-requests", "question_answered")


def _days(due: Sequence[Row[Any]]) -> list[tuple[Row[Any], AttendedDay]]:
    """These days in this order, without those that a settlement has taken back meanwhile; each session is read once."""
    found = {
        (day.session_id, day.person_key): day
        for session_id in dict.fromkeys(row.live_session_id for row in due)
        for day in queries.of_session(connection(), session_id)
    }
    known = [(row, found.get((row.live_session_id, row.person_key))) for row in due]
    return [(row, day) for row, day in known if day is not None]


def _drawn(day: AttendedDay) -> tuple[Sequence[Stretch], Picture | None]:
    return timeline.stretches(day.day, timeline.WHY_OF_ANOTHER), timeline.draw(day.day, day.zone)


def _change(correction: Row[Any]) -> Change:
    return with_credit(connection(), preview.of_correction(connection(), correction))


def _attended(request: Row[Any]) -> AttendedDay | None:
    return queries.of_trainee_in(connection(), request.trainee_id, request.live_session_id)


def _wall(at: datetime, zone: str) -> str:
    """As a form field for local times takes it."""
    return at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M:%S")


def _programme() -> Programme:
    return versions.current(connection()).programme
