"""The live board: who is in the session right now. Its middle part is fetched again every few seconds.

Gates and rosters change by the minute at most, and evaluating a thousand people takes a tenth of a second. So one
answer serves every reader for some seconds.
"""

import threading
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from flask import Blueprint
from flask import request as http_request
from sqlalchemy import Connection, select

from lti_tool.attendance import live_sessions
from lti_tool.attendance.live_board import LiveBoard, draw
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.settlement import LAST_WORD
from lti_tool.gates import decide
from lti_tool.gates.wording import staff_reason
from lti_tool.programme import versions
from lti_tool.rights import SEE_CLASSES
from lti_tool.rosters import queries
from lti_tool.tables.people import trainees
from lti_tool.web.page import show
from lti_tool.web.request import connection, context, now
from lti_tool.web.session import access, our_people
from lti_tool.web.staff import overview, session_numbers

FRESH_FOR = timedelta(seconds=15)
MAX_REMEMBERED_SESSIONS = 8
# A reason costs one evaluation per person.
MAX_REASONS = 25
# A list is cut after so many people, unless the reader asks for all of them.
PEOPLE_SHOWN = 50
LISTS = ("shut", "waiting", "unmatched", "missing", "gone", "here")

BoardOf = Callable[[Connection, LiveSession, datetime], LiveBoard]


class Expected(NamedTuple):
    """An enrolled person whose gate is open and who has not completed the module yet."""

    id: int
    name: str
    email: str | None


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The session's enrolled people.

    `enrolled` is how many there are. `expected` lists them by name but for those `excused`, who have completed the
    module already, and those `locked`, whose gate is shut. `staff` teach or assist, and are on the board in no list.
    `shut` maps a trainee to the reason why their gate is shut (possibly ""), for learners who came. `names` holds every
    known person who came or may come. `has_roster`: some course with this module lists its people, so that those who
    never opened it are known too.
    """

    enrolled: int
    expected: Sequence[Expected]
    excused: Set[int]
    locked: Set[int]
    staff: Set[int]
    shut: Mapping[int, str]
    names: Mapping[int, str]
    has_roster: bool

    def only(self, trainee_ids: Set[int]) -> "Enrolled":
        """The same of these people and no one else."""
        expected = [each for each in self.expected if each.id in trainee_ids]
        excused, locked = self.excused & trainee_ids, self.locked & trainee_ids
        return replace(
            self,
            enrolled=len(expected) + len(excused) + len(locked),
            expected=expected,
            excused=excused,
            locked=locked,
            shut={each: why for each, why in self.shut.items() if each in trainee_ids},
            names={each: name for each, name in self.names.items() if each in trainee_ids},
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the enrolled people of a session are; each of them is counted once, so the six numbers add up to
    `enrolled`. Of those who have not come, `missing` are expected, `excused` completed the module before, and
    `locked` have a shut gate. Beside them `guests` are in Zoom now without being enrolled, and `unmatched` came, and
    may be enrolled or not."""

    enrolled: int
    here: int
    waiting: int
    left: int
    missing: Sequence[Expected]
    excused: int
    locked: int
    guests: int
    unmatched: int


def standing_of(board: LiveBoard, known: Enrolled) -> Standing:
    """The numbers of every page that shows a session while it is on; the board is without staff."""
    enrolled = {each.id for each in known.expected} | known.excused | known.locked
    here, waiting, left = (
        {each.trainee_id for each in board.those(where) if each.trainee_id is not None}
        for where in ("here", "waiting", "gone")
    )
    return Standing(
        enrolled=known.enrolled,
        here=len(here & enrolled),
        waiting=len((waiting & enrolled) - here),
        left=len((left & enrolled) - here - waiting),
        missing=[each for each in known.expected if each.id not in board.trainee_ids],
        excused=len(known.excused - board.trainee_ids),
        locked=len(known.locked - board.trainee_ids),
        guests=len(here - enrolled),
        unmatched=len(board.unmatched),
    )


