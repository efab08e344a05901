"""Two trainees who are one person, as staff say after seeing both: joined with a reason, and separated again.

A machine never joins (roles.md RL2); an address that two trainees share is a suggestion. A join moves every row of the
joined trainee to the kept one and records which rows it moved, so that its undoing gives back exactly these. Where both
have a row of which a person can have only one, such as a completion of the same module, each row stays where it is: one
of them is enough. Sessions of both are settled again afterwards, and their browsers' sessions end.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from lti_tool import audit, people
from lti_tool.attendance import queries
from lti_tool.attendance.live_sessions import request_settlement
from lti_tool.attendance.queries import AttendedDay
from lti_tool.db import insert_ignoring
from lti_tool.errors import Conflict, NotFound
from lti_tool.people import refuse_own
from lti_tool.tables import metadata
from lti_tool.tables.browser_sessions import web_sessions
from lti_tool.tables.courses import enrolments, placements, roster_members
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.people import (
    identities,
    person_join_rows,
    person_joins,
    separate_people,
    trainee_addresses,
    trainees,
)
from lti_tool.tables.platforms import registrations
from lti_tool.text import reason_given

TRAINEE = "trainee_id"


@dataclass(frozen=True, slots=True)
class Known:
    """What staff compare: the person, their accounts (issuers), courses and sessions."""

    person: Row[Any]
    issuers: list[str]
    courses: list[str]
    days: list[AttendedDay]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Trainees who have one address at once, since when."""

    email: str
    people: list[Row[Any]]
    since: datetime


def suggestions(connection: Connection) -> list[Suggestion]:
    """Addresses that several trainees have at once, the longest shared first. They match no one new. An address is left
    out once staff have said of each two of these trainees that they are two people."""
    present = trainee_addresses.c.until_at.is_(None)
    shared = (
        select(trainee_addresses.c.email)
        .where(present)
        .group_by(trainee_addresses.c.email)
        .having(func.min(trainee_addresses.c.trainee_id) != func.max(trainee_addresses.c.trainee_id))
    )
    query = (
        select(trainee_addresses.c.email, trainee_addresses.c.since_at, trainees.c.id, trainees.c.name)
        .join_from(trainee_addresses, trainees)
        .where(present, trainee_addresses.c.email.in_(shared))
        .order_by(trainee_addresses.c.since_at, trainees.c.id)
    )
    found: dict[str, dict[int, Row[Any]]] = defaultdict(dict)
    rows: list[Row[Any]] = list(connection.execute(query))
    for row in rows:
        found[row.email].setdefault(row.id, row)
    known_apart = {(row.one_id, row.other_id) for row in connection.execute(select(separate_people))}
    some = [
        Suggestion(email, list(each.values()), list(each.values())[1].since_at)
        for email, each in found.items()
        if not known_apart.issuperset(combinations(sorted(each), 2))
    ]
    return sorted(some, key=lambda each: (each.since, each.email))


def known(connection: Connection, trainee_id: int) -> Known:
    """What is known of a trainee, for staff to compare. Raises NotFound "trainee_unknown"."""
    who = people.trainee(connection, trainee_id)
    issuers = select(identities.c.issuer).where(identities.c.trainee_id == trainee_id).order_by(identities.c.issuer)
    course = and_(
        placements.c.registration_id == enrolments.c.registration_id, placements.c.context_id == enrolments.c.context_id
    )
    courses = select(placements.c.context_title).join(enrolments, course).where(enrolments.c.trainee_id == trainee_id)
    titles = {title for title in connection.scalars(courses) if title}
    days = queries.of_trainee(connection, trainee_id)
    return Known(who, list(connection.scalars(issuers)), sorted(titles), days)


