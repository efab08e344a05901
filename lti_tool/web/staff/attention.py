"""What needs staff's attention: single items with the act that settles each, and counts of what is settled elsewhere.

The items of all kinds are one list, the oldest first, which the database pages. What a page shows of them is loaded
with one statement for each kind, not for each item.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, CompoundSelect, Connection, Select, and_, func, literal, select, true, union_all

from lti_tool.attendance import (
    accommodations,
    corrections,
    evidence_gaps,
    locking,
    person_joins,
    preview,
    queries,
    reviews,
)
from lti_tool.attendance.evidence import NUMBERED
from lti_tool.attendance.matching import UNMATCHED
from lti_tool.attendance.preview import Effect
from lti_tool.attendance.queries import AttendedDay
from lti_tool.gates import completion_batches, equivalency
from lti_tool.grades.ags import NUMBER_OF
from lti_tool.platforms import course_units
from lti_tool.rights import ANSWER_ACCOMMODATIONS, CORRECT_ATTENDANCE, DECIDE_ACCESS, Right
from lti_tool.rosters.queries import unreadable
from lti_tool.tables.courses import enrolments, placements
from lti_tool.tables.gates import completion_imports, equivalency_requests
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.operations import tasks
from lti_tool.tables.people import trainees
from lti_tool.tables.presence import accommodation_requests, attendance_corrections, attendance_requests
from lti_tool.tables.scores import scores
from lti_tool.web.page import Part, sql_part

ITEMS_ON_A_PAGE = 20
# More people than these are chosen on the participant's own page, by a search.
MAX_CHOICES = 20

Kind = Literal["equivalency", "participant", "correction", "day", "question", "accommodation"]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that one act settles; `about` is its record with the person's name and the session."""

    kind: Kind
    since: datetime
    about: Any


@dataclass(frozen=True, slots=True)
class Count:
    """How many things of one kind need attention on a page of their own, since when the oldest does, and which one it
    is, as far as a few words say it."""

    says: str
    where: str
    count: int
    oldest_at: datetime
    oldest: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """A learner who may be the unmatched participant, since attendance does not know this person yet."""

    trainee_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Items:
    """One part of the items; by correction what it would change, and by session who may be an unmatched participant.
    `after` is since when the last item of the part before it waits, None for the first part."""

    part: Part[Item]
    after: datetime | None
    effects: Mapping[int, Effect]
    choices: Mapping[int, Sequence[Choice]]


# Whose each kind of item is.
RIGHT_OF: Mapping[Kind, Right] = {
    "equivalency": DECIDE_ACCESS,
    "participant": CORRECT_ATTENDANCE,
    "correction": CORRECT_ATTENDANCE,
    "day": CORRECT_ATTENDANCE,
    "question": CORRECT_ATTENDANCE,
    "accommodation": ANSWER_ACCOMMODATIONS,
}


def items(connection: Connection, kinds: Collection[Kind], number: int) -> Items:
    """Part `number` of the items of these kinds, the oldest first."""
    waiting = _waiting().subquery()
    listed = select(waiting).where(waiting.c.kind.in_(kinds)).subquery()
    order = listed.c.since, listed.c.kind, listed.c.id
    part = sql_part(connection, select(listed).order_by(*order), ITEMS_ON_A_PAGE, number)
    rows = part.rows
    last_before = select(listed.c.since).order_by(*order).offset((part.number - 1) * ITEMS_ON_A_PAGE - 1).limit(1)
    ids: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        ids[row.kind].append(row.id)
    proposed = corrections.some(connection, ids["correction"]) if ids["correction"] else []
    days = queries.some(connection, [*ids["participant"], *ids["day"]]) if ids["participant"] or ids["day"] else []
    found: dict[tuple[str, int], Any] = {("correction", each.id): each for each in proposed}
    found |= {("participant" if each.trainee_id is None else "day", each.id): each for each in days}
    if ids["equivalency"]:
        found |= {("equivalency", each.id): each for each in equivalency.some(connection, ids["equivalency"])}
    if ids["question"]:
        found |= {("question", each.id): each for each in reviews.some_requests(connection, ids["question"])}
    if ids["accommodation"]:
        found |= {("accommodation", each.id): each for each in accommodations.some(connection, ids["accommodation"])}
    shown = [Item(row.kind, row.since, found[row.kind, row.id]) for row in rows if (row.kind, row.id) in found]
    unmatched = (each.about for each in shown if each.kind == "participant" and may_match(each.about))
    matchable = {each.session_id: each.module_id for each in unmatched}
    return Items(
        Part(shown, part.number, part.total, part.firsts, part.size),
        connection.scalar(last_before) if part.number > 1 else None,
        preview.of_corrections(connection, proposed),
        _choices(connection, matchable) if matchable else {},
    )


def merged(items: Items, counts: Sequence[Count]) -> list[Item | Count]:
    """The rows of one part, the oldest first: its items, and the counts whose oldest is not in another part."""
    part = items.part
    until = part.rows[-1].since if part.rows and part.number < part.count else None
    here = [
        each
        for each in counts
        if (items.after is None or each.oldest_at > items.after) and (until is None or each.oldest_at <= until)
    ]
    return sorted([*part.rows, *here], key=lambda each: each.oldest_at if isinstance(each, Count) else each.since)


def may_match(day: AttendedDay) -> bool:
    """Whether the conference system gave anything by which an unmatched participant could be recognised again."""
    return not day.person_key.startswith(f"connection:{NUMBERED}")


