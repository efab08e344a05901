"""Today, the front page of the desk: the session that is on, what needs attention, the week, the last class, health."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

from flask import Blueprint
from sqlalchemy import Connection

from lti_tool.attendance import live_sessions
from lti_tool.attendance.live_board import AROUND, Curve, LiveBoard, LivePerson, draw, latest_return
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.rights import USE_DESK
from lti_tool.times import day_of
from lti_tool.web.page import asked_part, show
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, may_open, our_people, our_sessions, viewer
from lti_tool.web.staff import attention, overview, session_numbers, settings
from lti_tool.web.staff.accommodations import record_reading
from lti_tool.web.staff.live_board import BoardOf, Enrolled, EnrolledCache, Expected, Standing, standing_of
from zoom_adapter import admission, health

When = Literal["now", "next", "last"]
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
class Shown:
    """The session on top of the page: `when` is now, next or last; `numbers` are those of its live board; `part` is the
    part of its agenda that is on."""

    when: When
    session: LiveSession
    enrolled: int | None
    numbers: Standing | None
    away: Sequence[Away]
    curve: Curve | None
    part: str


# The board of a session, without staff, and its enrolled people.
Look = Callable[[LiveSession], tuple[LiveBoard, Enrolled]]


def blueprint(board_of: BoardOf) -> Blueprint:
    """The pages; `board_of(connection, session, now)` computes the live board of a session."""
    pages = Blueprint("desk", __name__, url_prefix="/desk")
    cache = EnrolledCache()

    def look(session: LiveSession) -> tuple[LiveBoard, Enrolled]:
        board = board_of(connection(), session, now())
        known = cache.load(connection(), session, board, now())
        board = board.without_staff(known.staff)
        ours = our_people()
        return (board, known) if ours is None else (board.only(ours), known.only(ours))

    @pages.get("")
    @access(USE_DESK)
    def today() -> str:
        """What is on, and what needs attention since when."""
        return _today(look)

    @pages.get("/now")
    @access(USE_DESK)
    def session_now() -> str:
        """The session on top, which the page's script fetches every few seconds while it is on."""
        programme = versions.current(connection()).programme
        last = live_sessions.last_one(connection(), now(), *our_sessions())
        coming = _coming(programme, 1)
        return show("staff/today_session.html", programme, **_on_top(look, coming, last, _enrolled(coming, last)))

    return pages


def _today(look: Look) -> str:
    programme = versions.current(connection()).programme
    coming, last = _coming(programme, 2 * WEEK), live_sessions.last_one(connection(), now(), *our_sessions())
    enrolled = _enrolled(coming, last)
    kinds = [kind for kind, right in attention.RIGHT_OF.items() if viewer().may(right, reads=True)]
    items = attention.items(connection(), kinds, asked_part())
    # Counts are of all courses together.
    counts = attention.counts(connection(), now()) if viewer().granted else []
    counts = [each for each in counts if may_open(each.where)]
    record_reading(each.about for each in items.part.rows if each.kind == "accommodation")
    days = [day_of(now(), programme.zone) + timedelta(days=number) for number in range(WEEK)]
    return show(
        "staff/today.html",
        programme,
        items=items,
        rows=attention.merged(items, counts),
        total=items.part.total + len(counts),
        may_match=attention.may_match,
        acting=overview.acting(
            connection(), {each.about.proposed_by for each in items.part.rows if each.kind == "correction"}
        ),
        me=viewer(),
        week=[(each, [session for session in coming if session.held_on == each]) for each in days],
        later=[each for each in coming if each.held_on > days[-1]],
        enrolled=enrolled,
        last=last,
        **_on_top(look, coming, last, enrolled),
        funnel=session_numbers.funnel(connection(), last) if last else None,
        scores=settings.score_line(connection()),
        heard_at=health.delivery_times(connection()).last_at,
        rosters_read_at=overview.rosters_read_at(connection()),
        roster_old=ROSTER_OLD,
    )


def _coming(programme: Programme, days: int) -> list[LiveSession]:
    """The sessions of today, over or not, and of the days after it."""
    first_at = datetime.combine(day_of(now(), programme.zone), time.min, ZoneInfo(programme.zone))
    return live_sessions.held_between(connection(), first_at, first_at + timedelta(days=days), *our_sessions())


def _enrolled(coming: Sequence[LiveSession], last: LiveSession | None) -> dict[str, int]:
    following = live_sessions.next_one(connection(), now(), *our_sessions())
    shown = [each for each in (*coming, following, last) if each]
    return admission.enrolled_in(connection(), {each.module_id for each in shown})


def _on_top(
    look: Look, coming: Sequence[LiveSession], last: LiveSession | None, enrolled: Mapping[str, int]
) -> dict[str, Any]:
    """The session on top of the page, and the others that are on, by their names in the template."""
    chosen = _chosen(coming, last)
    return {
        "shown": _shown(look, *chosen, enrolled) if chosen else None,
        "also": [each for each in coming if each.starts_at <= now() < each.ends_at and chosen != ("now", each)],
    }


def _chosen(coming: Sequence[LiveSession], last: LiveSession | None) -> tuple[When, LiveSession] | None:
    """The session that is on, else the next, else the last."""
    for each in coming:
        if each.starts_at <= now() < each.ends_at:
            return "now", each
    following = live_sessions.next_one(connection(), now(), *our_sessions())
    if following:
        return "next", following
    return ("last", last) if last else None


def _shown(look: Look, when: When, session: LiveSession, enrolled: Mapping[str, int]) -> Shown:
    listed = enrolled.get(session.module_id)
    if when == "next" and now() < session.starts_at - AROUND:
        return Shown(when, session, listed, None, (), None, "")
    board, known = look(session)
    numbers = standing_of(board, known)
    away = _away(session, board.those("gone"), numbers.missing, known.names) if when == "now" else ()
    part = next((each.title for each in session.segments if each.starts_at <= now() < each.ends_at), "")
    return Shown(when, session, listed, numbers, away, draw(board, session, known.enrolled or None), part)


def _away(
    session: LiveSession, gone: Sequence[LivePerson], missing: Sequence[Expected], names: Mapping[int, str]
) -> list[Away]:
    """The known people who left, then the learners who have not come."""
    share = _share(connection(), session)

    def away(trainee_id: int, name: str, person: LivePerson | None) -> Away:
        back_by = None if share is None else latest_return(person, session.segments, share, now())
        return Away(trainee_id, name, person.since if person else None, back_by, can_tell=share is not None)

    left = [(each.trainee_id, each) for each in gone]
    return [
        *(away(known, names.get(known, each.name), each) for known, each in left if known is not None),
        *(away(each.id, each.name, None) for each in missing),
    ]


def _share(connection: Connection, session: LiveSession) -> Decimal | None:
    """The share of instruction that completes this session, None where its programme sets none."""
    policy = versions.version(connection, session.programme_version).programme.completion
    return policy.share if policy else None
