"""The calendar a trainee subscribes to: the live sessions to come, those attended, and cancelled ones.

The same records give the same bytes: UID and DTSTAMP come from the session, never from the moment of the request. Times
are UTC instants (RFC 5545, date with UTC time): every calendar program reads them alike and shows them in its own zone.
"""

import secrets
from collections.abc import Callable, Collection, Container
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select, update

from lti_tool import audit
from lti_tool.attendance import live_sessions
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.errors import NotFound
from lti_tool.languages import gettext
from lti_tool.programme.model import Programme
from lti_tool.programme.versions import Published
from lti_tool.signing import fingerprint
from lti_tool.tables.courses import enrolments, placements
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.people import trainees
from lti_tool.tables.platforms import registrations

if TYPE_CHECKING:
    from icalendar import Calendar, Event

# How long a past session stays in the calendars of people who did not attend it.
KEPT = timedelta(days=30)
TOKEN_BYTES = 32


def feed(
    connection: Connection,
    trainee_id: int,
    published: Published,
    now: datetime,
    open_modules: Container[str],
    *,
    host: str = "gatehouse",
    join_address: Callable[[LiveSession], str | None] = lambda _session: None,
) -> bytes:
    """An iCalendar document (RFC 5545) for one person. `host` makes the ids of the events unique in the world.

    Only sessions that have not ended, of modules whose gate is open for the person, have a join link, `join_address`.
    It leads to Gatehouse, which evaluates the gate again; the feed never holds a link of Zoom's. An unpublished module
    appears only with the sessions that the person attended.
    """
    theirs = (attendances.c.trainee_id == trainee_id) & attendances.c.is_current
    attended = set(connection.scalars(select(attendances.c.live_session_id).where(theirs)))
    shown = [
        session
        for session in live_sessions.list_sessions(connection)
        if session.id in attended
        or (session.ends_at > now - KEPT and published.programme.is_published(session.module_id))
    ]
    calendar = _calendar()
    calendar.add("x-wr-calname", published.programme.title)
    for session in shown:
        is_open = session.module_id in open_modules
        link = join_address(session) if is_open and session.ended_at is None else None
        calendar.add_component(_event(session, published.programme, link, host, is_open=is_open))
    return bytes(calendar.to_ical())


def staff_feed(
    connection: Connection,
    published: Published,
    now: datetime,
    *,
    host: str,
    page_address: Callable[[LiveSession], str],
    only: Collection[str] | None = None,
) -> bytes:
    """An iCalendar document with every live session, or those of `only` these modules, for staff: also those of
    unpublished modules.

    An event links to the session's page on the desk, `page_address`, and to no meeting.
    """
    calendar = _calendar()
    calendar.add("x-wr-calname", f"{published.programme.title}: all sessions")
    for session in live_sessions.list_sessions(connection):
        if session.ends_at > now - KEPT and (only is None or session.module_id in only):
            link = page_address(session)
            calendar.add_component(_event(session, published.programme, link, host, is_open=True))
    return bytes(calendar.to_ical())


def taught(connection: Connection, trainee_id: int) -> set[str]:
    """The modules of the courses of active platforms in which this person is staff."""
    query = (
        select(placements.c.module_id)
        .join_from(enrolments, registrations)
        .join(
            placements,
            (placements.c.registration_id == enrolments.c.registration_id)
            & (func.coalesce(placements.c.context_id, "") == enrolments.c.context_id),
        )
        .where(enrolments.c.trainee_id == trainee_id, enrolments.c.role == "staff", registrations.c.status == "active")
    )
    return set(connection.scalars(query.where(placements.c.module_id.is_not(None))))


def one_session(session: LiveSession, programme: Programme, link: str, host: str) -> bytes:
    """An iCalendar document with one session that is open to its reader, the same event as in the feed."""
    calendar = _calendar()
    calendar.add("method", "PUBLISH")
    calendar.add_component(_event(session, programme, link, host, is_open=True))
    return bytes(calendar.to_ical())


def renew_token(connection: Connection, trainee_id: int, actor: str, now: datetime) -> str:
    """Make a new token for the address of this person's feed. The former address and the join links in it stop working.
    Only the digest is stored, so the token can be shown now and never again."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    made = {"calendar_digest": fingerprint(token), "calendar_made_at": now}
    connection.execute(update(trainees).where(trainees.c.id == trainee_id).values(made))
    audit.record(connection, actor=actor, act="calendar_renewed", subject=f"trainee:{trainee_id}", at=now)
    return token


def owner(connection: Connection, token: str) -> int:
    """The person whose feed has this token. Raises NotFound "calendar_unknown"."""
    query = select(trainees.c.id).where(trainees.c.calendar_digest == fingerprint(token))
    trainee_id = connection.scalar(query)
    if trainee_id is None:
        raise unknown_calendar()
    return int(trainee_id)


def unknown_calendar() -> NotFound:
    """The refusal of an address that is no calendar, or no longer one."""
    return NotFound(
        "calendar_unknown",
        "There is no calendar at this address.",
        "Make a new address on the calendar page in your course.",
    )


def may_join(connection: Connection, trainee_id: int) -> bool:
    """Whether an active platform has ever launched or enrolled this person; otherwise the feed has no join links."""
    active = enrolments.c.registration_id == registrations.c.id
    query = select(enrolments.c.trainee_id).where(active, enrolments.c.trainee_id == trainee_id)
    return connection.execute(query.where(registrations.c.status == "active").limit(1)).first() is not None


def _calendar() -> "Calendar":
    """An empty calendar. Its library takes 4 MB in each process, so it is loaded with the first calendar."""
    from icalendar import Calendar  # noqa: PLC0415

    calendar = Calendar()
    calendar.add("prodid", "-//Gatehouse//Live sessions//EN")
    calendar.add("version", "2.0")
    return calendar


def _event(session: LiveSession, programme: Programme, link: str | None, host: str, *, is_open: bool) -> "Event":
    from icalendar import Event  # noqa: PLC0415

    title = programme.offering_title(session.module_id) + (f" ({session.note})" if session.note else "")
    is_cancelled = session.state == "cancelled"
    event = Event()
    event.add("uid", f"session-{session.id}@{host}")
    event.add("dtstamp", session.updated_at)
    event.add("sequence", session.calendar_sequence)
    event.add("dtstart", session.starts_at)
    event.add("dtend", session.ends_at)
    # Some calendar programs show the title alone, so it says what STATUS says.
    event.add("summary", gettext("Cancelled: %(title)s", title=title) if is_cancelled else title)
    event.add("status", "CANCELLED" if is_cancelled else "CONFIRMED")
    if is_cancelled:
        event.add("description", gettext("This live session is cancelled."))
    elif is_open:
        event.add("description", gettext("This session is live and is not recorded."))
    else:
        not_yet = gettext("This live session is not open for you yet. Once it is, you find the join link here.")
        event.add("description", not_yet)
    if link and not is_cancelled:
        event.add("location", link)
        event.add("url", link)
    return event