def join(connection: Connection, *, kept_id: int, joined_id: int, reason: str, actor: str, now: datetime) -> int:
    """Make two trainees one person: everything of the joined one belongs to the kept one. Returns the join's id.

    Raises BadInput "reason_missing"; NotFound "trainee_unknown"; AccessDenied "own_case"; Conflict "join_self",
    "join_made" (one of them has been joined to another trainee).
    """
    why = reason_given(reason)
    _verify_pair(connection, kept_id, joined_id, actor)
    _hold(connection, kept_id, joined_id)
    taken = person_joins.c.joined_id.in_((kept_id, joined_id)) | (person_joins.c.kept_id == joined_id)
    if connection.execute(select(person_joins.c.id).where(taken, person_joins.c.undone_at.is_(None))).first():
        raise Conflict(
            "join_made",
            "One of these trainees has been joined to another one already, or another one to the trainee to be joined.",
            "Look at the list of joins again, and undo the wrong one first.",
        )
    joined = people.trainee(connection, joined_id)
    courses = select(enrolments.c.registration_id, enrolments.c.context_id).filter_by(trainee_id=kept_id)
    kept = people.trainee(connection, kept_id)
    before = {
        "name": kept.name,
        "email": kept.email,
        "last_address": connection.scalar(select(func.max(trainee_addresses.c.id))) or 0,
        "courses": [list(each) for each in connection.execute(courses.order_by(*courses.selected_columns))],
    }
    row = {
        "kept_id": kept_id,
        "joined_id": joined_id,
        "kept_before": before,
        "joined_email": joined.email,
        "reason": why,
    }
    join_id: int = connection.execute(
        insert(person_joins).values(**row, made_by=actor, made_at=now).returning(person_joins.c.id)
    ).scalar_one()
    _settle_again(connection, kept_id, joined_id, now=now)
    _end_sessions(connection, kept_id, joined_id, now=now)
    moved = [
        {"join_id": join_id, "table_name": table.name, "row_key": key}
        for table in _tables()
        for key in _move(connection, table, joined_id, kept_id)
    ]
    if moved:
        connection.execute(insert(person_join_rows), moved)
    # The kept trainee is found by the address that both have.
    connection.execute(update(trainees).where(trainees.c.id == joined_id).values(email=None))
    details = {"kept": kept_id, "joined": joined_id, "rows": len(moved)}
    audit.record(connection, actor=actor, act="person_joined", subject=f"join:{join_id}", at=now, reason=why, **details)
    return join_id


def undo(connection: Connection, join_id: int, *, reason: str, actor: str, now: datetime) -> None:
    """Separate two joined trainees: each has again what was theirs before.

    Raises BadInput "reason_missing"; NotFound "join_unknown"; AccessDenied "own_case"; Conflict "join_undone".
    """
    why = reason_given(reason)
    row = show(connection, join_id)
    for each in (row.kept_id, row.joined_id):
        refuse_own(connection, actor, each)
    _hold(connection, row.kept_id, row.joined_id)
    in_force = (person_joins.c.id == join_id) & person_joins.c.undone_at.is_(None)
    values = {"undone_by": actor, "undone_reason": why, "undone_at": now}
    if not connection.execute(update(person_joins).where(in_force).values(values)).rowcount:
        raise Conflict("join_undone", "This join has been undone already.", "Look at the list of joins again.")
    _settle_again(connection, row.kept_id, row.joined_id, now=now)
    _end_sessions(connection, row.kept_id, row.joined_id, now=now)
    tables = {table.name: table for table in _tables()}
    moved = select(person_join_rows).where(person_join_rows.c.join_id == join_id).order_by(person_join_rows.c.id)
    for each in connection.execute(moved).all():
        _change_owner(connection, tables[each.table_name], each.row_key, row.kept_id, row.joined_id)
    _return_courses(connection, row)
    _restore_profile(connection, row)
    connection.execute(update(trainees).where(trainees.c.id == row.joined_id).values(email=row.joined_email))
    details = {"kept": row.kept_id, "joined": row.joined_id}
    audit.record(
        connection, actor=actor, act="person_separated", subject=f"join:{join_id}", at=now, reason=why, **details
    )


