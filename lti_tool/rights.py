"""What staff may do, the roles that carry each right, and who was granted which role (roles.md).

A launch as instructor gives course staff: they act in their own course only. Everything else belongs to the programme
roles that are granted by name and hold on every platform. A grant is ended, never deleted; it and its end count from
the next request on.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, ScalarSelect, and_, func, insert, or_, select, update

from lti_tool import audit, people, times
from lti_tool.audit import trainee_of
from lti_tool.errors import AccessDenied, BadInput, Conflict, NotFound
from lti_tool.tables.courses import enrolments
from lti_tool.tables.operations import audit_log
from lti_tool.tables.people import person_joins, role_grants, trainees
from lti_tool.text import reason_given

WHY = "Say in a sentence why."
# A teacher of this course, by the newest launch; not granted here (roles.md RL4).
COURSE_STAFF = "course_staff"
PROGRAMME_ADMIN, COORDINATOR, REGISTRAR = "programme_admin", "coordinator", "registrar"
RETREAT_COORDINATOR, SCREENER = "retreat_coordinator", "screener"
AUDITOR, PLATFORM_ADMIN = "auditor", "platform_admin"
# Role → what people call it.
ROLES = {
    PROGRAMME_ADMIN: "Programme admin",
    COORDINATOR: "Coordinator",
    REGISTRAR: "Registrar",
    RETREAT_COORDINATOR: "Retreat coordinator",
    SCREENER: "Screener",
    PLATFORM_ADMIN: "Platform admin",
    AUDITOR: "Auditor",
}
# Somebody must always hold these (roles.md RL6).
NEVER_EMPTY = (PROGRAMME_ADMIN, PLATFORM_ADMIN)
CANDIDATE_DAYS = 90
# Some zones have no last hours of the calendar's last days.
LAST_YEAR = 9000


@dataclass(frozen=True, slots=True)
class Right:
    """One thing that staff do. `says` completes "You may not …". `roles` may do it, `readers` may only look at it; if
    COURSE_STAFF is among them, then in their own course unless it is not confined to it."""

    name: str
    says: str
    roles: frozenset[str]
    readers: frozenset[str] = frozenset({AUDITOR})
    is_confined: bool = True

    def is_held(self, roles: Collection[str], *, reads: bool) -> bool:
        """Whether one of these roles may do it, or look at it."""
        return not self.roles.isdisjoint(roles) or (reads and not self.readers.isdisjoint(roles))


def _right(name: str, says: str, *roles: str) -> Right:
    return Right(name, says, frozenset(roles))


SEE_CLASSES = _right(
    "see_classes", "see classes and their attendance", COURSE_STAFF, COORDINATOR, REGISTRAR, PROGRAMME_ADMIN
)
SEE_PEOPLE = _right(
    "see_people", "see people and why they are locked out", COURSE_STAFF, COORDINATOR, REGISTRAR, PROGRAMME_ADMIN
)
RUN_SESSIONS = Right(
    "run_sessions",
    "add, change or run sessions",
    frozenset({COORDINATOR, PROGRAMME_ADMIN}),
    readers=frozenset({AUDITOR, REGISTRAR}),
)
CORRECT_ATTENDANCE = _right(
    "correct_attendance", "match participants or correct attendance", COORDINATOR, REGISTRAR, PROGRAMME_ADMIN
)
DECIDE_ACCESS = _right(
    "decide_access", "decide equivalencies, exceptions and completions", COORDINATOR, PROGRAMME_ADMIN
)
# What people ask for may be about their health, so nobody merely looks at it.
ANSWER_ACCOMMODATIONS = Right(
    "answer_accommodations",
    "answer requests for accommodations",
    frozenset({COORDINATOR, PROGRAMME_ADMIN}),
    readers=frozenset(),
)
KEEP_CREDIT = _right("keep_credit", "keep licences and credit", REGISTRAR, PROGRAMME_ADMIN)
EDIT_PROGRAMME = _right("edit_programme", "edit the programme", COORDINATOR, PROGRAMME_ADMIN)
PUBLISH_PROGRAMME = _right("publish_programme", "publish the programme", PROGRAMME_ADMIN)
SEE_RETREATS = _right("see_retreats", "see retreats", RETREAT_COORDINATOR, SCREENER, COORDINATOR, PROGRAMME_ADMIN)
GRANT_ROLES = _right("grant_roles", "grant or end roles", PROGRAMME_ADMIN)
SET_UP_UNITS = _right("set_up_units", "set up the units of a course", COURSE_STAFF, PLATFORM_ADMIN)
RUN_PLATFORMS = _right("run_platforms", "change platforms, keys and background work", PLATFORM_ADMIN)
READ_LOG = _right("read_log", "read the log", PROGRAMME_ADMIN)
# Every page that any of the staff opens.
USE_DESK = Right("use_desk", "use the desk", frozenset({COURSE_STAFF, *ROLES}), is_confined=False)

RIGHTS: tuple[Right, ...] = (
    USE_DESK,
    SEE_CLASSES,
    SEE_PEOPLE,
    RUN_SESSIONS,
    CORRECT_ATTENDANCE,
    DECIDE_ACCESS,
    ANSWER_ACCOMMODATIONS,
    KEEP_CREDIT,
    EDIT_PROGRAMME,
    PUBLISH_PROGRAMME,
    SEE_RETREATS,
    GRANT_ROLES,
    SET_UP_UNITS,
    RUN_PLATFORMS,
    READ_LOG,
)
_BY_NAME = {each.name: each for each in RIGHTS}


def named(name: str) -> Right:
    return _BY_NAME[name]


def missing(right: Right, *, in_course: bool = False) -> AccessDenied:
    """The refusal of somebody who lacks a right, or has it `in_course` only: which it is, and who can grant it; never
    whether a thing exists (roles.md RL9)."""
    only = " outside your own course" if in_course else ""
    granting = " or ".join(title for role, title in ROLES.items() if role in right.roles)
    return AccessDenied(
        "right_missing",
        f"Your role does not let you {right.says}{only}.",
        f"This belongs to the role {granting}. A programme admin grants roles under Settings, Roles.",
    )


def held_by(trainee_id: ColumnElement[int], now: Any) -> ScalarSelect[str]:
    """The roles that a person holds now, as one text with blanks between; NULL for none. Part of a larger query."""
    return (
        select(func.aggregate_strings(role_grants.c.role, " "))
        .where(role_grants.c.trainee_id == trainee_id, _is_in_force(now))
        .scalar_subquery()
    )


def roles_of(connection: Connection, trainee_id: int, now: datetime) -> frozenset[str]:
    """The programme roles that a person holds now."""
    query = select(role_grants.c.role).where(role_grants.c.trainee_id == trainee_id, _is_in_force(now))
    return frozenset(connection.scalars(query))


def grants(connection: Connection) -> Sequence[Row[Any]]:
    """Every grant with the person's name and address, the newest first; those that ended too."""
    query = select(role_grants, trainees.c.name, trainees.c.email).join_from(role_grants, trainees)
    return connection.execute(query.order_by(role_grants.c.id.desc())).all()


