"""The score ledger: what each platform should hold of each person. `delivery` brings platforms in line with it.

A person's scores of one module go to every column of it, in every course where they are enrolled (`line_items`). A
score rests on attendance alone: an equivalency or an imported completion gives no grade (gates.md A3.7, A10.8). Only
final values are desired, since a platform may ignore or blank anything else (lti.md AG-11).

A re-grade is a score whose gradebook differs from what was delivered (`seen` "differs"). It is undecided while the
score is delivered, or parked with a newer value. "waiting" means that staff chose to send ours, "kept" that they let
the platform's grade stand until they decide otherwise.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, func, or_, select, update

from lti_tool import audit
from lti_tool.attendance import matching
from lti_tool.attendance.queries import FINAL, in_doubt_about_identity
from lti_tool.credit import claims
from lti_tool.credit.checklist import body_name
from lti_tool.db import insert_ignoring
from lti_tool.errors import Conflict, NotFound
from lti_tool.grades import line_items
from lti_tool.grades.ags import NUMBER_OF, RETIRED, SCORE_SCOPE, STATES, State, Value
from lti_tool.grades.delivery import REGRADED
from lti_tool.grades.line_items import largest_credit, own_maximum
from lti_tool.grades.wording import credit_in_words
from lti_tool.leases import RELEASED
from lti_tool.lti.quirks import PROFILES
from lti_tool.people import hold
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.tables.courses import enrolments, placements
from lti_tool.tables.credit import awards as credit_awards
from lti_tool.tables.gates import completions
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.people import identities, trainees
from lti_tool.tables.platforms import registrations
from lti_tool.tables.scores import line_items as columns
from lti_tool.tables.scores import scores

# The full score says "completed"; minutes alone, however many, stay below it.
MOST_HUNDREDTHS = 9_999
NOT_THEIRS = "This score was another person's."
# A column that a score has not been sent to yet: nothing is known of what it holds.
ELSEWHERE = {
    "delivered_version": 0,
    "delivered_given": None,
    "delivered_maximum": None,
    "delivered_at": None,
    "sent_version": None,
    "sent_given": None,
    "sent_maximum": None,
    "seen": "unread",
    "seen_given": None,
    "seen_at": None,
    "results_due_at": None,
    # A worker that holds it loses the lease: its result says nothing about the new column.
    **RELEASED,
}


@dataclass(frozen=True, slots=True)
class Score:
    """What one line item should show of one person: `given` of `maximum`, and the comment that explains it."""

    given: float
    maximum: float
    comment: str


def score_of(programme: Programme, best: Row[Any], awarded: Sequence[Row[Any]], place: Row[Any]) -> Score:
    """The score for one column (`place.meaning`), from a person's best attendance and awards of the module. The comment
    says the minutes and the CE result; a gradebook never gets a health word or a reason."""
    earned = [f"{row.credits} credits ({body_name(programme.bodies.get(row.body_id), row.body_id)})" for row in awarded]
    minutes = f"{best.seconds_present // 60} of {best.seconds_instructional // 60} instructional minutes."
    comment = f"{minutes} CE: {', '.join(earned) or 'none awarded'}."
    if place.meaning == "ce":
        credits = max((row.credits for row in awarded), default=Decimal(0))
        most = Decimal(str(place.credits)) if place.credits else largest_credit(programme.modules.get(place.module_id))
        most = most or credits or Decimal(1)
        maximum = own_maximum(PROFILES[place.profile], "ce", most)
        score = Value(float(credits), float(most)).out_of(maximum) or 0.0
        meant = credit_in_words(float(credits), float(most), place.maximum or maximum)
        return Score(score, float(maximum), f"{comment} {meant}".strip())
    hundredths = 10_000 * best.seconds_present // max(best.seconds_instructional, 1)
    return Score(100.0 if best.in_full else min(hundredths, MOST_HUNDREDTHS) / 100, 100.0, comment)


def desire(connection: Connection, trainee_ids: Collection[int], module_id: str, now: datetime) -> int:
    """Bring the desired scores of these people for one module up to date, in every course where they are enrolled.

    Nothing is desired before a session has ended, and no CE score before an award (ce.md G3): no score is not zero. A
    score never falls because it is in doubt who someone was: staff decide. Two accounts that staff joined have one
    score, in the courses of both. Returns the number of scores that changed.
    """
    joined = matching.joined(connection)
    people = {joined.get(each, each) for each in trainee_ids}
    # By account, whose it is. Whoever decides on a person holds the kept account.
    owners = {each: each for each in people} | {each: kept for each, kept in joined.items() if kept in people}
    hold(connection, sorted(people))
    line_items.connect(connection, now, module_id)
    wanted = _wanted(connection, owners, module_id)
    added = [
        {
            "placement_id": place.placement_id,
            "trainee_id": place.trainee_id,
            "meaning": place.meaning,
            **_values(place, score),
            "desired_version": 1,
            "delivered_version": 0,
            "seen": "unread",
            **_due(now),
        }
        for place, score in wanted
        if place.score_id is None and score.given
    ]
    insert = insert_ignoring(connection, scores).returning(scores.c.id)
    changes = len(connection.execute(insert, added).all()) if added else 0
    # In the order in which delivery locks them too.
    known_scores = sorted((each for each in wanted if each[0].score_id), key=lambda each: each[0].score_id)
    doubted = set()
    if any(score.given < place.desired_given for place, score in known_scores):
        doubted = {owners[each] for each in in_doubt_about_identity(connection, owners, module_id)}
    for place, score in known_scores:
        values = _values(place, score)
        if score.given < place.desired_given and owners[place.trainee_id] in doubted:
            kept = ("desired_given", "desired_maximum", "desired_comment")
            values |= {name: getattr(place, name) for name in kept}
        known = (
            place.known_url,
            place.known_user,
            place.desired_given,
            place.desired_maximum,
            place.desired_comment,
        )
        if place.has_come_back or known != tuple(values.values()):
            values |= {"desired_version": scores.c.desired_version + 1, **_next_step(place, now)}
            connection.execute(update(scores).where(scores.c.id == place.score_id).values(values))
            changes += 1
    return changes


def separate(connection: Connection, one: int, other: int, now: datetime) -> None:
    """Decide the scores of two people anew whom staff have just separated. A score that went to the other's account
    while they were joined becomes the other's; one that the other never attended the module for is sent as zero, or not
    at all if it was never sent."""
    modules = set()
    for owner, new in ((one, other), (other, one)):
        of_new = and_(
            identities.c.issuer == registrations.c.issuer,
            identities.c.sub == scores.c.user_id,
            identities.c.trainee_id == new,
        )
        query = (
            select(scores, placements.c.module_id)
            .join(placements, placements.c.id == scores.c.placement_id)
            .join(registrations, registrations.c.id == placements.c.registration_id)
            .join(identities, of_new)
            .where(scores.c.trainee_id == owner)
            .order_by(scores.c.id)
        )
        for row in connection.execute(query).all():
            modules.add(row.module_id)
            key = {"placement_id": row.placement_id, "meaning": row.meaning, "trainee_id": new}
            has_own = connection.scalar(select(scores.c.id).filter_by(**key)) is not None
            # Settlement decides the score of whoever attended the module at all.
            of_module = live_sessions.c.module_id == row.module_id
            ever = select(attendances.c.id).join(live_sessions).where(attendances.c.trainee_id == new, of_module)
            attended = connection.scalar(ever.limit(1)) is not None
            if has_own or not (attended or row.delivered_version or row.sent_version):
                connection.execute(delete(scores).where(scores.c.id == row.id))
                continue
            values: dict[str, Any] = {"trainee_id": new}
            if not attended:
                nothing = {"desired_given": 0.0, "desired_comment": NOT_THEIRS}
                values |= {"desired_version": scores.c.desired_version + 1, **nothing, **_due(now)}
            connection.execute(update(scores).where(scores.c.id == row.id).values(values))
    for module_id in sorted(modules):
        desire(connection, [one, other], module_id, now)


def without_score(connection: Connection, since: datetime) -> list[tuple[str, int]]:
    """(module id, trainee id) of people who attended a module and whose score is missing or went to another column, as
    far as they came to its unit, or the unit got a column, since then."""
    awarded = select(credit_awards.c.id).where(
        credit_awards.c.trainee_id == attendances.c.trainee_id,
        credit_awards.c.module_id == live_sessions.c.module_id,
        credit_awards.c.state == "awarded",
    )
    changes = (
        enrolments.c.last_launch_at,
        enrolments.c.listed_at,
        placements.c.updated_at,
        columns.c.made_at,
        columns.c.checked_at,
    )
    query = (
        select(live_sessions.c.module_id, attendances.c.trainee_id)
        .select_from(attendances)
        .join(live_sessions, live_sessions.c.id == attendances.c.live_session_id)
        .join(placements, placements.c.module_id == live_sessions.c.module_id)
        .join(registrations, registrations.c.id == placements.c.registration_id)
        .join(columns, columns.c.placement_id == placements.c.id)
        .join(enrolments, and_(_enrolled_here(), enrolments.c.trainee_id == attendances.c.trainee_id))
        .outerjoin(scores, and_(_of_column(), scores.c.trainee_id == attendances.c.trainee_id))
        .where(
            FINAL,
            line_items.usable(),
            attendances.c.seconds_present > 0,
            enrolments.c.role == "trainee",
            # A column of credit holds nothing before an award (ce.md G3).
            or_(columns.c.meaning == "completion", awarded.exists()),
            or_(*(changed_at >= since for changed_at in changes)),
            or_(scores.c.id.is_(None), scores.c.line_item_url != columns.c.url, _has_come_back()),
        )
        .distinct()
        .order_by(live_sessions.c.module_id, attendances.c.trainee_id)
    )
    return [(row.module_id, row.trainee_id) for row in connection.execute(query)]


def rows(connection: Connection, *, status: str | None = None) -> Sequence[Row[Any]]:
    """The ledger, all or of one status (waiting, delivered, parked, kept), as `ledger` gives it."""
    found = ledger().order_by(scores.c.id)
    return connection.execute(found if status is None else found.where(scores.c.status == status)).all()


def ledger(state: State | None = None) -> Select[Any]:
    """The scores, all or in one state, with the module, the person's name and the kind of platform."""
    query = (
        select(scores, placements.c.module_id, placements.c.context_title, trainees.c.name, registrations.c.profile)
        .join(placements, placements.c.id == scores.c.placement_id)
        .join(registrations, registrations.c.id == placements.c.registration_id)
        .join(trainees, trainees.c.id == scores.c.trainee_id)
    )
    return query if state is None else query.where(scores.c.state == NUMBER_OF[state.id])


