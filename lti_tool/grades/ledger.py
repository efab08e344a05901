"""The score ledger: what each platform should hold of each person. Desired is not delivered; `delivery` closes the gap.

A score rests on attendance alone: an equivalency or an imported completion gives no grade (gates.md A3.7, A10.8). Only
final values are desired, since a platform may ignore or blank anything else (AG-11).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, and_, or_, select, update

from lti_tool import publication
from lti_tool.db import insert_ignoring
from lti_tool.grades import awards
from lti_tool.grades.ags import SCORE_SCOPE
from lti_tool.grades.claim_lines import body_name
from lti_tool.grades.settled_days import FINAL, hold
from lti_tool.programme.model import Programme
from lti_tool.tables.courses import enrolments, placements
from lti_tool.tables.gates import completions
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.people import trainees
from lti_tool.tables.scores import scores

# The full score says "completed"; minutes alone, however many, stay below it.
MOST_HUNDREDTHS = 9_999


@dataclass(frozen=True, slots=True)
class Score:
    """What one line item should show of one person: `given` of `maximum`, and the comment that explains it."""

    meaning: str
    given: float
    maximum: float
    comment: str


def desire(connection: Connection, trainee_ids: Collection[int], module_id: str, now: datetime) -> int:
    """Bring the desired scores of these people for one module up to date, in every course they are enrolled in.

    Nothing is desired before a session has ended, and no CE score before an award (G3): no score is not zero. Gives the
    number of scores that changed.
    """
    hold(connection, trainee_ids)
    wanted = _wanted(connection, trainee_ids, module_id)
    added = _insert(connection, [each for each in wanted if each[0].score_id is None], now)
    return added + _renew(connection, [each for each in wanted if each[0].score_id is not None], now)


def without_score(connection: Connection, launched_since: datetime) -> list[tuple[str, int]]:
    """(module id, trainee id) of people who attended a module and have launched it since, at a place that has no score
    for them or has moved to another line item."""
    query = (
        select(live_sessions.c.module_id, attendances.c.trainee_id)
        .select_from(attendances)
        .join(live_sessions, live_sessions.c.id == attendances.c.live_session_id)
        .join(placements, placements.c.module_id == live_sessions.c.module_id)
        .join(enrolments, and_(_enrolled_here(), enrolments.c.trainee_id == attendances.c.trainee_id))
        .outerjoin(
            scores, and_(scores.c.placement_id == placements.c.id, scores.c.trainee_id == attendances.c.trainee_id)
        )
        .where(
            FINAL,
            attendances.c.seconds_present > 0,
            placements.c.line_item_url.is_not(None),
            enrolments.c.role == "trainee",
            or_(enrolments.c.last_launch_at >= launched_since, placements.c.updated_at >= launched_since),
            or_(scores.c.id.is_(None), scores.c.line_item_url != placements.c.line_item_url),
        )
        .distinct()
        .order_by(live_sessions.c.module_id, attendances.c.trainee_id)
    )
    return [(row.module_id, row.trainee_id) for row in connection.execute(query)]


def rows(connection: Connection, *, status: str | None = None) -> Sequence[Row[Any]]:
    """The ledger, all or of one status (waiting, delivered, parked), with the module and the person's name."""
    query = (
        select(scores, placements.c.module_id, placements.c.context_title, trainees.c.name)
        .join(placements, placements.c.id == scores.c.placement_id)
        .join(trainees, trainees.c.id == scores.c.trainee_id)
        .order_by(scores.c.id)
    )
    return connection.execute(query if status is None else query.where(scores.c.status == status)).all()


def try_parked_again(connection: Connection, now: datetime) -> int:
    """Put every parked score back in line; how many there were."""
    return connection.execute(
        update(scores)
        .where(scores.c.status == "parked")
        .values(status="waiting", attempts=0, next_attempt_at=now, sent_version=None)
    ).rowcount


def _wanted(connection: Connection, trainee_ids: Collection[int], module_id: str) -> list[tuple[Any, Score]]:
    """Every place where a score of these people belongs, with that score."""
    best = _best_attendances(connection, trainee_ids, module_id)
    awarded = awards.in_force_of(connection, list(best), module_id)
    wanted: list[tuple[Any, Score]] = []
    for number in sorted({each.programme_version for each in best.values()}):
        programme = publication.version(connection, number).programme
        people = [trainee_id for trainee_id, each in best.items() if each.programme_version == number]
        places = _places(connection, people, module_id, programme.scores.single_line_item)
        wanted += [
            (place, _score(programme, best[place.trainee_id], awarded.get(place.trainee_id, []), place))
            for place in places
        ]
    return wanted


def _best_attendances(connection: Connection, trainee_ids: Collection[int], module_id: str) -> dict[int, Any]:
    """By person: of several sessions of a module the completed one, else the one with the most minutes. `in_full`: it
    is completed, and a completion of the module is in force."""
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
        .where(FINAL, attendances.c.trainee_id.in_(trainee_ids), live_sessions.c.module_id == module_id)
        .order_by(attendances.c.completed, attendances.c.seconds_present, live_sessions.c.id.desc())
    )
    return {row.trainee_id: row for row in connection.execute(query)}


