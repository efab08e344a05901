"""Polls as evidence of participation: that somebody answered, and when. What was answered is never kept.

A poll's answers stand in a report of their own, which is asked for once the participant report of the instance is
settled, until it has said the same twice in a row: it may come late or grow, as the other one does.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from lti_tool.attendance.live_sessions import ask_for
from lti_tool.db import Database, upsert
from lti_tool.errors import OutboundError
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.presence import poll_answers
from zoom_adapter import reports
from zoom_adapter.api import ZoomApi
from zoom_adapter.events import instant, text
from zoom_adapter.reports import RECONCILABLE, Session, ask_for_tasks, reconcilable

log = logging.getLogger(__name__)

POLLS = "polls"
# How long after the first asking Zoom is asked again; each time after that takes twice as long as the one before.
AGAIN = timedelta(hours=1)
ASKED_WITHIN = timedelta(days=3)
ONE_ANSWER = ("live_session_id", "meeting_uuid", "poll", "email")


class PollAnswer(NamedTuple):
    """Somebody (an address, lower-cased) answered a poll; `answered_at` is None where Zoom does not say when."""

    poll: str
    email: str
    answered_at: datetime | None

    def to_json(self) -> dict[str, Any]:
        at = self.answered_at.isoformat() if self.answered_at else None
        return {"poll": self.poll, "email": self.email, "answered_at": at}


def read_answers(raw: Iterable[Mapping[str, Any]]) -> list[PollAnswer]:
    """Who answered which poll, from the rows of Zoom's poll report; a person's first answer to each. Rows without an
    address are an anonymous poll's, and show nobody's participation."""
    first: dict[tuple[str, str], PollAnswer] = {}
    for answer in sorted(_answers(raw), key=_order):
        first.setdefault((answer.poll, answer.email), answer)
    return list(first.values())


def _answers(raw: Iterable[Mapping[str, Any]]) -> Iterator[PollAnswer]:
    for person in raw:
        email = text(person.get("email")).lower()
        details = person.get("question_details")
        for each in details if isinstance(details, list) else ():
            poll = text(each.get("polling_id"))[:128] if isinstance(each, dict) else ""
            if email and poll:
                yield PollAnswer(poll, email, instant(each.get("date_time")))


def _order(answer: PollAnswer) -> tuple[str, str, bool, str]:
    return answer.poll, answer.email, answer.answered_at is None, str(answer.answered_at)


@dataclass(frozen=True, slots=True)
class PollReader:
    """Asks Zoom for poll reports: `plan` is a periodic job, `read_due` the handler of the tasks it makes. There is
    nothing to ask without credentials (`api` None)."""

    database: Database
    api: ZoomApi | None
    clock: Callable[[], datetime]

    def plan(self) -> bool:
        """Ask for a task for every live session of which polls are due. Never asks to be run again at once."""
        if self.api is None:
            return False
        ask_for_tasks(self.database, POLLS, _candidates, due, self.clock())
        return False

    def read_due(self, payload: Mapping[str, Any]) -> None:
        """Ask for what is due of one live session."""
        with self.database.read() as connection:
            session = reconcilable(connection, payload["session_id"])
            uuids = due(connection, session, self.clock()) if session is not None else []
        if self.api is not None and session is not None:
            for uuid in uuids:
                self._read(self.api, session, uuid)

    def _read(self, api: ZoomApi, session: Session, uuid: str) -> None:
        try:
            found = read_answers(api.polls(session.zoom_kind, uuid))
        except OutboundError as refusal:
            with self.database.write() as connection:
                reports.keep_failure(connection, session.id, uuid, "polls", refusal.code, self.clock())
            log.warning("zoom gave no polls", extra={"session": session.id, "code": refusal.code})
            return
        with self.database.write() as connection:
            keep(connection, session.id, uuid, found, self.clock())


def due(connection: Connection, session: Session, now: datetime) -> list[str]:
    """The instances of a live session whose participant report is settled and whose polls are to be read now."""
    made = [each for each in reports.history(connection, session.id) if each.source == "polls"]
    settled = {uuid for uuid, each in reports.last_answers(connection, session.id).items() if each.settled}
    return [
        uuid
        for uuid in reports.of_class(connection, session)
        if uuid in settled and _is_due([each for each in made if each.meeting_uuid == uuid], now)
    ]


def keep(connection: Connection, session_id: int, uuid: str, found: Iterable[PollAnswer], now: datetime) -> None:
    """Keep who answered, and ask for the settlement that may rest on it."""
    answers = list(found)
    reports.keep(connection, session_id, uuid, "polls", [each.to_json() for each in answers], now)
    rows = [{"live_session_id": session_id, "meeting_uuid": uuid, **each._asdict()} for each in answers]
    if rows:
        new = upsert(connection, poll_answers)
        at = func.coalesce(new.excluded.answered_at, poll_answers.c.answered_at)
        connection.execute(new.on_conflict_do_update(index_elements=ONE_ANSWER, set_={"answered_at": at}), rows)
        ask_for(connection, session_id, now)


def _is_due(made: Sequence[reports.Fetch], now: datetime) -> bool:
    if not made:
        return True
    last_two = [each.report_id for each in made[-2:]]
    has_agreed = len(last_two) == 2 and last_two[0] is not None and last_two[0] == last_two[1]
    return not has_agreed and made[-1].fetched_at + AGAIN * 2 ** (len(made) - 1) <= now


def _candidates(connection: Connection, now: datetime) -> list[Session]:
    recently = live_sessions.c.ended_at.between(now - ASKED_WITHIN, now)
    query = select(live_sessions).where(live_sessions.c.state.in_(RECONCILABLE), recently)
    return list(connection.execute(query.order_by(live_sessions.c.id)))