def counts(connection: Connection) -> list[tuple[State, int]]:
    """How many scores are in each state, without the empty states; those that need a person come first."""
    query = select(scores.c.state, func.count()).group_by(scores.c.state).order_by(scores.c.state)
    return [(STATES[number], count) for number, count in connection.execute(query)]


def credits_of(connection: Connection, trainee_id: int, module_id: str) -> list[str]:
    """What the numbers in the gradebooks mean that show a person's credit for a module: one sentence for each number
    that is not the credit itself or not all of the column."""
    query = (
        select(scores.c.desired_given, scores.c.desired_maximum, columns.c.credits, columns.c.maximum)
        .join(columns, and_(_of_column(), columns.c.retired_at.is_(None)))
        .join(placements, placements.c.id == scores.c.placement_id)
        .where(
            scores.c.trainee_id == trainee_id,
            scores.c.meaning == "ce",
            placements.c.module_id == module_id,
            scores.c.desired_given > 0,
            columns.c.credits.is_not(None),
        )
        .order_by(scores.c.id)
    )
    said = []
    for row in connection.execute(query):
        value = Value(row.desired_given, row.desired_maximum)
        credits = round(value.out_of(row.credits) or 0, 2)
        maximum = row.maximum or row.desired_maximum
        if words := credit_in_words(credits, row.credits, maximum, with_share=True):
            said.append(words)
    return list(dict.fromkeys(said))


