"""The way into a live session: one click, in a new tab, with the gate asked again behind it.

Zoom cannot be shown inside the course page, and a new tab does not get the frame's cookie (it is partitioned). So the
link carries a signed ticket that names the visit and the session, and nothing else; it ends with the visit. The Zoom
link itself is never in a page. Where Zoom registers people, everybody is sent to the own join link, by which Zoom says
who is who; the general link of the session is the second best.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode

from sqlalchemy import Connection

from lti_tool import people
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.errors import AccessDenied
from lti_tool.signing import SignatureExpired, SignatureWrong, load, sign
from lti_tool.web.session import LIFETIME, Viewer, viewer_of
from zoom_adapter import places

PURPOSE = "join"
# How often the page of waiting comes again, once a second, before the general link is offered.
PATIENCE = 8

# Why somebody has no link of the own, said to that person.
REASONS: Mapping[str, str] = {
    "no_address": "We know no e-mail address of yours, and Zoom makes no link of your own without one.",
    "zoom_host_cannot_register": "You are a host of this meeting, and Zoom registers no host.",
    "zoom_registrants_full": "Zoom takes no more registrations for this meeting.",
}
OTHERWISE = "Zoom has not made a link of your own in time. The training team can see this too."


@dataclass(frozen=True, slots=True)
class Ticket:
    """Who asks to join which session."""

    trainee_id: int
    session_id: int
    is_staff: bool

    @property
    def actor(self) -> str:
        return f"{'staff' if self.is_staff else 'trainee'}:{self.trainee_id}"


@dataclass(frozen=True, slots=True)
class Way:
    """Where somebody goes whom the gate lets in: to `url`; without one the person waits a moment for the own link
    (`is_coming`), or has none, for the reason in `why`."""

    url: str | None = None
    is_coming: bool = False
    why: str = ""


def address(secret: str, viewer: Viewer, session: LiveSession, now: datetime, *, registers: bool) -> str | None:
    """The address of the join link on a page, valid as long as a visit; None while nobody can join by it: there is no
    general link, and Zoom does not register the viewer."""
    if not can_join(session, registers=registers, is_staff=viewer.is_staff):
        return None
    payload = {"visit": viewer.visit, "session": session.id}
    ticket = sign(secret, PURPOSE, payload, expires_at=now + LIFETIME)
    return f"/modules/{quote(session.module_id, safe='')}/join?{urlencode({'session': session.id, 'ticket': ticket})}"


def can_join(session: LiveSession, *, registers: bool, is_staff: bool) -> bool:
    """Whether there is a way in at all. Staff are never registered: they teach with their own Zoom account."""
    return bool(session.join_url) or (registers and not is_staff)


def way_in(
    connection: Connection, ticket: Ticket, session: LiveSession, now: datetime, *, registers: bool, waited: int
) -> Way:
    """The way of somebody whom the gate lets in now. Whoever has no place yet gets one before others; `waited` says how
    often the page of waiting has been shown already."""
    if ticket.is_staff or not registers:
        return Way(session.join_url)
    place = places.of(connection, ticket.trainee_id, session.zoom_meeting_id)
    if place is None or not place.is_ready:
        place = places.ask(connection, ticket.trainee_id, session.zoom_meeting_id, session.zoom_kind, now)
    if place.is_ready:
        return Way(place.join_url)
    if not people.trainee(connection, ticket.trainee_id).email:
        return Way(why=REASONS["no_address"])
    if place.is_put_off(now) or waited >= PATIENCE:
        return Way(why=REASONS.get(place.last_code or "", OTHERWISE))
    return Way(is_coming=True)


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
