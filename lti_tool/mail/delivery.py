"""Messages on their way: taken from the outbox by lease, handed to the mail server, and recorded (RFC 5321).

An address that the server refuses for good (5xx) is recorded and not tried again. Everything else is tried again with
longer and longer pauses until the message is of no use any more. At least once: a worker that dies between the server's
answer and its record sends the message again, under the same Message-ID.
"""

import logging
import smtplib
import ssl
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import Connection, Row, delete, func, select, update

from lti_tool.context import AppContext
from lti_tool.db import Database
from lti_tool.errors import BadInput, GatehouseError, NotFound
from lti_tool.leases import Lease, LeaseKeeper, claim_rows, is_held
from lti_tool.mail import messages
from lti_tool.mail.messages import Attention
from lti_tool.outbox import occasions
from lti_tool.programme import versions
from lti_tool.settings import SmtpServer
from lti_tool.tables.mail import outbox
from lti_tool.tables.people import trainees
from lti_tool.tasks import backoff
from lti_tool.times import zone_of

log = logging.getLogger(__name__)

# How many messages go over one connection.
MESSAGES_PER_CONNECTION = 50
# Seconds to wait for an answer of the mail server.
ANSWER_SECONDS = 30
# The digest is sent from the first of these hours on, in the programme's zone, and not after the second.
MORNING = (7, 12)
# How long a message that staff try again is tried.
TRIED_AGAIN_FOR = timedelta(days=1)
KEPT = timedelta(days=180)
REFUSED = ("refused", "gave_up")


class Outcome(NamedTuple):
    """What became of one message, and what the mail server answered."""

    state: str
    answer: str | None


class MailSender:
    """Sends what is due. `claim` and `do` are made for a `JobPool`."""

    def __init__(self, context: AppContext, attention: Attention) -> None:
        self._settings = context.settings
        self._database = context.database
        self._clock = context.clock
        self._attention = attention
        self._leases = LeaseKeeper(context.database, context.clock)

    def claim(self, _limit: int) -> list[Lease]:
        """Take some messages whose time has come, as one job."""
        now = self._clock()
        due = (outbox.c.state == "waiting", outbox.c.next_at <= now, ~is_held(outbox, now))
        query = select(outbox.c.id).where(*due).order_by(outbox.c.next_at, outbox.c.id).limit(MESSAGES_PER_CONNECTION)
        with self._database.read() as connection:
            ids = connection.scalars(query).all()
        if not ids:
            return []
        with self._database.write() as connection:
            lease = claim_rows(connection, outbox, outbox.c.id.in_(ids), self._settings.lease, now, *due)
        return [lease] if lease else []

    def do(self, lease: Lease) -> None:
        """Send these messages over one connection. If the server is away, all that are left wait."""
        with self._leases.keep(lease):
            with self._database.read() as connection:
                rows = deque(connection.execute(select(outbox).where(lease.ours).order_by(outbox.c.id)).all())
            try:
                with self._connected() as server:
                    while rows:
                        self._record(lease, rows[0], self._send(server, rows[0]))
                        rows.popleft()
            except (OSError, smtplib.SMTPException) as error:
                answer = answer_of(error)
                log.warning("the mail server takes nothing", extra={"error": answer, "count": len(rows)})
                for row in rows:
                    self._record(lease, row, Outcome("waiting", answer))

    def _send(self, server: smtplib.SMTP, row: Row[Any]) -> Outcome:
        """Send one message. Raises what concerns the server and not this message."""
        if row.send_before <= self._clock():
            return Outcome("waiting", row.last_answer)
        try:
            with self._database.read() as connection:
                message = messages.compose(connection, self._settings, row, self._clock(), self._attention)
        except BadInput as refusal:
            return Outcome("refused", refusal.code)
        except Exception as error:
            code = error.code if isinstance(error, GatehouseError) else type(error).__name__
            log.error("a message could not be written", extra={"kind": row.kind, "error": code})
            return Outcome("waiting", code[:64])
        if message is None:
            return Outcome("dropped", None)
        try:
            server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            return _refused(next(iter(error.recipients.values()))[0])
        except smtplib.SMTPDataError as error:
            return _refused(error.smtp_code)
        return Outcome("sent", "250")

    def _record(self, lease: Lease, row: Row[Any], outcome: Outcome) -> None:
        now, attempts = self._clock(), row.attempts + 1
        values: dict[str, Any] = {"state": outcome.state, "last_answer": outcome.answer, "ended_at": now}
        if outcome.state == "waiting" and row.send_before > now:
            values |= {"ended_at": None, "next_at": now + backoff(attempts)}
        elif outcome.state == "waiting":
            values["state"] = "gave_up" if outcome.answer else "dropped"
        with self._database.write() as connection:
            lease.finish(connection, values | {"attempts": attempts}, outbox.c.id == row.id)

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        """A connection to the mail server, encrypted and signed in where the settings say so."""
        server = self._settings.smtp_url
        assert server is not None
        name = urlsplit(self._settings.public_url).hostname
        with _open(server, name) as smtp:
            if server.needs_tls and not server.is_smtps:
                smtp.starttls(context=ssl.create_default_context())
            if server.user is not None and server.password is not None:
                smtp.login(server.user, server.password)
            yield smtp


