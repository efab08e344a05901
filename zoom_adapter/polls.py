"""Polls as evidence of participation: who answered a poll, and when; the answers themselves are never stored.

Zoom reports polls separately. Gatehouse asks for the poll report once the participant report of the instance is
settled, until two answers in a row are equal: it may come late or grow, as the participant report does.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from lti_tool.attendance.live_sessions import request_settlement
from lti_tool.db import Database, upsert
from lti_tool.errors import OutboundError
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.presence import poll_answers
from zoom_adapter import reports
from zoom_adapter.api import ZoomApi
from zoom_adapter.events import address, instant, text
from zoom_adapter.reports import RECONCILABLE, Session, reconcilable, request_tasks

log = logging.getLogger(__name__)

POLLS = "polls"
# The wait after the first request; it doubles after each further one.
FIRST_WAIT = timedelta(hours=1)
ASKED_WITHIN = timedelta(days=3)
MAX_POLL_ID_LENGTH = 128
ANSWER_KEY = ("live_session_id", "meeting_uuid", "poll", "email")


class PollAnswer(NamedTuple):
    """A person (by e-mail address) answered a poll; `answered_at` is None if Zoom gives no time."""

    poll: str
    email: str
    answered_at: datetime | None

    def to_json(self) -> dict[str, Any]:
        at = self.answered_at.isoformat() if self.answered_at else None
        return {"poll": self.poll, "email": self.email, "answered_at": at}


def read_answers(raw: Iterable[Mapping[str, Any]]) -> list[PollAnswer]:
    """Each person's first answer to each poll, from the rows of Zoom's poll report.

    Rows without an address come from an anonymous poll and prove no participation.
    """
    found = []
    for person in raw:
        email = address(person.get("email"))
        details = person.get("question_details")
        for each in details if isinstance(details, list) else ():
            poll = text(each.get("polling_id"))[:MAX_POLL_ID_LENGTH] if isinstance(each, dict) else ""
            if email and poll:
                found.append(PollAnswer(poll, email, instant(each.get("date_time"))))
    # In order of time; an answer without a time comes after those with one.
    found.sort(key=lambda each: (each.poll, each.email, each.answered_at is None, str(each.answered_at)))
    first: dict[tuple[str, str], PollAnswer] = {}
    for answer in found:
        first.setdefault((answer.poll, answer.email), answer)
    return list(first.values())


@dataclass(frozen=True, slots=True)
class PollReader:
    """Asks Zoom for poll reports; does nothing without Zoom credentials (`api` None).

    `plan` is a periodic job; `read_due` handles the tasks that it enqueues.
    """

    database: Database
    api: ZoomApi | None
    clock: Callable[[], datetime]

    def plan(self) -> bool:
        """Enqueue a task for every live session with due polls. Always returns False: nothing is left to do."""
        if self.api is None:
            return False
        request_tasks(self.database, POLLS, _candidates, due, self.clock())
        return False

    def read_due(self, payload: Mapping[str, Any]) -> None:
        """Read the polls of one live session that are due."""
        with self.database.read() as connection:
            session = reconcilable(connection, payload["session_id"])
            uuids = due(connection, session, self.clock()) if session is not None else []
        if self.api is None or session is None:
            return
        for uuid in uuids:
            try:
                found = read_answers(self.api.polls(session.zoom_kind, uuid))
            except OutboundError as refusal:
                with self.database.write() as connection:
                    reports.keep_failure(connection, session.id, uuid, "polls", refusal.code, self.clock())
                log.warning("zoom gave no polls", extra={"session": session.id, "code": refusal.code})
                continue
            with self.database.write() as connection:
                keep(connection, session.id, uuid, found, self.clock())


def due(connection: Connection, session: Session, now: datetime) -> list[str]:
    """The instances of a live session whose participant report is settled and whose polls are due now."""
    made = [each for each in reports.history(connection, session.id) if each.source == "polls"]
    settled = {uuid for uuid, each in reports.last_answers(connection, session.id).items() if each.settled}
    found = []
    for uuid in reports.of_class(connection, session):
        asked = [each for each in made if each.meeting_uuid == uuid]
        last_two = [each.report_id for each in asked[-2:]]
        has_agreed = len(last_two) == 2 and last_two[0] is not None and last_two[0] == last_two[1]
        is_time = not asked or asked[-1].fetched_at + FIRST_WAIT * 2 ** (len(asked) - 1) <= now
        if uuid in settled and is_time and not has_agreed:
            found.append(uuid)
    return found


def keep(connection: Connection, session_id: int, uuid: str, found: Iterable[PollAnswer], now: datetime) -> None:
    """Store who answered, and request the settlement that may depend on it."""
    answers = list(found)
    reports.keep(connection, session_id, uuid, "polls", [each.to_json() for each in answers], now)
    rows = [{"live_session_id": session_id, "meeting_uuid": uuid, **each._asdict()} for each in answers]
    if rows:
        new = upsert(connection, poll_answers)
        at = func.coalesce(new.excluded.answered_at, poll_answers.c.answered_at)
        connection.execute(new.on_conflict_do_update(index_elements=ANSWER_KEY, set_={"answered_at": at}), rows)
        request_settlement(connection, session_id, now)


def _candidates(connection: Connection, now: datetime) -> list[Session]:
    recently = live_sessions.c.ended_at.between(now - ASKED_WITHIN, now)
    query = select(live_sessions).where(live_sessions.c.state.in_(RECONCILABLE), recently)
    return list(connection.execute(query.order_by(live_sessions.c.id)))
