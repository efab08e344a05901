"""Attendance that staff judge: days to review, corrections by two people, and requests from trainees.

Before anything is decided, staff see what it would change, with the credit that depends on it (ce.md Y2).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from flask import Blueprint
from marshmallow import ValidationError, fields, validate
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from lti_tool import people
from lti_tool.attendance import corrections, live_sessions, preview, queries, reviews, timeline
from lti_tool.attendance.evidence import needs_review
from lti_tool.attendance.preview import Effect
from lti_tool.attendance.queries import AttendedDay
from lti_tool.attendance.timeline import Picture, Stretch
from lti_tool.credit import claims
from lti_tool.credit.checklist import body_name
from lti_tool.errors import BadInput, Conflict, GatehouseError
from lti_tool.programme import versions
from lti_tool.rights import CORRECT_ATTENDANCE
from lti_tool.web.forms import Form, Problems, field, sent
from lti_tool.web.page import back, go, part, show
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, viewer
from lti_tool.web.staff import overview

PRESENT, ABSENT = "present", "absent"
# The oldest come first; the others follow as these are dealt with.
ROWS_ON_A_PAGE = 25


class CorrectionForm(Form):
    """A correction. The record judges its texts and times."""

    what = fields.String(
        required=True,
        validate=validate.OneOf((PRESENT, ABSENT), error="Choose whether the person was there."),
        error_messages={"required": "Choose whether the person was there."},
    )
    starts = fields.String(load_default="")
    ends = fields.String(load_default="")
    reason = fields.String(load_default="")
    evidence = fields.String(load_default="")


CORRECTION = CorrectionForm()
Page = str | Response | tuple[str, int]
REFUSED = (BadInput, Conflict)
# Which field of the form for a correction a refusal is about.
FIELD_OF = {
    "correction_times_wrong": "starts",
    "evidence_missing": "evidence",
    "reason_missing": "reason",
    "wall_time_wrong": "starts",
}

blueprint = Blueprint("desk_evidence", __name__, url_prefix="/desk")


@blueprint.get("/reviews")
@access(CORRECT_ATTENDANCE)
def to_review() -> Page:
    """The days whose attendance data staff have to review."""
    return _reviews_page({})


def _reviews_page(problems: Problems) -> str:
    due = part(reviews.due(connection()), ROWS_ON_A_PAGE)
    # A settlement may have replaced a day since.
    found = queries.of_people_in(connection(), [(row.live_session_id, row.person_key) for row in due.rows])
    days = [(row.id, found.get((row.live_session_id, row.person_key))) for row in due.rows]
    return show(
        "staff/review_list.html",
        versions.current(connection()).programme,
        days=[(id, day, *_drawn(day)) for id, day in days if day is not None],
        more=due.left_out,
        problems=problems,
        given={field("field"): field("reason")},
        names=overview.names(connection(), {day.trainee_id for _, day in days if day and day.trainee_id}),
    )


@blueprint.post("/reviews/<int:session_id>")
@access(CORRECT_ATTENDANCE)
def let_stand(session_id: int) -> Page:
    """Accept a day as it is."""
    try:
        with connection().begin_nested():
            reviews.let_stand(
                connection(),
                session_id=session_id,
                person_key=field("person_key"),
                digest=field("digest"),
                reason=field("reason"),
                actor=viewer().actor,
                now=now(),
            )
    except REFUSED as refusal:
        return _reviews_page(_problems(refusal, field("field"))), refusal.status
    return go(back("/desk/reviews"), "day_let_stand")


@blueprint.get("/corrections")
@access(CORRECT_ATTENDANCE)
def all_corrections() -> Page:
    """The corrections that need a second person, with what each would change; and those decided."""
    return _corrections_page({})


def _corrections_page(problems: Problems) -> str:
    me = viewer().actor
    # First those that this reader can confirm.
    every = sorted(corrections.waiting(connection()), key=lambda each: bool(each.proposed_by == me))
    waiting, decided = part(every, ROWS_ON_A_PAGE), corrections.decided(connection())
    actors = {by for each in (*every, *decided) for by in (each.proposed_by, each.confirmed_by, each.undone_by)}
    effects = [(each, preview.of_correction(connection(), each)) for each in waiting.rows]
    return show(
        "staff/corrections.html",
        versions.current(connection()).programme,
        waiting=[(each, with_credit(connection(), effect)) for each, effect in effects],
        more=waiting.left_out,
        decided=decided,
        acting=overview.acting(connection(), actors),
        state_of=corrections.state_of,
        me=me,
        problems=problems,
        given={field("field"): field("reason")},
    )


@blueprint.get("/sessions/<int:session_id>/corrections/<int:trainee_id>")
@access(CORRECT_ATTENDANCE)
def correction_form(session_id: int, trainee_id: int) -> Page:
    """The form that proposes a correction of one person's day."""
    return _correction_page(session_id, trainee_id, {}, {})


def _correction_page(session_id: int, trainee_id: int, given: dict[str, str], problems: Problems) -> str:
    session = live_sessions.show(connection(), session_id)
    who = people.trainee(connection(), trainee_id)
    attended = queries.of_trainee_in(connection(), trainee_id, session_id)

    def form_time(at: datetime, zone: str) -> str:
        """A time as an HTML field of the type datetime-local takes it."""
        return at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M:%S")

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
        wall=form_time,
        given=given,
        problems=problems,
    )


