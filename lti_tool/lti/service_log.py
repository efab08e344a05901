"""What each service of a platform answered last, for whoever asks why something does not arrive. No body is kept.

One row for each (registration, service, subject). The subject is the address that a launch gave for the service, or for
"token" the scopes; only its digest is kept.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from lti_tool.db import Database, upsert
from lti_tool.signing import fingerprint
from lti_tool.tables.operations import launch_refusals
from lti_tool.tables.platforms import service_answers

log = logging.getLogger(__name__)

SERVICES = ("token", "scores", "line_items", "results", "roster", "groups", "notices", "key_set")
# The same answer again is written down at most this often.
REPEATED_AFTER = timedelta(minutes=1)

Key = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class ServiceAnswer:
    """The last answer of a service. `status` is HTTP's, 0 for none; `code` is ours, "" when all was well, and `well_at`
    when that was last so."""

    service: str
    subject: str
    status: int
    code: str
    answered_at: datetime
    well_at: datetime | None

    @property
    def is_well(self) -> bool:
        return not self.code


def subject_digest(subject: str) -> str:
    """How a subject is kept: SHA-256 in hex; "" for none."""
    return fingerprint(subject) if subject else ""


def record(
    connection: Connection, registration_id: int, service: str, subject: str, status: int, code: str, now: datetime
) -> None:
    """Write down what a service answered: `status` of HTTP (0: no answer) and our stable `code` ("" when all was well).

    Writes only what is news: another answer, or the same one a minute later.
    """
    digest = subject_digest(subject)
    known = connection.execute(
        select(service_answers.c.status, service_answers.c.code, service_answers.c.answered_at).where(
            service_answers.c.registration_id == registration_id,
            service_answers.c.service == service,
            service_answers.c.subject == digest,
        )
    ).first()
    if known is None or (known.status, known.code) != (status, code) or _is_old(known.answered_at, now):
        key = {"registration_id": registration_id, "service": service, "subject": digest}
        values = {"status": status, "code": code, "answered_at": now} | ({} if code else {"well_at": now})
        written = upsert(connection, service_answers).values(**key, **values)
        connection.execute(written.on_conflict_do_update(index_elements=list(key), set_=values))


def count_refused_launch(connection: Connection, code: str, now: datetime) -> None:
    """Count a launch that could not be checked because a platform's service failed, by day (UTC)."""
    new = upsert(connection, launch_refusals).values(day=now.date(), code=code, count=1)
    more = {"count": launch_refusals.c.count + 1}
    connection.execute(new.on_conflict_do_update(index_elements=["day", "code"], set_=more))


def of_registration(connection: Connection, registration_id: int) -> list[ServiceAnswer]:
    """The last answers of one platform's services; a subject is known by its digest."""
    rows = connection.execute(
        select(service_answers)
        .where(service_answers.c.registration_id == registration_id)
        .order_by(service_answers.c.service, service_answers.c.subject)
    )
    return [ServiceAnswer(row.service, row.subject, row.status, row.code, row.answered_at, row.well_at) for row in rows]


class AnswerBook:
    """Writes answers down beside the calls that got them, seldom and never in their way."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._noted: dict[Key, tuple[int, str, datetime]] = {}

    def note(self, registration_id: int, service: str, subject: str, status: int, code: str) -> None:
        """Record in a transaction of its own, unless this process has just done so. Never raises: an answer that could
        not be written is missing only on the page that shows it."""
        key, now = (registration_id, service, subject), self._clock()
        known = self._noted.get(key)
        if known is not None and known[:2] == (status, code) and not _is_old(known[2], now):
            return
        try:
            with self._database.write() as connection:
                record(connection, registration_id, service, subject, status, code, now)
        except SQLAlchemyError as error:
            log.warning(
                "an answer was not noted", extra={"registration": registration_id, "error": type(error).__name__}
            )
        else:
            self._noted[key] = status, code, now


def _is_old(noted_at: datetime, now: datetime) -> bool:
    """Also when the clock was set back."""
    return abs(now - noted_at) >= REPEATED_AFTER
