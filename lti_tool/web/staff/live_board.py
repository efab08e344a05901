"""The live board: who is in the class right now. A page for staff that renews its middle part by itself.

Beside the people of a live board: who of the enrolled is missing, and whose gate is shut.

A gate and a roster change by the minute at most, and to ask for a thousand people costs a tenth of a second, so an
answer serves everybody who looks within some seconds.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Blueprint
from flask import request as http_request
from sqlalchemy import Connection

from lti_tool.attendance import live_sessions
from lti_tool.attendance.live_board import LiveBoard, draw
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.gates import decide
from lti_tool.gates.wording import heading
from lti_tool.programme import versions
from lti_tool.rosters import queries
from lti_tool.rosters.queries import ListedMember, Seen
from lti_tool.web.page import show
from lti_tool.web.request import connection, house, now
from lti_tool.web.session import access
from lti_tool.web.staff import overview
from zoom_adapter import admission

GOOD_FOR = timedelta(seconds=15)
MOST_REMEMBERED = 8
# To say why costs a question of its own for each person.
MOST_REASONS = 25


@dataclass(frozen=True, slots=True)
class Standing:
    """`enrolled`: how many learners the session's courses list, None where no roster is known; `missing`: those who
    have not come; `excused`: how many more have completed the module already; `shut`: trainee id → why the gate is shut
    (maybe empty), for learners who came; `names`: of everybody known who came."""

    enrolled: int | None
    missing: Sequence[ListedMember]
    excused: int
    shut: Mapping[int, str]
    names: Mapping[int, str]


class Standings:
    """The answers of this process. May be used by any number of threads."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[datetime, Standing]] = {}
        self._lock = threading.Lock()

    def look(self, connection: Connection, session: LiveSession, board: LiveBoard, now: datetime) -> Standing:
        """The standing of those who came, as of `now` or some seconds before."""
        with self._lock:
            known = self._held.get(session.id)
        if known is not None and timedelta() <= now - known[0] < GOOD_FOR:
            return known[1]
        found = standing(connection, session, board, now)
        with self._lock:
            self._held[session.id] = now, found
            while len(self._held) > MOST_REMEMBERED:
                del self._held[min(self._held, key=lambda each: self._held[each][0])]
        return found


def standing(connection: Connection, session: LiveSession, board: LiveBoard, now: datetime) -> Standing:
    """The same, asked anew. Gates are asked as they are where people join: by the programme in force."""
    seen = Seen(board.trainee_ids, len(board.unmatched), now)
    courses = queries.of_session(connection, session, seen, now)
    absent = {each.trainee_id: each for course in courses for each in course.missing}
    return Standing(
        enrolled=sum(course.listed for course in courses) if courses else None,
        missing=sorted(absent.values(), key=lambda each: each.shown_name.casefold()),
        excused=sum(len(course.done) for course in courses),
        shut=_shut(connection, session, board.trainee_ids, now),
        names=overview.names(connection, set(board.trainee_ids)),
    )


def _shut(
    connection: Connection, session: LiveSession, trainee_ids: Collection[int], now: datetime
) -> Mapping[int, str]:
    """Learners among these to whom the gate is shut; why is told of the first few."""
    learners = set(trainee_ids) - admission.enrolled(connection, [session], "staff")
    shut = sorted(learners - admission.admits(connection, learners, [session], now))
    published = versions.current(connection)
    why = {}
    for each in shut[:MOST_REASONS]:
        asked = decide.ask(connection, published, each, session.module_id, now, offering_start=session.held_on)
        why[each] = heading(asked, published.programme)
    return dict.fromkeys(shut, "") | why


Look = Callable[[Connection, LiveSession, datetime], LiveBoard]

# A list is cut after so many people, unless the reader asks for the whole of it.
SHOWN = 50
LISTS = ("shut", "waiting", "unmatched", "missing", "gone", "here")


def blueprint(look: Look) -> Blueprint:
    """The board, computed by `look(connection, session, now)`."""
    pages = Blueprint("live", __name__, url_prefix="/desk/sessions/<int:session_id>/live")
    standings = Standings()

    @pages.get("")
    @access("staff")
    def board(session_id: int) -> str:
        """The whole page."""
        return _page("staff/live.html", session_id)

    @pages.get("/now")
    @access("staff")
    def part(session_id: int) -> str:
        """Its middle part alone, which the page's script asks for every few seconds."""
        return _page("staff/live_now.html", session_id)

    def _page(template: str, session_id: int) -> str:
        session = live_sessions.show(connection(), session_id)
        seen = look(connection(), session, now())
        standing = standings.look(connection(), session, seen, now())
        whole = http_request.args.get("all", "")
        return show(
            template,
            versions.version(connection(), session.programme_version).programme,
            session=session,
            board=seen,
            standing=standing,
            curve=draw(seen, session, standing.enrolled),
            room_labels=live_sessions.labels(connection(), session_id),
            is_running=session.starts_at <= now() < session.ends_at and session.state != "cancelled",
            quiet_after=timedelta(minutes=house().settings.zoom_quiet_minutes),
            whole=whole if whole in LISTS else "",
            shown=SHOWN,
        )

    return pages