def _wanted(connection: Connection, owners: Mapping[int, int], module_id: str) -> list[tuple[Row[Any], Score]]:
    """Every column where a score of these accounts (each with its person) belongs, with that score."""
    best = _best_attendances(connection, owners, module_id)
    awarded: dict[int, list[Row[Any]]] = defaultdict(list)
    for trainee_id, some in sorted(claims.awards_in_force_of(connection, list(owners), module_id).items()):
        awarded[owners[trainee_id]] += some
    numbers = {each.programme_version for each in best.values()}
    programmes = {number: versions.version(connection, number).programme for number in sorted(numbers)}
    return [
        (place, score_of(programmes[attended.programme_version], attended, awarded[owners[place.trainee_id]], place))
        for place in _places(connection, [each for each, person in owners.items() if person in best], module_id)
        for attended in [best[owners[place.trainee_id]]]
    ]


def _best_attendances(connection: Connection, owners: Mapping[int, int], module_id: str) -> dict[int, Row[Any]]:
    """By person: of several sessions of a module, the completed one, else the one with the most minutes. `in_full` says
    that it is completed and that a completion of the module is in force."""
    in_force = and_(
        completions.c.trainee_id == attendances.c.trainee_id,
        completions.c.module_id == live_sessions.c.module_id,
        completions.c.ended_at.is_(None),
    )
    query = (
        select(
            attendances.c.trainee_id,
            attendances.c.seconds_present,
            attendances.c.seconds_instructional,
            live_sessions.c.programme_version,
            and_(attendances.c.completed, completions.c.id.is_not(None)).label("in_full"),
        )
        .join(live_sessions, live_sessions.c.id == attendances.c.live_session_id)
        .outerjoin(completions, in_force)
        .where(FINAL, attendances.c.trainee_id.in_(owners), live_sessions.c.module_id == module_id)
        .order_by(attendances.c.completed, attendances.c.seconds_present, live_sessions.c.id.desc())
    )
    return {owners[row.trainee_id]: row for row in connection.execute(query)}