def _enrolled_here() -> Any:
    context = placements.c.context_id
    return and_(
        enrolments.c.registration_id == placements.c.registration_id,
        or_(enrolments.c.context_id == context, and_(context.is_(None), enrolments.c.context_id == "")),
    )


def _places(connection: Connection, trainee_ids: Collection[int], module_id: str, meaning: str) -> Sequence[Any]:
    """Where scores of this module go for these people, with the ledger's row of that place where there is one."""
    known = and_(
        scores.c.placement_id == placements.c.id,
        scores.c.trainee_id == enrolments.c.trainee_id,
        scores.c.meaning == meaning,
    )
    query = (
        select(
            enrolments.c.trainee_id,
            placements.c.id.label("placement_id"),
            placements.c.line_item_url,
            placements.c.ags_scopes,
            enrolments.c.user_id,
            scores.c.id.label("score_id"),
            scores.c.desired_version,
            scores.c.desired_given,
            scores.c.desired_maximum,
            scores.c.desired_comment,
            scores.c.line_item_url.label("known_url"),
            scores.c.user_id.label("known_user"),
        )
        .join(enrolments, _enrolled_here())
        .outerjoin(scores, known)
        .where(
            placements.c.module_id == module_id,
            placements.c.line_item_url.is_not(None),
            enrolments.c.trainee_id.in_(trainee_ids),
            enrolments.c.role == "trainee",
        )
        .order_by(placements.c.id, enrolments.c.trainee_id)
    )
    return [row for row in connection.execute(query) if SCORE_SCOPE in row.ags_scopes]


def _score(programme: Programme, best: Any, awarded: Sequence[Row[Any]], place: Any) -> Score:
    comment = _comment(programme, best, awarded)
    if programme.scores.single_line_item == "ce":
        credits = sum((row.credits for row in awarded[:1]), Decimal(0))
        maximum = whole_maximum(credits) if credits else (place.desired_maximum or 1)
        return Score("ce", float(maximum) if credits else 0.0, float(maximum), comment)
    hundredths = 10_000 * best.seconds_present // max(best.seconds_instructional, 1)
    return Score("completion", 100.0 if best.in_full else min(hundredths, MOST_HUNDREDTHS) / 100, 100.0, comment)


def whole_maximum(credits: Decimal) -> int:
    """Credits as the whole number that Open edX asks for: 6.5 becomes 65, 3.75 becomes 375 (G5)."""
    tens = max(1, -int(credits.normalize().as_tuple().exponent))
    return int(credits.scaleb(tens))


def _comment(programme: Programme, best: Any, awarded: Sequence[Row[Any]]) -> str:
    """The minutes and the CE result; no health word and no reason ever stands in a gradebook."""
    minutes = f"{best.seconds_present // 60} of {best.seconds_instructional // 60} instructional minutes."
    earned = [f"{row.credits} credits ({body_name(programme.bodies.get(row.body_id), row.body_id)})" for row in awarded]
    return f"{minutes} CE: {', '.join(earned) or 'none awarded'}."


def _insert(connection: Connection, wanted: Sequence[tuple[Any, Score]], now: datetime) -> int:
    """New rows. A zero where nothing was ever sent is no score."""
    rows = [
        {
            "placement_id": place.placement_id,
            "trainee_id": place.trainee_id,
            "meaning": score.meaning,
            **_values(place, score),
            "desired_version": 1,
            "delivered_version": 0,
            **_due(now),
        }
        for place, score in wanted
        if score.given
    ]
    if not rows:
        return 0
    return len(connection.execute(insert_ignoring(connection, scores).returning(scores.c.id), rows).all())


def _renew(connection: Connection, wanted: Sequence[tuple[Any, Score]], now: datetime) -> int:
    """A new version of each row that says something else now, in the order in which delivery holds them too."""
    changed = [each for each in wanted if _known(each[0]) != tuple(_values(*each).values())]
    for place, score in sorted(changed, key=lambda each: each[0].score_id):
        renewed = {"desired_version": scores.c.desired_version + 1, **_values(place, score), **_due(now)}
        connection.execute(update(scores).where(scores.c.id == place.score_id).values(renewed))
    return len(changed)


def _values(place: Any, score: Score) -> dict[str, Any]:
    return {
        "line_item_url": place.line_item_url,
        "user_id": place.user_id,
        "desired_given": score.given,
        "desired_maximum": score.maximum,
        "desired_comment": score.comment,
    }


def _known(place: Any) -> tuple[Any, ...]:
    return (place.known_url, place.known_user, place.desired_given, place.desired_maximum, place.desired_comment)


def _due(now: datetime) -> dict[str, Any]:
    return {"desired_at": now, "status": "waiting", "attempts": 0, "next_attempt_at": now}