def keep_apart(connection: Connection, one_id: int, other_id: int, *, reason: str, actor: str, now: datetime) -> None:
    """Record that two trainees who share an address are two people. Repeating it changes nothing, and a join remains
    possible.

    Raises BadInput "reason_missing"; NotFound "trainee_unknown"; AccessDenied "own_case"; Conflict "join_self".
    """
    why = reason_given(reason)
    _verify_pair(connection, one_id, other_id, actor)
    one, other = sorted((one_id, other_id))
    row = {"one_id": one, "other_id": other, "reason": why, "made_by": actor, "made_at": now}
    if connection.execute(insert_ignoring(connection, separate_people).values(row)).rowcount:
        subject = f"trainee:{one}"
        audit.record(connection, actor=actor, act="people_kept_apart", subject=subject, at=now, reason=why, other=other)


def kept_apart(connection: Connection) -> list[Row[Any]]:
    """The pairs of which staff said that they are two people, the latest first."""
    return list(connection.execute(select(separate_people).order_by(separate_people.c.made_at.desc())))


def show(connection: Connection, join_id: int) -> Row[Any]:
    """One join. Raises NotFound "join_unknown"."""
    row = connection.execute(select(person_joins).where(person_joins.c.id == join_id)).first()
    if row is None:
        raise NotFound("join_unknown", "There is no such join.", "Choose one from the list of joins.")
    return row


def listed(connection: Connection) -> list[Row[Any]]:
    """All joins with the name of the kept trainee, those in force first, then the latest."""
    query = select(person_joins, trainees.c.name).join(trainees, trainees.c.id == person_joins.c.kept_id)
    return list(connection.execute(query.order_by(person_joins.c.undone_at.is_not(None), person_joins.c.id.desc())))


def _verify_pair(connection: Connection, one_id: int, other_id: int, actor: str) -> None:
    """These are two trainees, and neither is the actor."""
    if one_id == other_id:
        raise Conflict("join_self", "These are the same trainee.", "Choose two different people.")
    for each in (one_id, other_id):
        people.trainee(connection, each)
        refuse_own(connection, actor, each)


def _hold(connection: Connection, *trainee_ids: int) -> None:
    """Keep others from changing these trainees, and their accounts from launching: a launch that has begun ends first,
    and one that comes meanwhile waits, so that no session is begun for the wrong trainee."""
    accounts = select(identities.c.sub).where(identities.c.trainee_id.in_(trainee_ids))
    connection.execute(accounts.order_by(identities.c.issuer, identities.c.sub).with_for_update())
    people.hold(connection, trainee_ids)


def _tables() -> Iterator[Table]:
    """Every table whose rows belong to a trainee."""
    return (table for table in metadata.sorted_tables if TRAINEE in table.c and table.c[TRAINEE].foreign_keys)


def _move(connection: Connection, table: Table, former: int, new: int) -> Iterator[dict[str, Any]]:
    """Move the rows of one trainee to another; yields the keys of those moved, without the trainee."""
    names = [column.name for column in table.primary_key if column.name != TRAINEE]
    columns = [table.c[name] for name in names]
    query = select(*columns).where(table.c[TRAINEE] == former).order_by(*columns)
    if table is attendances:  # all versions of a session, or none
        own = select(attendances.c.live_session_id).where(attendances.c.trainee_id == new)
        query = query.where(attendances.c.live_session_id.not_in(own))
    for row in connection.execute(query).all():
        key = dict(zip(names, row, strict=True))
        if _change_owner(connection, table, key, former, new):
            yield key


def _change_owner(connection: Connection, table: Table, key: dict[str, Any], former: int, new: int) -> bool:
    """Give one row to another trainee; False if that one has a row of which there can be only one."""
    this: ColumnElement[bool] = and_(table.c[TRAINEE] == former, *(table.c[name] == key[name] for name in key))
    values: dict[str, Any] = {TRAINEE: new}
    if table is attendances:
        values["person_key"] = f"trainee:{new}"
    try:
        with connection.begin_nested():
            return bool(connection.execute(update(table).where(this).values(values)).rowcount)
    except IntegrityError:
        return False


