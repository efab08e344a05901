"""Today, the front page of the desk: the session that is on, what needs attention, the week, the last class, health.

Here too: the page about the health of the installation, and the list of modules with their gates in words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Literal
from zoneinfo import ZoneInfo

from flask import Blueprint
from sqlalchemy import Connection

from lti_tool.attendance import evidence_gaps, live_sessions
from lti_tool.attendance.live_board import AROUND, Curve, LivePerson, draw, latest_return
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.gates import wording
from lti_tool.programme import versions
from lti_tool.rosters.queries import count_enrolled
from lti_tool.times import day_of
from lti_tool.web.page import paging, show
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, viewer
from lti_tool.web.staff import attention, overview
from lti_tool.web.staff.live_board import BoardOf, EnrolledCache
from zoom_adapter import health

WEEK = 7
# A list that was read so long ago is told as a doubt.
ROSTER_OLD = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Away:
    """A learner who is not in the session now. `left_at` is None for one who has not come. `back_by` is the latest
    return that still completes, None if it is too late; `can_tell` is false where the programme sets no share."""

    trainee_id: int
    name: str
    left_at: datetime | None
    back_by: datetime | None
    can_tell: bool


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of a session that is on, as its live board shows them. `expected` have not come; `excused` have not
    come either, but completed the module before. Both are None without a roster."""

    here: int
    enrolled: int | None
    left: int
    expected: int | None
    excused: int | None
    unmatched: int
    away: Sequence[Away]


@dataclass(frozen=True, slots=True)
class Shown:
    """The session on top of the page: `when` is now, next or last. `taught` are the times of instruction within the
    curve, as (from, width) in per cent of it."""

    when: Literal["now", "next", "last"]
    session: LiveSession
    enrolled: int | None
    numbers: Numbers | None
    curve: Curve | None
    taught: Sequence[tuple[float, float]]
    part: str


def blueprint(board_of: BoardOf) -> Blueprint:
    """The pages; `board_of(connection, session, now)` computes the live board of a session."""
    pages = Blueprint("desk", __name__, url_prefix="/desk")
    cache = EnrolledCache()

    @pages.get("")
    @access("staff")
    def today() -> str:
        """What is on, and what needs attention since when."""
        programme = versions.current(connection()).programme
        first_at = datetime.combine(day_of(now(), programme.zone), time.min, ZoneInfo(programme.zone))
        coming = live_sessions.held_between(connection(), first_at, first_at + timedelta(days=2 * WEEK))
        last = live_sessions.last_one(connection(), now())
        shown = _chosen(coming, last)
        modules = {each.module_id for each in (*coming, *([shown[1]] if shown else ()))}
        enrolled = count_enrolled(connection(), modules) if modules else {}
        waiting = attention.count_items(connection())
        pages = paging(waiting, attention.ITEMS_ON_A_PAGE)
        found = attention.items(connection(), pages.offset) if waiting else attention.Items((), {}, {})
        counts = attention.counts(connection(), now())
        actors = {each.about.proposed_by for each in found.rows if each.kind == "correction"}
        days = [first_at.date() + timedelta(days=number) for number in range(WEEK)]
        return show(
            "staff/today.html",
            programme,
            shown=_shown(*shown, enrolled) if shown else None,
            also=[each for each in coming if each.starts_at <= now() < each.ends_at and shown != ("now", each)],
            items=found,
            paging=pages,
            counts=counts,
            total=waiting + len(counts),
            may_match=attention.may_match,
            acting=overview.acting(connection(), actors),
            me=viewer(),
            week=[(each, [session for session in coming if session.held_on == each]) for each in days],
            later=[each for each in coming if each.held_on > days[-1]],
            enrolled=enrolled,
            last=last,
            funnel=overview.funnel(connection(), last) if last else None,
            heard_at=health.delivery_times(connection()).last_at,
            rosters_read_at=overview.rosters_read_at(connection()),
            roster_old=ROSTER_OLD,
        )

    def _chosen(
        coming: Sequence[LiveSession], last: LiveSession | None
    ) -> tuple[Literal["now", "next", "last"], LiveSession] | None:
        """The session that is on, else the next, else the last."""
        for each in coming:
            if each.starts_at <= now() < each.ends_at:
                return "now", each
        following = next((each for each in coming if each.starts_at > now()), None)
        following = following or live_sessions.next_one(connection(), now())
        if following:
            return "next", following
        return ("last", last) if last else None

    def _shown(when: Literal["now", "next", "last"], session: LiveSession, enrolled: Mapping[str, int]) -> Shown:
        listed = enrolled.get(session.module_id)
        if when == "next" and now() < session.starts_at - AROUND:
            return Shown(when, session, listed, None, None, (), "")
        board = board_of(connection(), session, now())
        known = cache.load(connection(), session, board, now())
        board = board.without_staff(known.staff)
        missing = [each for each in known.expected if each.trainee_id not in board.trainee_ids]
        share = _share(connection(), session)
        gone = board.those("gone")
        away = [
            Away(each.trainee_id, known.names.get(each.trainee_id, each.name), each.since, *_back(each, session, share))
            for each in gone
            if each.trainee_id is not None
        ] + [Away(each.trainee_id, each.shown_name, None, *_back(None, session, share)) for each in missing]
        numbers = Numbers(
            here=len(board.here),
            enrolled=known.enrolled,
            left=len(gone),
            expected=None if known.enrolled is None else len(missing),
            excused=None if known.enrolled is None else len(known.excused - board.trainee_ids),
            unmatched=len(board.unmatched),
            away=away if when == "now" else (),
        )
        curve = draw(board, session, known.enrolled)
        part = next((each for each in session.segments if each.starts_at <= now() < each.ends_at), None)
        return Shown(when, session, listed, numbers, curve, _taught(session), part.title if part else "")

    def _back(person: LivePerson | None, session: LiveSession, share: Decimal | None) -> tuple[datetime | None, bool]:
        return (None, False) if share is None else (latest_return(person, session.segments, share, now()), True)

    @pages.get("/health")
    @access("staff")
    def health_page() -> str:
        """What comes from Zoom and from platforms, what may be missing, and the jobs that failed."""
        last = live_sessions.last_one(connection(), now())
        return show(
            "staff/health.html",
            versions.current(connection()).programme,
            gaps=evidence_gaps.on_record(connection()),
            jobs=attention.failed_jobs(connection()),
            heard_at=health.delivery_times(connection()).last_at,
            rosters_read_at=overview.rosters_read_at(connection()),
            last=last,
            funnel=overview.funnel(connection(), last) if last else None,
        )

    @pages.get("/programme")
    @access("staff")
    def modules() -> str:
        """Every module and retreat with its gate in words."""
        published = versions.current(connection())
        return show(
            "staff/modules.html",
            published.programme,
            version=published.version,
            in_words=partial(wording.gate_in_words, published.programme),
            coming=overview.next_sessions(connection(), now()),
        )

    return pages


def _share(connection: Connection, session: LiveSession) -> Decimal | None:
    """The share of instruction that completes this session, None where its programme sets none."""
    policy = versions.version(connection, session.programme_version).programme.completion
    return policy.share if policy else None


def _taught(session: LiveSession) -> list[tuple[float, float]]:
    opens, closes = session.starts_at - AROUND, session.ends_at + AROUND
    whole = closes - opens
    return [
        (round((each.starts_at - opens) / whole * 100, 2), round((each.ends_at - each.starts_at) / whole * 100, 2))
        for each in session.segments
        if each.instructional
    ]