def _places(connection: Connection, trainee_ids: Collection[int], module_id: str) -> list[Any]:
    """The columns where scores of this module go for these people, with the ledger's row where there is one."""
    of_trainee = scores.c.trainee_id == enrolments.c.trainee_id
    # A PostgreSQL without statistics looks through the scores of everybody for each of them unless it is told whose.
    held = and_(_of_column(), of_trainee, scores.c.trainee_id.in_(trainee_ids))
    query = (
        select(
            enrolments.c.trainee_id,
            columns.c.placement_id,
            columns.c.meaning,
            columns.c.url.label("line_item_url"),
            columns.c.maximum,
            columns.c.credits,
            placements.c.module_id,
            registrations.c.profile,
            placements.c.ags_scopes,
            enrolments.c.user_id,
            scores.c.id.label("score_id"),
            scores.c.status,
            scores.c.seen,
            scores.c.desired_given,
            scores.c.desired_maximum,
            scores.c.desired_comment,
            _has_come_back().label("has_come_back"),
            scores.c.line_item_url.label("known_url"),
            scores.c.user_id.label("known_user"),
        )
        .select_from(columns)
        .join(placements, placements.c.id == columns.c.placement_id)
        .join(registrations, registrations.c.id == placements.c.registration_id)
        .join(enrolments, _enrolled_here())
        .outerjoin(scores, held)
        .where(
            line_items.usable(),
            placements.c.module_id == module_id,
            enrolments.c.trainee_id.in_(trainee_ids),
            enrolments.c.role == "trainee",
        )
        .order_by(columns.c.placement_id, enrolments.c.trainee_id, columns.c.id, _is_elsewhere())
    )
    found: dict[tuple[int, str, int], Any] = {}
    for row in connection.execute(query):
        if SCORE_SCOPE in row.ags_scopes:
            found.setdefault((row.placement_id, row.meaning, row.trainee_id), row)
    return list(found.values())


def _enrolled_here() -> ColumnElement[bool]:
    """Enrolments in the column's course. A course has one column for credit whatever registrations launch from it, and
    a person has one user id on a platform."""
    context, theirs = placements.c.context_id, registrations.alias()
    of_issuer = select(theirs.c.id).where(theirs.c.issuer == registrations.c.issuer)
    by_another = and_(columns.c.meaning == "ce", context.is_not(None), enrolments.c.registration_id.in_(of_issuer))
    return and_(
        or_(~_is_elsewhere(), by_another),
        or_(enrolments.c.context_id == context, and_(context.is_(None), enrolments.c.context_id == "")),
    )


def _is_elsewhere() -> ColumnElement[bool]:
    return enrolments.c.registration_id != placements.c.registration_id


def _of_column() -> ColumnElement[bool]:
    return and_(scores.c.placement_id == columns.c.placement_id, scores.c.meaning == columns.c.meaning)


