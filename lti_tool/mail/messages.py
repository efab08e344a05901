"""Messages as people read them: written when they are sent, from templates and from what is true at that moment.

A message whose occasion is over is not written at all: a session that was moved again or cancelled, a request that was
decided meanwhile, a gate that is closed for this person, a choice not to receive it. A message holds no text of a
request, no Zoom link and no link that signs anyone in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache
from types import SimpleNamespace
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from sqlalchemy import Connection, Row, func, select

from lti_tool import languages, people, times
from lti_tool.attendance import accommodations, calendar_feed, live_sessions
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.errors import BadInput
from lti_tool.gates import decide, equivalency
from lti_tool.gates.wording import name_of
from lti_tool.outbox import preferences
from lti_tool.outbox.preferences import Choice
from lti_tool.programme import versions
from lti_tool.programme.versions import Published
from lti_tool.settings import Settings
from lti_tool.tables.courses import enrolments, placements
from lti_tool.tables.platforms import registrations
from lti_tool.times import machine

# Kind → the choice that turns it off. Other kinds are always sent.
CHOICES: dict[str, Choice] = {
    "session_scheduled": "schedule_changes",
    "session_moved": "schedule_changes",
    "session_cancelled": "schedule_changes",
    "session_reminder": "reminders",
    "digest": "digest",
}
# Kind → the state in which a request must still be.
REQUEST_STATES = {
    "equivalency_received": "submitted",
    "equivalency_question": "more_info",
    "equivalency_approved": "approved",
    "equivalency_declined": "declined",
}
# Platforms whose issuer is the address at which people open their courses.
ISSUER_IS_HOME = ("openedx", "moodle")


class NeedsAttention(Protocol):
    """One line of the digest: how many need attention, and since when the oldest does."""

    @property
    def says(self) -> str: ...
    @property
    def count(self) -> int: ...
    @property
    def oldest_at(self) -> datetime | None: ...


Attention = Callable[[Connection, datetime], Sequence[NeedsAttention]]


def total_of(lines: Sequence[NeedsAttention]) -> int:
    """How many things need attention, as the digest and the front page of the desk say."""
    return sum(each.count for each in lines)


@dataclass(frozen=True, slots=True)
class Course:
    """Where a person opens the course: its title and the platform's address, as far as they are known."""

    title: str | None
    address: str | None


def compose(
    connection: Connection, settings: Settings, row: Row[Any], now: datetime, attention: Attention
) -> EmailMessage | None:
    """The message of one row of the outbox as of now, in the person's language; None if it is no longer due. The
    digest is in English, as the desk is.

    Raises BadInput "no_address" if the person's platform shares no e-mail address that a message can go to.
    """
    known = None if row.kind == "digest" else people.language_of(connection, row.trainee_id)
    with languages.written_in(known or languages.ENGLISH):
        return _compose(connection, settings, row, now, attention)


def _compose(
    connection: Connection, settings: Settings, row: Row[Any], now: datetime, attention: Attention
) -> EmailMessage | None:
    published = versions.current(connection)
    choice = CHOICES.get(row.kind)
    if choice and not getattr(preferences.of(connection, row.trainee_id), choice):
        return None
    if row.kind in REQUEST_STATES:
        about = _about_request(connection, published, row)
    elif row.kind == "accommodation_answered":
        about = _about_accommodation(connection, row)
    elif row.kind == "digest":
        about = _about_desk(connection, now, attention)
    else:
        about = _about_session(connection, published, row, now)
    if about is None:
        return None
    person = people.trainee(connection, row.trainee_id)
    link = (
        f"{settings.public_url}{preferences.unsubscribe_path(settings.secret_key, row.trainee_id, choice, now)}"
        if choice
        else None
    )
    contact = published.programme.contact("training")
    shared = {
        "programme": published.programme,
        "zone": published.programme.zone,
        "now": now,
        "course": _course(connection, row.trainee_id, about.get("module_id")),
        "name": person.name,
        "contact": contact,
        "unsubscribe": link,
        "choice": choice,
    }
    message = _envelope(settings, published.programme.title, person.email, contact)
    message["Message-ID"] = f"<outbox-{row.id}@{_host(settings)}>"
    message["Date"] = now
    if link:
        message["List-Unsubscribe"] = f"<{link}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    _write(message, row.kind, shared | about)
    if "session" in about:
        _attach_event(message, settings, published, about["session"])
    return message


