"""The way into a live session: one click, in a new tab, with the gate asked again behind it.

Zoom cannot be shown inside the course page, and a new tab does not get the frame's cookie (it is partitioned). So the
link carries a signed ticket that names the visit and the session, and nothing else; it ends with the visit. The Zoom
link itself is never in a page.
"""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode

from sqlalchemy import Connection

from lti_tool.errors import AccessDenied
from lti_tool.session import LIFETIME, Viewer, viewer_of
from lti_tool.sessions.live_sessions import LiveSession
from lti_tool.signing import SignatureExpired, SignatureWrong, load, sign

PURPOSE = "join"


@dataclass(frozen=True, slots=True)
class Ticket:
    """Who asks to join which session."""

    trainee_id: int
    session_id: int
    is_staff: bool

    @property
    def actor(self) -> str:
        return f"{'staff' if self.is_staff else 'trainee'}:{self.trainee_id}"


def address(secret: str, viewer: Viewer, session: LiveSession, now: datetime) -> str | None:
    """The address of the join link on a page, valid as long as a visit; None while the session has no Zoom link."""
    if not session.join_url:
        return None
    payload = {"visit": viewer.visit, "session": session.id}
    ticket = sign(secret, PURPOSE, payload, expires_at=now + LIFETIME)
    return f"/modules/{quote(session.module_id, safe='')}/join?{urlencode({'session': session.id, 'ticket': ticket})}"


def read_ticket(connection: Connection, secret: str, ticket: str, now: datetime) -> Ticket:
    """The ticket of a join link. Raises AccessDenied `join_link_expired`, also when the visit that it was made in is
    over or its platform was disabled, or `join_link_wrong`."""
    again = "Open the page of the module in your course again and join from there."
    try:
        payload = load(secret, PURPOSE, ticket, now=now)
    except SignatureExpired as error:
        raise _expired(again) from error
    except SignatureWrong as error:
        raise AccessDenied("join_link_wrong", "This join link is not complete.", again) from error
    viewer = viewer_of(connection, payload["visit"], now)
    if viewer is None:
        raise _expired(again)
    return Ticket(viewer.trainee_id, payload["session"], viewer.is_staff)


def _expired(again: str) -> AccessDenied:
    return AccessDenied("join_link_expired", "This join link is too old.", again)