def _settle_again(connection: Connection, *trainee_ids: int, now: datetime) -> None:
    """Ask for the settlement of every session of these trainees that may still be settled."""
    query = (
        select(attendances.c.live_session_id)
        .join(live_sessions)
        .where(attendances.c.trainee_id.in_(trainee_ids), live_sessions.c.state.in_(("provisional", "reconciled")))
    )
    for session_id in connection.scalars(query.distinct()):
        request_settlement(connection, session_id, now)


def _end_sessions(connection: Connection, *trainee_ids: int, now: datetime) -> None:
    """End the browser sessions of these trainees: each was begun by one account, and would show the other's pages. The
    rows stay for a while, because a nonce that began a session begins no other."""
    open_now = web_sessions.c.trainee_id.in_(trainee_ids) & (web_sessions.c.expires_at > now)
    connection.execute(update(web_sessions).where(open_now).values(expires_at=now))


def _return_courses(connection: Connection, join_row: Row[Any]) -> None:
    """Give each of two separated trainees the courses that their own accounts entered while they were joined. Whoever
    was enrolled before stays so, under their own user id again."""
    courses_before = join_row.kept_before["courses"]
    for owner, other in ((join_row.kept_id, join_row.joined_id), (join_row.joined_id, join_row.kept_id)):
        theirs = and_(identities.c.issuer == registrations.c.issuer, identities.c.trainee_id == other)
        listed = (
            select(roster_members.c.registration_id, roster_members.c.context_id, roster_members.c.user_id)
            .join(registrations, registrations.c.id == roster_members.c.registration_id)
            .join(identities, theirs & (identities.c.sub == roster_members.c.user_id))
            .where(roster_members.c.trainee_id == owner)
        )
        for member in connection.execute(listed).all():
            _change_owner(connection, roster_members, member._asdict(), owner, other)
        launched = (
            select(enrolments, registrations.c.issuer)
            .join(registrations, registrations.c.id == enrolments.c.registration_id)
            .join(identities, theirs & (identities.c.sub == enrolments.c.user_id))
            .where(enrolments.c.trainee_id == owner)
        )
        for row in connection.execute(launched).all():
            values = {column.name: row._mapping[column.name] for column in enrolments.c} | {TRAINEE: other}
            connection.execute(insert_ignoring(connection, enrolments).values(values))
            own = select(identities.c.sub).filter_by(issuer=row.issuer, trainee_id=owner).order_by(identities.c.sub)
            user_id = connection.scalar(own.limit(1))
            key = {"registration_id": row.registration_id, "context_id": row.context_id, TRAINEE: owner}
            was_enrolled = owner == join_row.joined_id or [row.registration_id, row.context_id] in courses_before
            if user_id is None or not was_enrolled:
                connection.execute(delete(enrolments).filter_by(**key))
            else:
                connection.execute(update(enrolments).filter_by(**key).values(user_id=user_id))


def _restore_profile(connection: Connection, join_row: Row[Any]) -> None:
    """Give the kept trainee the name and addresses of before the join. Which account brought an address meanwhile is
    not recorded, so it is neither's until an account launches with it again."""
    before = join_row.kept_before
    restored = {"name": before["name"], "email": before["email"]}
    connection.execute(update(trainees).where(trainees.c.id == join_row.kept_id).values(restored))
    others = select(person_joins.c.id).where(
        person_joins.c.kept_id == join_row.kept_id, person_joins.c.undone_at.is_(None)
    )
    moved = select(person_join_rows.c.row_key).where(
        person_join_rows.c.join_id.in_(others), person_join_rows.c.table_name == trainee_addresses.name
    )
    of_others = [key["id"] for key in connection.scalars(moved)]
    connection.execute(
        delete(trainee_addresses).where(
            trainee_addresses.c.trainee_id == join_row.kept_id,
            trainee_addresses.c.id > before["last_address"],
            trainee_addresses.c.id.not_in(of_others),
        )
    )
