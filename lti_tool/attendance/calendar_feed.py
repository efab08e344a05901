"""The calendar a trainee subscribes to: every live session to come, those attended, and what was called off.

The same records give the same bytes: UID and DTSTAMP come from the session, never from the moment of asking.
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

# How long a session stays in the calendars of people who were not there.
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

    The join link stands only in sessions of modules whose gate is open for the person: the person's own at Zoom
    (`own_links` by meeting id), else the general one. Of a module that is not published, only what the person attended
    is in it.
    """
    attended = _attended(connection, trainee_id)
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
    for zone in sorted({session.zone for session in shown} or {published.programme.zone}):
        calendar.add_component(_timezone(zone, shown))
    for session in shown:
        link = own_links.get(session.zoom_meeting_id) or session.join_url
        is_open = session.module_id in open_modules
        calendar.add_component(_event(session, published.programme, link if is_open else None, host, is_open=is_open))
    return bytes(calendar.to_ical())


def may_join(connection: Connection, trainee_id: int) -> bool:
    """Whether a platform that is still active ever sent this person; else the feed goes on without join links."""
    active = enrolments.c.registration_id == registrations.c.id
    query = select(enrolments.c.trainee_id).where(active, enrolments.c.trainee_id == trainee_id)
    return connection.execute(query.where(registrations.c.status == "active").limit(1)).first() is not None


def _attended(connection: Connection, trainee_id: int) -> set[int]:
    query = select(attendances.c.live_session_id).where(
        attendances.c.trainee_id == trainee_id, attendances.c.is_current
    )
    return set(connection.execute(query).scalars())


def _timezone(zone: str, shown: list[LiveSession]) -> Timezone:
    """The rules of a zone for the years that the calendar speaks of."""
    years = [session.held_on.year for session in shown] or [2000]
    first, last = date(min(years) - 1, 1, 1), date(max(years) + 2, 1, 1)
    return Timezone.from_tzid(zone, first_date=first, last_date=last)


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
    event.add("description", _description(session, is_open))
    if link and session.state != "cancelled":
        event.add("location", link)
    return event


def _description(session: LiveSession, is_open: bool) -> str:
    if session.state == "cancelled":
        return "This live session is cancelled."
    if not is_open:
        return "This live session is not open for you yet. Once it is, the link to join stands here."
    return "This session is live and is not recorded."
