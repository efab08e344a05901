"""One person for staff: what is locked and why, with the acts that change it; attendance, credit, grades, log.

Every act is refused about oneself, and is written to the audit log by the record that it changes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint
from flask import request as http_request
from marshmallow import fields
from sqlalchemy import Connection, Row, String, and_, cast, exists, func, literal, select, union_all
from werkzeug.wrappers import Response

from lti_tool import people
from lti_tool.attendance import accommodations, queries, reviews, timeline
from lti_tool.attendance.queries import AttendedDay
from lti_tool.credit import claims, licences
from lti_tool.credit.checklist import body_name
from lti_tool.gates import completions, equivalency, exceptions
from lti_tool.gates.causes import Cause, causes
from lti_tool.gates.conditions import NEVER_EXCEPTED
from lti_tool.gates.decide import ask_many
from lti_tool.gates.wording import staff_sentence
from lti_tool.grades import ags, wording
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.rights import ANSWER_ACCOMMODATIONS, DECIDE_ACCESS, KEEP_CREDIT, SEE_PEOPLE, Right
from lti_tool.tables.courses import enrolments, placements
from lti_tool.tables.credit import awards
from lti_tool.tables.gates import completions as completions_table
from lti_tool.tables.gates import equivalency_requests
from lti_tool.tables.gates import exceptions as exceptions_table
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.operations import audit_log
from lti_tool.tables.people import identities
from lti_tool.tables.people import licences as licences_table
from lti_tool.tables.platforms import registrations
from lti_tool.tables.presence import accommodation_requests, attendance_corrections, attendance_requests, person_links
from lti_tool.tables.scores import scores
from lti_tool.times import day_of, end_of_day
from lti_tool.web import course_scope
from lti_tool.web.forms import Form, read, required_text
from lti_tool.web.page import Part, address_of, asked_part, go, show, sql_part
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, record_visit, viewer
from lti_tool.web.staff import overview
from lti_tool.web.staff.accommodations import record_reading
from lti_tool.web.staff.audit_words import act_in_words

LOG_ON_A_PAGE = 20
STRIP_WIDTH = 120
# What the audit log calls a visit to this page.
VISIT = "decisions_viewed"
# Every condition whose missing the staff may replace by an exception.
NOT_EXCEPTED = frozenset(each.name for each in NEVER_EXCEPTED)
# The audit log names a record of a person by the kind of the record and its id.
SUBJECTS = {
    "equivalency": equivalency_requests,
    "completion": completions_table,
    "exception": exceptions_table,
    "licence": licences_table,
    "attendance": attendances,
    "correction": attendance_corrections,
    "attendance_request": attendance_requests,
    "accommodation_request": accommodation_requests,
    "link": person_links,
}

blueprint = Blueprint("desk_person", __name__, url_prefix="/desk/people/<int:trainee_id>")


def day_field(label: str) -> fields.Date:
    """A day as a field of the type date sends it."""
    wrong = f"{label}: choose a day."
    return fields.Date(required=True, error_messages={"required": wrong, "invalid": wrong})


class ExceptionForm(Form):
    """Which gate, until when, and why; the record judges the reason."""

    offering = required_text("Choose what is to open.", "What is to open")
    until = day_field("Last day")
    reason = fields.String(load_default="")


class CompletionForm(Form):
    """Which module, when it was taken, and what shows it."""

    module = required_text("Choose a module.", "Module")
    completed_on = day_field("Day")
    evidence = fields.String(load_default="")


class EquivalencyForm(Form):
    """Training elsewhere that staff accept in place of `target`."""

    target = required_text("Choose what it stands for.", "In place of")
    provider = required_text("Choose a provider.", "Provider")
    title = fields.String(load_default="")
    evidence = fields.String(load_default="")


class LicenceForm(Form):
    """A licence; the record judges its texts."""

    type = required_text("Choose the type of licence.", "Type")
    jurisdiction = fields.String(load_default="")
    number = fields.String(load_default="")
    name = fields.String(load_default="")
    issued_on = day_field("Valid from")
    expires_on = day_field("Valid until")


class ReasonForm(Form):
    """Why; the record judges it."""

    reason = fields.String(load_default="")


EXCEPTION, COMPLETION, EQUIVALENCY, LICENCE = ExceptionForm(), CompletionForm(), EquivalencyForm(), LicenceForm()
REASON = ReasonForm()
Given = Mapping[str, Any]
Record = Callable[..., None]


@blueprint.get("")
@access(SEE_PEOPLE)
def person(trainee_id: int) -> str:
    """Everything about one person; with `?at=` what was open at the end of a day of the past, by the rules of today
    (gates.md A7.2). The visit is logged (gates.md A7.7)."""
    published = versions.current(connection())
    programme = published.programme
    who = people.trainee(connection(), trainee_id)
    sees_all = viewer().may(SEE_PEOPLE, reads=True)
    ours = None if sees_all else set(connection().scalars(course_scope.module_ids(viewer().course)))
    offered = [each for each in programme.gates if programme.is_published(each) and (ours is None or each in ours)]
    starts = overview.starts(connection(), programme, now())
    day = _asked_day(programme)
    decided_at = end_of_day(day, programme.zone) if day else now()
    decisions = ask_many(connection(), published, [trainee_id], offered, decided_at, starts=starts)[trainee_id]
    wishes = accommodations.of_trainee(connection(), trainee_id) if viewer().may(ANSWER_ACCOMMODATIONS) else []
    record_visit(VISIT, f"trainee:{trainee_id}")
    record_reading(wishes)
    known = decisions[0].facts.completions if decisions else ()
    taken = {each.module: each for each in known if each.ended_at is None and (ours is None or each.module in ours)}
    to_take = [each for each in decisions if each.offering not in taken]
    in_force = _exceptions(connection(), trainee_id, day_of(now(), programme.zone))
    log = _log(connection(), trainee_id)
    return show(
        "staff/person.html",
        programme,
        version=published.version,
        person=who,
        name=who.name or f"Person {trainee_id}",
        own=viewer().trainee_id == trainee_id,
        sees_all=sees_all,
        **_acts(trainee_id, day),
        as_of=day,
        licences=licences.of_trainee(connection(), trainee_id),
        masked=licences.masked,
        licence_types=sorted(set(licences.known_types(programme).values()) - {"none"}, key=str.lower),
        accounts=_accounts(connection(), trainee_id),
        courses=_courses(connection(), trainee_id),
        causes=_grouped(causes(to_take, programme), programme),
        not_excepted=NOT_EXCEPTED,
        decisions=decisions,
        taken=taken,
        exceptions=[each for each in in_force if day is None and (ours is None or each.offering_id in ours)],
        progress=_progress(programme, taken, offered),
        says=lambda node: staff_sentence(node, programme),
        address=address_of,
        today=day_of(now(), programme.zone),
        until=day_of(now(), programme.zone) + exceptions.DEFAULT_DURATION,
        days=_days(trainee_id, ours),
        strip_width=STRIP_WIDTH,
        claims=_claims(connection(), programme, trainee_id),
        scores=_scores(connection(), trainee_id),
        state_of=ags.state_of,
        words=wording,
        requests=equivalency.of_trainee(connection(), trainee_id),
        questions=reviews.requests_of(connection(), trainee_id),
        accommodations=wishes,
        log=log,
        acting=overview.acting(connection(), {row.actor for row in log.rows}),
        act_in_words=act_in_words,
    )


def _acts(trainee_id: int, day: date | None) -> dict[str, bool]:
    """Which acts the page offers: none about oneself, none as of a day of the past."""
    may_act = viewer().trainee_id != trainee_id and day is None
    return {
        "may_decide": may_act and viewer().may(DECIDE_ACCESS),
        "may_licence": may_act and viewer().may(KEEP_CREDIT),
    }


def _days(trainee_id: int, ours: Collection[str] | None) -> list[tuple[AttendedDay, Any]]:
    """The days of attendance that the viewer may see, each with its strip."""
    days = queries.of_trainee(connection(), trainee_id)
    return [(each, timeline.strip(each.day, STRIP_WIDTH)) for each in days if ours is None or each.module_id in ours]


def act(right: Right, path: str, form: Form, done: str) -> Callable[[Record], Record]:
    """Make the function a form of this page: it records what the form gives about this person, and never about the
    viewer. The page then shows the notice `done`."""

    def declare(record: Record) -> Record:
        def send(trainee_id: int, **ids: int) -> Response:
            people.refuse_own(connection(), viewer().actor, trainee_id)
            record(trainee_id, given=read(form), actor=viewer().actor, now=now(), **ids)
            return go(f"/desk/people/{trainee_id}", done)

        blueprint.add_url_rule(path, record.__name__, access(right)(send), methods=["POST"])
        return record

    return declare


@act(DECIDE_ACCESS, "/exceptions", EXCEPTION, "exception_made")
def make_exception(trainee_id: int, given: Given, actor: str, now: datetime) -> None:
    """Open one gate for this person for a while."""
    exceptions.grant(
        connection(),
        versions.current(connection()).programme,
        trainee_id=trainee_id,
        offering_id=given["offering"],
        reason=given["reason"],
        expires_on=given["until"],
        actor=actor,
        now=now,
    )


@act(DECIDE_ACCESS, "/exceptions/<int:exception_id>/end", REASON, "exception_ended")
def end_exception(trainee_id: int, given: Given, actor: str, now: datetime, exception_id: int) -> None:
    """End an exception of this person before its last day."""
    reason = given["reason"]
    exceptions.end(connection(), exception_id, reason=reason, actor=actor, now=now, trainee_id=trainee_id)


@act(DECIDE_ACCESS, "/completions", COMPLETION, "completion_added")
def add_completion(trainee_id: int, given: Given, actor: str, now: datetime) -> None:
    """Record that this person took a module."""
    completions.record_by_staff(
        connection(),
        versions.current(connection()).programme,
        trainee_id=trainee_id,
        module_id=given["module"],
        completed_on=given["completed_on"],
        evidence=given["evidence"],
        actor=actor,
        now=now,
    )


@act(DECIDE_ACCESS, "/equivalencies", EQUIVALENCY, "equivalency_recorded")
def record_equivalency(trainee_id: int, given: Given, actor: str, now: datetime) -> None:
    """Record training elsewhere for this person and accept it at once: a request and its approval."""
    request_id = equivalency.submit(
        connection(),
        versions.current(connection()).programme,
        trainee_id=trainee_id,
        target=given["target"],
        provider_id=given["provider"],
        course_title=given["title"],
        evidence_note=given["evidence"],
        as_full_review=True,
        actor=actor,
        now=now,
    )
    equivalency.approve(connection(), request_id, actor=actor, now=now)


@act(KEEP_CREDIT, "/licences", LICENCE, "licence_added")
def add_licence(trainee_id: int, given: Given, actor: str, now: datetime) -> None:
    """Record a licence of this person."""
    licences.record_licence(
        connection(),
        trainee_id,
        type=licences.known_type(versions.current(connection()).programme, given["type"]),
        jurisdiction=given["jurisdiction"],
        number=given["number"],
        name_on_licence=given["name"],
        issued_on=given["issued_on"],
        expires_on=given["expires_on"],
        actor=actor,
        now=now,
    )


def _asked_day(programme: Programme) -> date | None:
    """The day of the past that the address asks about; None without one."""
    try:
        day = date.fromisoformat(http_request.args.get("at", ""))
    except ValueError:
        return None
    return day if day < day_of(now(), programme.zone) else None


@dataclass(frozen=True, slots=True)
class Series:
    """One series of the programme: how many of its modules this person has completed."""

    title: str
    done: int
    modules: int


def _progress(programme: Programme, taken: Mapping[str, Any], offered: Collection[str]) -> list[Series]:
    shown = [(each.title, [one for one in each.modules if one in offered]) for each in programme.series]
    return [Series(title, sum(one in taken for one in modules), len(modules)) for title, modules in shown if modules]


def _grouped(found: Sequence[Cause], programme: Programme) -> list[tuple[str, list[Cause]]]:
    """The causes that lock modules, with the retreats that each locks too, then those that lock retreats alone."""
    of_modules = [each for each in found if any(one in programme.modules for one in each.offerings)]
    return [("Modules", of_modules), ("Retreats", [each for each in found if each not in of_modules])]


def _accounts(connection: Connection, trainee_id: int) -> list[str]:
    """The hosts of the platforms on which this person has an account, one for each account."""
    query = select(identities.c.issuer).where(identities.c.trainee_id == trainee_id).order_by(identities.c.issuer)
    return [urlsplit(each).hostname or each for each in connection.scalars(query)]


def _courses(connection: Connection, trainee_id: int) -> list[Row[Any]]:
    """The courses that this person belongs to, with the role and the latest launch."""
    here = and_(
        placements.c.registration_id == enrolments.c.registration_id,
        func.coalesce(placements.c.context_id, "") == enrolments.c.context_id,
    )
    title = func.coalesce(func.max(placements.c.context_title), enrolments.c.context_id).label("title")
    query = (
        select(title, func.max(enrolments.c.last_launch_at).label("opened_at"), enrolments.c.role)
        .select_from(enrolments)
        .outerjoin(placements, here)
        .where(enrolments.c.trainee_id == trainee_id)
        .group_by(enrolments.c.registration_id, enrolments.c.context_id, enrolments.c.role)
    )
    return list(connection.execute(query.order_by(title)))


def _exceptions(connection: Connection, trainee_id: int, today: date) -> list[Row[Any]]:
    """The exceptions in force for this person, the first to end first."""
    table = exceptions_table.c
    query = select(exceptions_table).where(
        table.trainee_id == trainee_id, table.ended_at.is_(None), table.expires_on >= today
    )
    return list(connection.execute(query.order_by(table.expires_on, table.id)))


@dataclass(frozen=True, slots=True)
class ShownCredit:
    """One claim of this person: which module and body, its state, and what it earned and when."""

    module_id: str
    session_id: int
    body: str
    state: str
    credits: Decimal | None
    awarded_on: date | None


def _claims(connection: Connection, programme: Programme, trainee_id: int) -> Sequence[ShownCredit]:
    """The claims of this person, the latest session first."""
    theirs = (awards.c.trainee_id == trainee_id, awards.c.state == "awarded")
    earned = {(row.live_session_id, row.body_id): row for row in connection.execute(select(awards).where(*theirs))}
    found = []
    for row in claims.of_trainee(connection, trainee_id):
        award = earned.get((row.live_session_id, row.body_id))
        found.append(
            ShownCredit(
                module_id=row.module_id,
                session_id=row.live_session_id,
                body=body_name(programme.bodies.get(row.body_id), row.body_id),
                state=row.state,
                credits=award.credits if award else None,
                awarded_on=day_of(award.awarded_at, programme.zone) if award else None,
            )
        )
    return found


def _scores(connection: Connection, trainee_id: int) -> list[Row[Any]]:
    """The scores of this person by course, with the kind of platform."""
    query = (
        select(scores, placements.c.context_title, placements.c.module_id, registrations.c.profile)
        .join_from(scores, placements)
        .join(registrations, registrations.c.id == placements.c.registration_id)
        .where(scores.c.trainee_id == trainee_id)
    )
    return list(connection.execute(query.order_by(placements.c.context_title, scores.c.id)))


def _log(connection: Connection, trainee_id: int) -> Part[Row[Any]]:
    """A part of the audit log's entries about this person and the records of this person, the latest first. Of the
    visits of one member of staff to this page only the latest is shown."""

    def named(kind: str, number: Any) -> Any:
        return literal(f"{kind}:") + cast(number, String)

    subjects = union_all(
        select(literal(f"trainee:{trainee_id}")),
        *(select(named(kind, table.c.id)).where(table.c.trainee_id == trainee_id) for kind, table in SUBJECTS.items()),
    )
    about = audit_log.c.subject.in_(subjects)
    later = audit_log.alias()
    again = select(later.c.id).where(
        later.c.act == audit_log.c.act,
        later.c.actor == audit_log.c.actor,
        later.c.subject == audit_log.c.subject,
        later.c.id > audit_log.c.id,
    )
    is_repeated = (audit_log.c.act == VISIT) & exists(again)
    query = select(audit_log).where(about, ~is_repeated).order_by(audit_log.c.at.desc(), audit_log.c.id.desc())
    return sql_part(connection, query, LOG_ON_A_PAGE, asked_part())
