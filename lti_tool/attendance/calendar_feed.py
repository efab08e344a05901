"""The calendar a trainee subscribes to: the live sessions to come, those attended, and cancelled ones.

The same records give the same bytes: UID and DTSTAMP come from the session, never from the moment of the request.
"""

from collections.abc import Container, Mapping
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, Timezone
from sqlalchemy import Connection, select

from lti_tool.attendance import live_sessions
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.programme.model import Programme
from lti_tool.programme.versions import Published
from lti_tool.tables.courses import enrolments
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.platforms import registrations

# How long a past session stays in the calendars of people who did not attend it.
KEPT = timedelta(days=30)
NO_LINKS: Mapping[str, str] = {}


def feed(
    connection: Connection,
    trainee_id: int,
    published: Published,
    now: datetime,
    open_modules: Container[str],
    *,
    host: str = "gatehouse",
    own_links: Mapping[str, str] = NO_LINKS,
) -> bytes:
    """An iCalendar document (RFC 5545) for one person. `host` makes the ids of the events unique in the world.

    Only sessions of modules whose gate is open for the person have a join link: the person's own (`own_links` by
    meeting id), else the general one. An unpublished module appears only with the sessions that the person attended.
    """
    theirs = (attendances.c.trainee_id == trainee_id) & attendances.c.is_current
    attended = set(connection.scalars(select(attendances.c.live_session_id).where(theirs)))
    shown = [
        session
        for session in live_sessions.list_sessions(connection)
        if session.id in attended
        or (session.ends_at > now - KEPT and published.programme.is_published(session.module_id))
    ]
    calendar = Calendar()
    calendar.add("prodid", "-//Gatehouse//Live sessions//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", published.programme.title)
    years = [session.held_on.year for session in shown] or [2000]
    first, last = date(min(years) - 1, 1, 1), date(max(years) + 2, 1, 1)
    for zone in sorted({session.zone for session in shown} or {published.programme.zone}):
        calendar.add_component(Timezone.from_tzid(zone, first_date=first, last_date=last))
    for session in shown:
        link = own_links.get(session.zoom_meeting_id) or session.join_url
        is_open = session.module_id in open_modules
        calendar.add_component(_event(session, published.programme, link if is_open else None, host, is_open=is_open))
    return bytes(calendar.to_ical())


def may_join(connection: Connection, trainee_id: int) -> bool:
    """Whether an active platform has ever launched or enrolled this person; otherwise the feed has no join links."""
    active = enrolments.c.registration_id == registrations.c.id
    query = select(enrolments.c.trainee_id).where(active, enrolments.c.trainee_id == trainee_id)
    return connection.execute(query.where(registrations.c.status == "active").limit(1)).first() is not None


def _event(session: LiveSession, programme: Programme, link: str | None, host: str, *, is_open: bool) -> Event:
    zone = ZoneInfo(session.zone)
    event = Event()
    event.add("uid", f"session-{session.id}@{host}")
    event.add("dtstamp", session.updated_at)
    event.add("sequence", session.calendar_sequence)
    event.add("dtstart", session.starts_at.astimezone(zone))
    event.add("dtend", session.ends_at.astimezone(zone))
    event.add("summary", programme.offering_title(session.module_id))
    event.add("status", "CANCELLED" if session.state == "cancelled" else "CONFIRMED")
    if session.state == "cancelled":
        event.add("description", "This live session is cancelled.")
    elif is_open:
        event.add("description", "This session is live and is not recorded.")
    else:
        event.add("description", "This live session is not open for you yet. Once it is, you find the join link here.")
    if link and session.state != "cancelled":
        event.add("location", link)
    return event
