"""Joining a live session: one click in a new tab, with the gate evaluated again behind it.

Zoom cannot be shown inside the course page, and a new tab does not get the frame's cookie (it is partitioned). So the
link carries a signed ticket that names the browser session and the live session. It expires with the browser session.
The link in a calendar has a ticket that names the calendar instead; it ends with the live session, or when its owner
makes a new calendar address. No page and no calendar contains a Zoom link. If Zoom registers people, everyone goes to
their personal join link, by which Zoom identifies them. The general link is the second choice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode

from sqlalchemy import Connection

from lti_tool import people
from lti_tool.attendance import calendar_feed
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.errors import AccessDenied
from lti_tool.languages import N_, translated
from lti_tool.signing import SignatureExpired, SignatureWrong, fingerprint, load, sign
from lti_tool.web.session import LIFETIME, Viewer, passes_gate, viewer_of
from zoom_adapter import places

PURPOSE = "join"
# How often the waiting page reloads, once a second, before it offers the general link.
PATIENCE = 8

# Code → why a person has no personal join link, as that person reads it.
REASONS: Mapping[str, str] = {
    "no_address": N_("We don't have your e-mail address, and Zoom makes no personal join link without one."),
    "zoom_host_cannot_register": N_("You are a host of this meeting, and Zoom doesn't register hosts."),
    "zoom_registrants_full": N_("Zoom takes no more registrations for this meeting."),
}
OTHER_REASON = N_("Zoom has not made your personal join link in time. The training team can see this too.")


@dataclass(frozen=True, slots=True)
class Ticket:
    """Who wants to join which session."""

    trainee_id: int
    session_id: int
    is_staff: bool


@dataclass(frozen=True, slots=True)
class Way:
    """Where an admitted person goes: to `url`. Without one, the personal link is being made (`is_coming`), or `why`
    says why there is none."""

    url: str | None = None
    is_coming: bool = False
    why: str = ""


def address(secret: str, viewer: Viewer, session: LiveSession, now: datetime, *, registers: bool) -> str | None:
    """The address of the join link on a page, valid as long as a browser session. None if there is no way to join."""
    if not can_join(session, registers=registers, is_staff=passes_gate(viewer, session.module_id)):
        return None
    payload = {"visit": viewer.visit, "session": session.id}
    return _address(session, sign(secret, PURPOSE, payload, expires_at=now + LIFETIME))


def _address(session: LiveSession, ticket: str) -> str:
    return f"/modules/{quote(session.module_id, safe='')}/join?{urlencode({'session': session.id, 'ticket': ticket})}"


def address_in_calendar(
    secret: str, trainee_id: int, calendar_token: str, session: LiveSession, *, registers: bool
) -> str | None:
    """The address of the join link in this person's calendar. None if there is no way to join."""
    if not can_join(session, registers=registers, is_staff=False):
        return None
    payload = {"trainee": trainee_id, "calendar": fingerprint(calendar_token), "session": session.id}
    return _address(session, sign(secret, PURPOSE, payload, expires_at=session.ends_at + LIFETIME))


def can_join(session: LiveSession, *, registers: bool, is_staff: bool) -> bool:
    """Whether there is any join link. Staff are never registered: they teach with their own Zoom account."""
    return bool(session.join_url) or (registers and not is_staff)


def way_in(
    connection: Connection, ticket: Ticket, session: LiveSession, now: datetime, *, registers: bool, waited: int
) -> Way:
    """The join link of a person whom the gate admits now. A person without a registration gets one before others do.
    `waited` counts how often the waiting page has been shown."""
    if ticket.is_staff or not registers:
        return Way(session.join_url)
    place = places.of(connection, ticket.trainee_id, session.zoom_meeting_id)
    if place is None or not place.is_ready:
        place = places.ask(connection, ticket.trainee_id, session.zoom_meeting_id, session.zoom_kind, now)
    if place.is_ready:
        return Way(place.join_url)
    if not people.trainee(connection, ticket.trainee_id).email:
        return Way(why=translated(REASONS["no_address"]))
    if place.is_put_off(now) or waited >= PATIENCE:
        return Way(why=translated(REASONS.get(place.last_code or "", OTHER_REASON)))
    return Way(is_coming=True)


def read_ticket(connection: Connection, secret: str, ticket: str, module_id: str, now: datetime) -> Ticket:
    """The ticket of a join link to a session of this module. Raises AccessDenied `join_link_wrong`, or
    `join_link_expired` if the ticket or its browser session has expired, its calendar link was replaced, or the
    platform was disabled."""
    again = "Open the page of the module in your course again and join from there."
    expired = AccessDenied("join_link_expired", "This join link has expired.", again)
    try:
        payload = load(secret, PURPOSE, ticket, now=now)
    except SignatureExpired as error:
        raise expired from error
    except SignatureWrong as error:
        raise AccessDenied("join_link_wrong", "This join link is not complete.", again) from error
    if "calendar" in payload:
        trainee_id = payload["trainee"]
        calendar = people.trainee(connection, trainee_id).calendar_digest
        if calendar != payload["calendar"] or not calendar_feed.may_join(connection, trainee_id):
            raise expired
        return Ticket(trainee_id, payload["session"], is_staff=False)
    viewer = viewer_of(connection, payload["visit"], now)
    if viewer is None:
        raise expired
    return Ticket(viewer.trainee_id, payload["session"], passes_gate(viewer, module_id))