def _envelope(settings: Settings, title: str, address: str | None, contact: str | None) -> EmailMessage:
    """The headers that every message has. Our mail server is asked to take ASCII addresses only."""
    message = EmailMessage(policy=SMTP)
    try:
        if not (address and address.isascii()):
            raise ValueError("no address in ASCII")
        message["To"] = Address(addr_spec=address)
    except (ValueError, HeaderParseError, IndexError) as error:
        raise BadInput("no_address", "There is no address that a message can go to.") from error
    message["From"] = Address(title, addr_spec=settings.mail_from or "")
    if contact:
        message["Reply-To"] = contact
    message["Auto-Submitted"] = "auto-generated"
    return message


def _write(message: EmailMessage, kind: str, values: dict[str, Any]) -> None:
    """The subject and both forms of the text. A template's first line is the subject; an empty line ends a
    paragraph."""
    subject, _, body = templates().get_template(f"mail/{kind}.txt").render(values).strip().partition("\n")
    paragraphs = [each.strip().splitlines() for each in body.split("\n\n") if each.strip()]
    message["Subject"] = " ".join(subject.split())
    values = values | {"subject": subject, "paragraphs": paragraphs}
    message.set_content(templates().get_template("mail/message.txt").render(values))
    message.add_alternative(templates().get_template("mail/message.html").render(values), subtype="html")


def _attach_event(message: EmailMessage, settings: Settings, published: Published, session: LiveSession) -> None:
    """The session for a calendar. Its link leads to the page that asks the gate."""
    path = f"/modules/{quote(session.module_id, safe='')}/join?session={session.id}"
    event = calendar_feed.one_session(session, published.programme, f"{settings.public_url}{path}", _host(settings))
    message.add_attachment(
        event,
        maintype="text",
        subtype="calendar",
        filename="session.ics",
        params={"method": "PUBLISH", "charset": "utf-8"},
    )


def _host(settings: Settings) -> str:
    return urlsplit(settings.public_url).hostname or "gatehouse"


def _about_request(connection: Connection, published: Published, row: Row[Any]) -> dict[str, Any] | None:
    request = equivalency.load(connection, row.subject_id)
    if request.state != REQUEST_STATES[row.kind]:
        return None
    return {"title": name_of(published.programme, request.target)}


def _about_accommodation(connection: Connection, row: Row[Any]) -> dict[str, Any] | None:
    request = accommodations.REQUESTS.show(connection, row.subject_id)
    return {"module_id": request.module_id} if request.state == "answered" else None


def _about_desk(connection: Connection, now: datetime, attention: Attention) -> dict[str, Any] | None:
    lines = attention(connection, now)
    return {"lines": lines, "total": total_of(lines)} if lines else None


def _about_session(connection: Connection, published: Published, row: Row[Any], now: datetime) -> dict[str, Any] | None:
    """A session that is still as the message says, and whose gate is open for this person."""
    session = live_sessions.show(connection, row.subject_id)
    state = "cancelled" if row.kind == "session_cancelled" else "scheduled"
    is_so = session.state == state and row.occasion.startswith(machine(session.starts_at))
    if not (is_so and session.starts_at > now and published.programme.is_published(session.module_id)):
        return None
    if not decide.ask(
        connection, published, row.trainee_id, session.module_id, now, offering_start=session.held_on
    ).open:
        return None
    return {
        "session": session,
        "module_id": session.module_id,
        "title": published.programme.offering_title(session.module_id),
        "zone": session.zone,
        "day": times.day_of(session.starts_at, session.zone),
    }


def _course(connection: Connection, trainee_id: int, module_id: str | None) -> Course:
    """The course that this person opened last, first one with a unit of the module."""
    same = (placements.c.registration_id == enrolments.c.registration_id) & (
        func.coalesce(placements.c.context_id, "") == enrolments.c.context_id
    )
    query = (
        select(placements.c.context_title, registrations.c.issuer, registrations.c.profile)
        .select_from(enrolments)
        .join(registrations, registrations.c.id == enrolments.c.registration_id)
        .outerjoin(placements, same)
        .where(enrolments.c.trainee_id == trainee_id, registrations.c.status == "active")
        .order_by(
            (func.coalesce(placements.c.module_id, "") == (module_id or "")).desc(),
            func.coalesce(enrolments.c.last_launch_at, enrolments.c.listed_at).desc(),
            placements.c.id,
        )
    )
    found = connection.execute(query.limit(1)).first()
    if found is None:
        return Course(None, None)
    is_home = found.profile in ISSUER_IS_HOME and found.issuer.startswith(("https://", "http://"))
    return Course(found.context_title, found.issuer if is_home else None)


@cache
def templates() -> Environment:
    """The templates with the words for times. HTML is escaped, plain text is not."""
    environment = Environment(
        loader=PackageLoader("lti_tool"),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    application = SimpleNamespace(jinja_env=environment)
    languages.register(application)
    times.register(application)
    return environment