def _open(server: SmtpServer, name: str | None) -> smtplib.SMTP:
    given: Mapping[str, Any] = {"local_hostname": name, "timeout": ANSWER_SECONDS}
    if server.is_smtps:
        return smtplib.SMTP_SSL(server.host, server.port, context=ssl.create_default_context(), **given)
    return smtplib.SMTP(server.host, server.port, **given)


def _refused(code: int) -> Outcome:
    return Outcome("refused" if code >= 500 else "waiting", str(code))


def answer_of(error: Exception) -> str:
    """The server's status code, or what kept it from answering; never its words, which may repeat an address."""
    if isinstance(error, smtplib.SMTPResponseException):
        return str(error.smtp_code)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return "smtp_not_supported"
    return "smtp_tls_failed" if isinstance(error, ssl.SSLError) else "smtp_no_answer"


def plan(database: Database, now: datetime) -> bool:
    """Periodic job: record the reminders that are due, and the digest in the morning. Returns False: there is never
    more to do at once."""
    with database.write() as connection:
        occasions.remind(connection, now)
        try:
            zone = versions.current(connection).programme.zone
        except NotFound:
            return False
        there = now.astimezone(zone_of(zone))
        if MORNING[0] <= there.hour < MORNING[1]:
            occasions.digest_due(connection, there.date(), now)
    return False


def forget_old(connection: Connection, now: datetime) -> None:
    """Delete messages that ended long ago. While e-mail is off, end those that are of no use any more: they were never
    tried."""
    overdue = (outbox.c.state == "waiting", outbox.c.send_before <= now, outbox.c.last_answer.is_(None))
    dropped = update(outbox).where(*overdue, ~is_held(outbox, now)).values(state="dropped", ended_at=now)
    connection.execute(dropped)
    is_old = (outbox.c.ended_at < now - KEPT) | (outbox.c.send_before < now - KEPT)
    connection.execute(delete(outbox).where(is_old))


def counts(connection: Connection) -> dict[str, int]:
    """State → how many messages are in it."""
    rows = connection.execute(select(outbox.c.state, func.count()).group_by(outbox.c.state))
    return {row[0]: row[1] for row in rows}


def undelivered(connection: Connection, size: int, part: int) -> list[Row[Any]]:
    """Part `part` (from 1) of the messages that could not be delivered, the latest first, with the person's name."""
    query = select(outbox, trainees.c.name).join(trainees).where(outbox.c.state.in_(REFUSED))
    query = query.order_by(outbox.c.ended_at.desc(), outbox.c.id.desc())
    return list(connection.execute(query.limit(size).offset((part - 1) * size)))


def try_again(connection: Connection, message_id: int, now: datetime) -> None:
    """Try a message again that could not be delivered. Raises NotFound "message_unknown"."""
    values = {"state": "waiting", "attempts": 0, "next_at": now, "send_before": now + TRIED_AGAIN_FOR, "ended_at": None}
    which = (outbox.c.id == message_id, outbox.c.state.in_(REFUSED))
    if not connection.execute(update(outbox).where(*which).values(values)).rowcount:
        raise NotFound("message_unknown", "There is no such message to try again.", "Open the list of messages again.")