def _has_come_back() -> ColumnElement[bool]:
    """A column is in use again after its score was parked: something else may have been written there meanwhile."""
    return scores.c.last_answer.startswith(RETIRED, autoescape=True)


def _next_step(place: Row[Any], now: datetime) -> dict[str, Any]:
    """A new value is sent, but not over a grade that a person entered: staff decide about that one."""
    if (place.line_item_url, place.user_id) != (place.known_url, place.known_user):
        return _due(now) | ELSEWHERE | {"last_answer": None}
    if place.status == "kept":
        return {"desired_at": now}
    if place.seen == "differs" and place.status != "waiting":
        return {"desired_at": now, "status": "parked", "last_answer": REGRADED}
    return _due(now) | ({"last_answer": None} if place.has_come_back else {})


def _values(place: Row[Any], score: Score) -> dict[str, Any]:
    return {
        "line_item_url": place.line_item_url,
        "user_id": place.user_id,
        "desired_given": score.given,
        "desired_maximum": score.maximum,
        "desired_comment": score.comment,
    }


def _due(now: datetime) -> dict[str, Any]:
    return {"desired_at": now, "status": "waiting", "attempts": 0, "next_attempt_at": now}


def try_parked_again(connection: Connection, now: datetime) -> int:
    """Send every refused score again; returns how many. A score that needs a decision, or whose column is not used any
    more, stays."""
    return connection.execute(update(scores).where(_is_refused()).values(_send_again(now))).rowcount


def try_again(connection: Connection, score_id: int, now: datetime) -> None:
    """Send one score again: a refused one, or one that the gradebook does not show.

    Raises NotFound "score_unknown", Conflict "score_not_waiting_for_you".
    """
    _of_id(connection, score_id)
    is_missing = and_(scores.c.status == "delivered", scores.c.seen == "missing", line_items.in_use())
    ours = and_(scores.c.id == score_id, or_(_is_refused(), is_missing))
    if not connection.execute(update(scores).where(ours).values(_send_again(now))).rowcount:
        raise Conflict(
            "score_not_waiting_for_you",
            "This score is on its way, was accepted, or needs another decision. Nothing was changed.",
            "Look at the list again.",
        )


def send_ours(connection: Connection, score_id: int, *, actor: str, now: datetime) -> None:
    """Overwrite the grade that a person entered with ours. Raises NotFound "score_unknown", Conflict
    "regrade_missing"."""
    _decide(connection, score_id, "regrade_overruled", _send_again(now), actor=actor, now=now)


def keep_theirs(connection: Connection, score_id: int, *, actor: str, now: datetime) -> None:
    """Let the grade that a person entered stand: ours is not sent until staff decide otherwise. Raises as
    `send_ours`."""
    _decide(connection, score_id, "regrade_kept", {"status": "kept", "results_due_at": None}, actor=actor, now=now)


def _decide(
    connection: Connection, score_id: int, act: str, values: dict[str, Any], *, actor: str, now: datetime
) -> None:
    row = _of_id(connection, score_id)
    ours = and_(scores.c.id == score_id, scores.c.seen == "differs", scores.c.status != "waiting", line_items.in_use())
    if not connection.execute(update(scores).where(ours).values(values)).rowcount:
        raise Conflict("regrade_missing", "This score needs no decision.", "Look at the list again.")
    audit.record(
        connection,
        actor=actor,
        act=act,
        subject=f"trainee:{row.trainee_id}",
        at=now,
        score=score_id,
        desired=row.desired_given,
        delivered=row.delivered_given,
        seen=row.seen_given,
    )


def _is_refused() -> ColumnElement[bool]:
    for_other_reasons = or_(
        scores.c.last_answer.is_(None),
        and_(scores.c.last_answer != REGRADED, ~scores.c.last_answer.startswith(RETIRED, autoescape=True)),
    )
    return and_(scores.c.status == "parked", for_other_reasons)


def _send_again(now: datetime) -> dict[str, Any]:
    return {"status": "waiting", "attempts": 0, "next_attempt_at": now, "sent_version": None}


def _of_id(connection: Connection, score_id: int) -> Row[Any]:
    row = connection.execute(select(scores).where(scores.c.id == score_id)).first()
    if row is None:
        raise NotFound("score_unknown", "This score does not exist.", "Look at the list again.")
    return row