def is_in_force(grant: Row[Any], now: datetime) -> bool:
    return grant.ended_at is None and (grant.ends_at is None or grant.ends_at > now)


def grant(
    connection: Connection,
    trainee_id: int,
    role: str,
    *,
    reason: str,
    actor: str,
    now: datetime,
    last_day: date | None = None,
    zone: str = "UTC",
) -> int:
    """Give a person a role, for good or until the end of a day in this zone; the id of the grant.

    Raises NotFound "trainee_unknown", BadInput "role_unknown", "reason_missing" or "role_end_past", and Conflict
    "role_held" or, where nobody else would be left with it, "role_needs_holder".
    """
    if role not in ROLES:
        raise BadInput("role_unknown", "There is no such role.", f"Choose one of: {', '.join(ROLES)}.")
    reason = reason_given(reason, WHY)
    people.trainee(connection, trainee_id)
    people.hold(connection, [trainee_id])
    if connection.scalar(select(person_joins.c.id).where(_is_joined(trainee_id))) is not None:
        raise Conflict("role_for_joined", "This account is joined to another.", "Grant the role to the other one.")
    if role in roles_of(connection, trainee_id, now):
        raise Conflict("role_held", "This person holds this role already.", "End it first to change its end.")
    if last_day is not None and last_day.year > LAST_YEAR:
        raise BadInput("role_end_far", "This last day is too far ahead.", "Choose an earlier day, or none.")
    ends_at = None if last_day is None else times.end_of_day(last_day, zone)
    if ends_at is not None:
        if ends_at <= now:
            raise BadInput("role_end_past", "The last day of a role lies ahead.", "Choose a later day, or none.")
        if role in NEVER_EMPTY and not _lasting(connection, role, 0):
            raise _needs_holder(role)
    row = {"trainee_id": trainee_id, "role": role, "reason": reason, "granted_by": actor, "granted_at": now}
    made = connection.execute(
        insert(role_grants).values(**row, ends_at=ends_at).returning(role_grants.c.id)
    ).scalar_one()
    until = {} if last_day is None else {"until": last_day.isoformat()}
    audit.record(
        connection, actor=actor, act="role_granted", subject=f"trainee:{trainee_id}", at=now, reason=reason,
        role=role, **until,
    )  # fmt: skip
    return int(made)