def _waiting() -> CompoundSelect[Any]:
    """(kind, id, since) of every item."""

    def of(kind: Kind, number: ColumnElement[int], since: ColumnElement[Any]) -> Any:
        return select(literal(kind).label("kind"), number.label("id"), since.label("since"))

    request, fix, asked = equivalency_requests.c, attendance_corrections.c, attendance_requests.c
    person, wish = attendances.c, accommodation_requests.c
    return union_all(
        of("equivalency", request.id, request.submitted_at).where(request.state == "submitted"),
        of("participant", person.id, person.settled_at).join(live_sessions).where(*UNMATCHED),
        of("correction", fix.id, fix.proposed_at).where(corrections.WAITING),
        of("day", person.id, person.settled_at).join(live_sessions).where(*reviews.DUE),
        of("question", asked.id, asked.created_at).where(asked.state == "open"),
        of("accommodation", wish.id, wish.created_at).where(wish.state == "open"),
    )


def _choices(connection: Connection, modules: Mapping[int, str]) -> dict[int, list[Choice]]:
    """By session, the learners of its module's courses of whom no attendance is on record; none where they are more
    than `MAX_CHOICES`. `modules` are the modules of these sessions."""
    some = (
        select(literal(each).label("session_id"), _first_learners(each, of).subquery()) for each, of in modules.items()
    )
    rows = connection.execute(union_all(*some)).all()
    too_many = {
        session_id for session_id, many in Counter(row.session_id for row in rows).items() if many > MAX_CHOICES
    }
    found: dict[int, set[Choice]] = defaultdict(set)
    for row in rows:
        if row.session_id not in too_many:
            found[row.session_id].add(Choice(row.id, row.name or f"Person {row.id}"))
    return {each: sorted(those, key=lambda one: (one.name, one.trainee_id)) for each, those in found.items()}


def _first_learners(session_id: int, module_id: str) -> Select[Any]:
    """These learners of one session, in no order; who is in two of the courses comes twice. The database stops once it
    has found too many."""
    course = (placements.c.registration_id, func.coalesce(placements.c.context_id, "").label("context_id"))
    courses = select(*course).where(placements.c.module_id == module_id).distinct().subquery()
    here = and_(
        enrolments.c.registration_id == courses.c.registration_id, enrolments.c.context_id == courses.c.context_id
    )
    is_known = select(attendances.c.id).where(
        attendances.c.live_session_id == session_id,
        attendances.c.trainee_id == trainees.c.id,
        attendances.c.is_current,
    )
    learners = select(trainees.c.id, trainees.c.name).join_from(courses, enrolments, here).join(trainees)
    return learners.where(enrolments.c.role == "trainee", ~is_known.exists()).limit(MAX_CHOICES + 1)


def counts(connection: Connection, now: datetime) -> list[Count]:
    """What needs attention on pages of its own; only kinds of which there is something, the oldest first."""
    refused, regraded = (scores.c.state == NUMBER_OF[each] for each in ("refused", "regraded"))
    units, rosters = course_units.unconfirmed(now), unreadable()

    def counted(says: str, where: str, since: Any, which: ColumnElement[bool]) -> Count:
        row = connection.execute(select(func.count(), func.min(since)).where(which)).one()
        return Count(says, where, row[0], row[1] or now)

    shared = sorted(person_joins.suggestions(connection), key=lambda each: each.since)
    gaps = sorted(evidence_gaps.on_record(connection), key=lambda each: each.since or now)
    found = [
        counted(
            "Revocations waiting for a second person",
            "/desk/equivalencies#revoked",
            equivalency_requests.c.revocation_at,
            equivalency.IS_TO_BE_REVOKED,
        ),
        counted(
            "Imports to be undone by a second person",
            "/desk/people/imports",
            completion_imports.c.undo_at,
            completion_batches.IS_TO_BE_UNDONE,
        ),
        Count(
            "E-mail addresses that two people share",
            "/desk/joins",
            len(shared),
            shared[0].since if shared else now,
            ", ".join(each.name or f"Person {each.id}" for each in shared[0].people) if shared else "",
        ),
        Count(
            "Possible gaps in attendance data",
            "/desk/settings/zoom",
            len(gaps),
            (gaps[0].since or now) if gaps else now,
            gaps[0].words.says if gaps else "",
        ),
        counted("Sessions still marked as running", "/desk/sessions", live_sessions.c.ends_at, locking.is_missing(now)),
        counted("Courses with unconfirmed units", "/desk/courses", units.c.since, true()),
        counted("Rosters that cannot be read", "/desk/rosters", rosters.c.since, true()),
        counted("Scores a platform refused", "/desk/scores?state=refused", scores.c.desired_at, refused),
        counted("Grades changed on a platform", "/desk/scores?state=regraded", scores.c.seen_at, regraded),
        counted("Background jobs that failed", "/desk/settings/jobs", tasks.c.created_at, tasks.c.state == "parked"),
    ]
    return sorted((each for each in found if each.count), key=lambda each: each.oldest_at)


def summary(connection: Connection, now: datetime) -> list[Count]:
    """All that needs attention as counts, for a message: the single items as one, then the others."""
    listed = _waiting().subquery()
    count, oldest = connection.execute(select(func.count(), func.min(listed.c.since)).select_from(listed)).one()
    items = [Count("Requests and attendance to decide", "/desk", count, oldest)] if count else []
    return items + counts(connection, now)