class EnrolledCache:
    """The latest answers of this process, one per session. May be used by any number of threads."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[datetime, Enrolled]] = {}
        self._lock = threading.Lock()

    def load(self, connection: Connection, session: LiveSession, board: LiveBoard, now: datetime) -> Enrolled:
        """The enrolled people as of `now` or some seconds earlier, with the names of all who came."""
        with self._lock:
            known = self._held.get(session.id)
        is_fresh = known is not None and timedelta() <= now - known[0] < FRESH_FOR
        if known is not None and is_fresh and board.trainee_ids <= known[1].names.keys():
            return known[1]
        found = load_enrolled(connection, session, board, now)
        with self._lock:
            self._held[session.id] = now, found
            while len(self._held) > MAX_REMEMBERED_SESSIONS:
                del self._held[min(self._held, key=lambda each: self._held[each][0])]
        return found


def load_enrolled(connection: Connection, session: LiveSession, board: LiveBoard, now: datetime) -> Enrolled:
    """The enrolled people as of `now`."""
    staff = session_numbers.teachers(connection, session)
    learners = set(board.trainee_ids) - staff
    those = session_numbers.needing(connection, session, now, learners)
    of_expected = trainees.c.id.in_(those.expected)
    found = connection.execute(select(trainees.c.id, trainees.c.name, trainees.c.email).where(of_expected))
    expected = [Expected(row.id, row.name or f"Person {row.id}", row.email) for row in found]
    shut = sorted(learners - those.admitted)
    published = versions.current(connection)
    reasons = dict.fromkeys(shut, "")
    for each in shut[:MAX_REASONS]:
        decision = decide.ask(connection, published, each, session.module_id, now, offering_start=session.held_on)
        reasons[each] = staff_reason(decision, published.programme)
    return Enrolled(
        enrolled=len(those.expected) + len(those.excused) + len(those.locked),
        expected=sorted(expected, key=lambda each: each.name.casefold()),
        excused=those.excused,
        locked=those.locked,
        staff=staff,
        shut=reasons,
        names=overview.names(connection, {*board.trainee_ids, *(each.id for each in expected)}),
        has_roster=queries.has_roster(connection, session.module_id),
    )


def blueprint(board_of: BoardOf) -> Blueprint:
    """The board's pages; `board_of(connection, session, now)` computes the board."""
    pages = Blueprint("live", __name__, url_prefix="/desk/sessions/<int:session_id>/live")
    cache = EnrolledCache()

    @pages.get("")
    @access(SEE_CLASSES)
    def whole_page(session_id: int) -> str:
        """The whole page."""
        return render("staff/live.html", session_id)

    @pages.get("/now")
    @access(SEE_CLASSES)
    def middle_part(session_id: int) -> str:
        """The middle part, which the page's script fetches every few seconds."""
        return render("staff/live_now.html", session_id)

    def render(template: str, session_id: int) -> str:
        session = live_sessions.show(connection(), session_id)
        board = board_of(connection(), session, now())
        enrolled = cache.load(connection(), session, board, now())
        board = board.without_staff(enrolled.staff)
        if (ours := our_people()) is not None:
            board, enrolled = board.only(ours), enrolled.only(ours)
        whole = http_request.args.get("all", "")
        return show(
            template,
            versions.version(connection(), session.programme_version).programme,
            session=session,
            board=board,
            standing=enrolled,
            numbers=standing_of(board, enrolled),
            curve=draw(board, session, enrolled.enrolled or None),
            room_labels=live_sessions.labels(connection(), session_id),
            is_running=session.starts_at <= now() < session.ends_at and session.state != "cancelled",
            renews=now() < session.ends_at + LAST_WORD,
            quiet_after=timedelta(minutes=context().settings.zoom_quiet_minutes),
            whole=whole if whole in LISTS else "",
            shown=PEOPLE_SHOWN,
        )

    return pages