@blueprint.post("/sessions/<int:session_id>/corrections/<int:trainee_id>")
@access(CORRECT_ATTENDANCE)
def propose(session_id: int, trainee_id: int) -> Page:
    """Propose a correction. It counts once a second person confirms it."""
    zone = live_sessions.show(connection(), session_id).zone
    given = sent()
    try:
        values = CORRECTION.load(given)
        with connection().begin_nested():
            corrections.propose(
                connection(),
                session_id=session_id,
                trainee_id=trainee_id,
                from_at=corrections.instant_on_wall(values["starts"], zone),
                to_at=corrections.instant_on_wall(values["ends"], zone),
                counts=values["what"] == PRESENT,
                reason=values["reason"],
                evidence=values["evidence"],
                actor=viewer().actor,
                now=now(),
            )
    except ValidationError as error:
        return _correction_page(session_id, trainee_id, given, error.messages_dict), 422
    except REFUSED as refusal:
        problems = _problems(refusal, FIELD_OF.get(refusal.code, "form"))
        return _correction_page(session_id, trainee_id, given, problems), refusal.status
    return go("/desk/corrections", "correction_proposed")


@blueprint.post("/corrections/<int:correction_id>/confirm")
@access(CORRECT_ATTENDANCE)
def confirm(correction_id: int) -> Page:
    """Put a correction in force, as the second person."""
    try:
        with connection().begin_nested():
            corrections.confirm(connection(), correction_id, actor=viewer().actor, now=now())
    except REFUSED as refusal:
        return _corrections_page(_problems(refusal)), refusal.status
    return go(back("/desk/corrections"), "correction_confirmed")


@blueprint.post("/corrections/<int:correction_id>/undo")
@access(CORRECT_ATTENDANCE)
def undo_correction(correction_id: int) -> Page:
    """Turn a proposal down, or take a correction back."""
    try:
        with connection().begin_nested():
            corrections.undo(connection(), correction_id, reason=field("reason"), actor=viewer().actor, now=now())
    except REFUSED as refusal:
        return _corrections_page(_problems(refusal, f"undo-{correction_id}")), refusal.status
    return go("/desk/corrections", "correction_undone")


@blueprint.get("/attendance-requests")
@access(CORRECT_ATTENDANCE)
def questions() -> Page:
    """What trainees say is wrong with their day, the oldest first."""
    return _requests_page({}, {})


def _requests_page(given: dict[str, str], problems: Problems) -> str:
    queue, answered = part(reviews.queue(connection()), ROWS_ON_A_PAGE), reviews.answered(connection())
    days = queries.of_trainees_in(connection(), [(each.live_session_id, each.trainee_id) for each in queue.rows])
    return show(
        "staff/requests.html",
        versions.current(connection()).programme,
        queue=[(each, days.get((each.live_session_id, each.trainee_id))) for each in queue.rows],
        more=queue.left_out,
        answered=answered,
        acting=overview.acting(connection(), {each.answered_by for each in answered}),
        given=given,
        problems=problems,
    )


@blueprint.post("/attendance-requests/<int:request_id>/answer")
@access(CORRECT_ATTENDANCE)
def answer(request_id: int) -> Page:
    """Answer a request. The trainee reads the answer."""
    text, place = field("answer"), f"answer-{request_id}"
    try:
        with connection().begin_nested():
            reviews.answer(connection(), request_id, text=text, actor=viewer().actor, now=now())
    except REFUSED as refusal:
        return _requests_page({place: text}, _problems(refusal, place)), refusal.status
    return go(back("/desk/attendance-requests"), "question_answered")


def _problems(refusal: GatehouseError, place: str = "form") -> Problems:
    """What was wrong, at the field of this id. A conflict concerns the whole form, which may be gone by now."""
    says = f"{refusal.message} {refusal.next_step}".strip()
    return {place if isinstance(refusal, BadInput) and place else "form": [says]}


def _drawn(day: AttendedDay) -> tuple[Sequence[Stretch], Picture | None]:
    return timeline.stretches(day.day, timeline.WHY_OF_ANOTHER), timeline.draw(day.day, day.zone)


@dataclass(frozen=True, slots=True)
class CreditChange:
    """What would become of the claim at one credit body.

    `gains` is None where no award would be made or contested; `missing` names the unmet lines of the checklist.
    """

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
    """The effect, with what would become of the trainee's claims. Nothing is written."""
    return Change(effect, () if effect.is_locked else tuple(_credit_changes(connection, effect)))


def _credit_changes(connection: Connection, effect: Effect) -> Iterator[CreditChange]:
    session, after = effect.session, effect.after
    programme = versions.version(connection, session.programme_version).programme
    day = after.settled_in(session, is_in_doubt=needs_review(after.flags))
    day = replace(day, ended=session.ended_at is not None)
    states = {row.body_id: row.state for row in claims.of_trainee(connection, day.trainee_id, day.session_id)}
    for (_, body_id), checklist in claims.try_out(connection, programme, [day]).items():
        name, state = body_name(programme.bodies.get(body_id), body_id), states.get(body_id, "open")
        is_ready = checklist.state == "ready"
        if state == "awarded":
            yield CreditChange(name, "stays awarded") if is_ready else CreditChange(name, "would be contested", False)
        elif state != "open":
            yield CreditChange(name, f"stays {state}")
        elif is_ready:
            yield CreditChange(name, f"{checklist.credits} credits would be awarded", True)
        else:
            missing = tuple(line.name for line in checklist.lines if line.satisfied is not True)
            yield CreditChange(name, "stays open", missing=missing)