def end(connection: Connection, grant_id: int, *, reason: str, actor: str, now: datetime) -> None:
    """End a grant. Raises NotFound "grant_unknown", BadInput "reason_missing", and Conflict "grant_ended" or
    "role_needs_holder": somebody always holds each role of NEVER_EMPTY without an end (roles.md RL6)."""
    reason = reason_given(reason, WHY)
    row = connection.execute(select(role_grants).where(role_grants.c.id == grant_id)).first()
    if row is None:
        raise NotFound("grant_unknown", "There is no such grant.", "Open the list of roles again.")
    if not is_in_force(row, now):
        raise Conflict("grant_ended", "This role has ended already.")
    if row.role in NEVER_EMPTY and not _lasting(connection, row.role, grant_id):
        raise _needs_holder(row.role)
    ended = {"ended_at": now, "ended_by": actor, "end_reason": reason}
    is_open = (role_grants.c.id == grant_id, role_grants.c.ended_at.is_(None))
    if not connection.execute(update(role_grants).where(*is_open).values(ended)).rowcount:
        raise Conflict("grant_ended", "This role has ended already.")
    audit.record(
        connection, actor=actor, act="role_ended", subject=f"trainee:{row.trainee_id}", at=now, reason=reason,
        role=row.role,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody of the staff who holds no role: how many acts the log has of them, and when they last came."""

    trainee_id: int
    name: str | None
    email: str | None
    acts: int
    last_at: datetime


def candidates(connection: Connection, now: datetime) -> list[Candidate]:
    """Staff who launched as teachers or did something on the desk within 90 days and hold no role: about whom an
    upgrade asks (roles.md RL13)."""
    since = now - timedelta(days=CANDIDATE_DAYS)
    acts: dict[int, int] = {}
    last: dict[int, datetime] = {}
    did = select(audit_log.c.actor, func.count(), func.max(audit_log.c.at)).group_by(audit_log.c.actor)
    for actor, count, at in connection.execute(did.where(audit_log.c.at >= since)):
        trainee_id = trainee_of(actor) if actor.startswith("staff:") else None
        if trainee_id is not None:
            acts[trainee_id], last[trainee_id] = count, at
    launched = select(enrolments.c.trainee_id, func.max(enrolments.c.last_launch_at)).group_by(enrolments.c.trainee_id)
    as_staff = (enrolments.c.role == "staff", enrolments.c.last_launch_at >= since)
    for trainee_id, at in connection.execute(launched.where(*as_staff)):
        last[trainee_id] = max(at, last.get(trainee_id, at))
    holds_one = select(role_grants.c.id).where(role_grants.c.trainee_id == trainees.c.id, _is_in_force(now))
    is_joined = select(person_joins.c.id).where(_is_joined(trainees.c.id))
    known = select(trainees.c.id, trainees.c.name, trainees.c.email).where(~holds_one.exists(), ~is_joined.exists())
    found = connection.execute(known.where(trainees.c.id.in_(last)).order_by(trainees.c.id))
    return [Candidate(*row, acts.get(row.id, 0), last[row.id]) for row in found]


def _is_joined(trainee_id: Any) -> ColumnElement[bool]:
    return and_(person_joins.c.joined_id == trainee_id, person_joins.c.undone_at.is_(None))


def _is_in_force(now: Any) -> ColumnElement[bool]:
    return and_(role_grants.c.ended_at.is_(None), or_(role_grants.c.ends_at.is_(None), role_grants.c.ends_at > now))


def _lasting(connection: Connection, role: str, but: int) -> bool:
    """Whether anybody holds the role without an end, this grant left aside. Of two who end the last two at once, the
    second waits here and is refused."""
    held = (role_grants.c.role == role, role_grants.c.ended_at.is_(None), role_grants.c.ends_at.is_(None))
    ids = connection.scalars(select(role_grants.c.id).where(*held).order_by(role_grants.c.id).with_for_update()).all()
    return bool(set(ids) - {but})


def _needs_holder(role: str) -> Conflict:
    return Conflict(
        "role_needs_holder",
        f"Someone must hold the role {ROLES[role]} without an end.",
        "Grant it to another person first.",
    )
