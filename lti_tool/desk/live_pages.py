"""The live board: who is in the class right now. A page for staff that renews its middle part by itself."""

from collections.abc import Callable
from datetime import datetime, timedelta

from flask import Blueprint
from flask import request as http_request
from sqlalchemy import Connection

from lti_tool import publication
from lti_tool.desk.live_standing import Standings
from lti_tool.page import show
from lti_tool.request import connection, house, now
from lti_tool.session import access
from lti_tool.sessions import live_sessions, rooms
from lti_tool.sessions.live_board import LiveBoard
from lti_tool.sessions.live_curve import draw
from lti_tool.sessions.live_sessions import LiveSession

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
        return _page("desk/live.html", session_id)

    @pages.get("/now")
    @access("staff")
    def part(session_id: int) -> str:
        """Its middle part alone, which the page's script asks for every few seconds."""
        return _page("desk/live_now.html", session_id)

    def _page(template: str, session_id: int) -> str:
        session = live_sessions.show(connection(), session_id)
        seen = look(connection(), session, now())
        standing = standings.look(connection(), session, seen, now())
        whole = http_request.args.get("all", "")
        return show(
            template,
            publication.version(connection(), session.programme_version).programme,
            session=session,
            board=seen,
            standing=standing,
            curve=draw(seen, session, standing.enrolled),
            room_labels=rooms.labels(connection(), session_id),
            is_running=session.starts_at <= now() < session.ends_at and session.state != "cancelled",
            quiet_after=timedelta(minutes=house().settings.zoom_quiet_minutes),
            whole=whole if whole in LISTS else "",
            shown=SHOWN,
        )

    return pages
