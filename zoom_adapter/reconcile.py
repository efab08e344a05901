"""Reconciliation: asks Zoom, after a class, who was present in each instance and who answered its polls, until two
answers in a row are equal. The answers to polls are evidence of participation; what people answered is never stored.

What is due follows from the end of the class and the requests on record, so a restart loses nothing. Zoom is never
asked inside a transaction; each answer is written in one, together with the request for settlement. Polls have a report
of their own, which is asked for once the participant report of the instance is settled.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from lti_tool import audit
from lti_tool.attendance import live_sessions
from lti_tool.attendance.live_sessions import verify_settleable
from lti_tool.attendance.settlement import LAST_WORD
from lti_tool.db import Database, upsert
from lti_tool.errors import Conflict, OutboundError
from lti_tool.tables.live_sessions import live_sessions as sessions_table
from lti_tool.tables.presence import poll_answers
from lti_tool.tasks import enqueue
from zoom_adapter import reports
from zoom_adapter.api import Kind, ZoomApi, verify_configured
from zoom_adapter.events import address, instant, text
from zoom_adapter.reports import (
    NO_INSTANCE,
    NO_UUID,
    RECONCILABLE,
    Session,
    candidates,
    due,
    over_at,
    reconcilable,
    request_tasks,
)

log = logging.getLogger(__name__)

RECONCILE = "reconcile"
# If the report is refused with one of these codes, Zoom may still give the list of past participants.
FALLS_BACK = frozenset({"zoom_not_found", "zoom_not_permitted", "zoom_scope_missing"})


class Outcome(NamedTuple):
    """The result for one instance: the rows of the last source that answered, or the first refusal."""

    meeting_uuid: str
    source: str
    rows: int | None
    settled: bool
    refusal: OutboundError | None

    @property
    def code(self) -> str | None:
        """Why there are no rows; None if there are."""
        if self.rows is not None:
            return None
        return self.refusal.code if self.refusal else NO_INSTANCE


class Answer(NamedTuple):
    """What one source gave when it was asked: rows, or the reason for having none."""

    source: reports.Source
    asked_at: datetime
    rows: Sequence[Mapping[str, Any]]
    refusal: OutboundError | None = None


def ask_again(connection: Connection, session_id: int, *, has_api: bool, actor: str, now: datetime) -> None:
    """Let the worker read every report of one live session now, outside the plan. Raises as `ReportReader.read_now`."""
    _over(connection, session_id, now)
    if not has_api:
        verify_configured(None)
    enqueue(connection, RECONCILE, f"session:{session_id}", {"session_id": session_id, "every": True}, now=now)
    audit.record(connection, actor=actor, act="reports_asked", subject=f"session:{session_id}", at=now)


def _over(connection: Connection, session_id: int, now: datetime) -> Session:
    """The live session, which is over and may still be reconciled."""
    verify_settleable(live_sessions.show(connection, session_id))
    session = reconcilable(connection, session_id)
    if session is None or over_at(session) > now:
        raise Conflict(
            "session_not_over",
            f"Live session {session_id} is not over, so Zoom has no report of it.",
            "Ask again a few minutes after its end.",
        )
    return session


@dataclass(frozen=True, slots=True)
class ReportReader:
    """Asks Zoom for reports by the plan; does nothing without Zoom credentials (`api` None).

    `plan` is a periodic job; `read_due` handles the tasks that it enqueues.
    """

    database: Database
    api: ZoomApi | None
    clock: Callable[[], datetime]

    def plan(self) -> bool:
        """Enqueue a task for every live session with a due report. Always returns False: nothing is left to do."""
        if self.api is None:
            return False
        request_tasks(self.database, RECONCILE, candidates, due, self.clock())
        return False

    def read_due(self, payload: Mapping[str, Any]) -> None:
        """Read the due reports of one live session, or `every` one of them; a due report that was read in the meantime
        is not read again."""
        now = self.clock()
        with self.database.read() as connection:
            session = reconcilable(connection, payload["session_id"])
            if session is None:
                uuids: Sequence[str] = []
            elif payload.get("every"):
                uuids = reports.of_class(connection, session) or [NO_UUID]
            else:
                uuids = due(connection, session, now)
        if self.api is not None and session is not None and uuids:
            self._read(self.api, session, uuids)

    def read_now(self, session_id: int) -> list[Outcome]:
        """Read every report of one live session now, outside the plan.

        Raises NotFound "session_unknown"; Conflict "session_not_over", "session_cancelled", "session_locked"; BadInput
        "zoom_api_unset".
        """
        with self.database.read() as connection:
            session = _over(connection, session_id, self.clock())
            uuids = reports.of_class(connection, session)
        return self._read(verify_configured(self.api), session, uuids)

    def _read(self, api: ZoomApi, session: Session, uuids: Sequence[str]) -> list[Outcome]:
        """Read these instances and those that only Zoom lists; if Zoom refuses the list, these alone."""
        refusal, listed = None, list[tuple[str, datetime]]()
        try:
            listed = api.instances(session.zoom_kind, session.zoom_meeting_id)
        except OutboundError as error:
            refusal = error
        with self.database.read() as connection:
            known = reports.of_class(connection, session)
        asked = [*(each for each in uuids if each), *reports.unlisted(listed, session, known)]
        outcomes = [self._read_one(api, session, uuid) for uuid in asked]
        if refusal is not None or not asked:
            outcome = Outcome(NO_UUID, "instances", None, False, refusal)
            with self.database.write() as connection:
                code = outcome.code or NO_INSTANCE
                reports.keep_failure(connection, session.id, NO_UUID, "report", code, self.clock())
            _log(session, outcome)
            outcomes.append(outcome)
        return outcomes

    def _read_one(self, api: ZoomApi, session: Session, uuid: str) -> Outcome:
        answers = list(_answers(api, session.zoom_kind, uuid, self.clock))
        now = self.clock()
        with self.database.write() as connection:
            outcomes = [_keep(connection, session, uuid, answer, now) for answer in answers]
            given = [outcome for outcome in outcomes if outcome.rows is not None]
            if given:
                live_sessions.request_settlement(connection, session.id, now)
                # Nothing is reconciled before Zoom's last retry, so the session is settled again then.
                live_sessions.request_settlement_at(connection, session.id, over_at(session) + LAST_WORD, now)
        for outcome in outcomes:
            _log(session, outcome)
        return given[-1] if given else outcomes[0]


def _answers(api: ZoomApi, kind: Kind, uuid: str, clock: Callable[[], datetime]) -> Iterator[Answer]:
    """The report; for a meeting whose report is empty or refused, also the list of past participants."""
    report = _ask("report", clock(), lambda: _participants(api, kind, uuid))
    yield report
    is_poor = report.refusal.code in FALLS_BACK if report.refusal else not report.rows
    if kind == "meeting" and is_poor:
        yield _ask("past", clock(), lambda: api.past_participants(uuid))


def _ask(source: reports.Source, now: datetime, ask: Callable[[], Sequence[Mapping[str, Any]]]) -> Answer:
    try:
        return Answer(source, now, ask())
    except OutboundError as refusal:
        return Answer(source, now, (), refusal)


def _participants(api: ZoomApi, kind: Kind, uuid: str) -> list[dict[str, Any]]:
    """A webinar that Zoom does not find may have been held as a meeting; the client handles the reverse case."""
    try:
        return api.participants(kind, uuid)
    except OutboundError as refusal:
        if kind == "meeting" or refusal.code != "zoom_not_found":
            raise
    return api.participants("meeting", uuid)


def _keep(connection: Connection, session: Session, uuid: str, answer: Answer, now: datetime) -> Outcome:
    if answer.refusal is not None:
        reports.keep_failure(connection, session.id, uuid, answer.source, answer.refusal.code, now)
        return Outcome(uuid, answer.source, None, False, answer.refusal)
    settled = reports.keep(
        connection,
        session.id,
        uuid,
        answer.source,
        answer.rows,
        now,
        asked_at=answer.asked_at,
        apart=reports.min_apart(over_at(session), now),
    )
    return Outcome(uuid, answer.source, len(answer.rows), settled, None)


def _log(session: Session, outcome: Outcome) -> None:
    ids = {"session": session.id, "kind": outcome.source}
    if outcome.code is not None:
        log.warning("zoom gave no report", extra={**ids, "code": outcome.code})
    else:
        log.info("zoom gave a report", extra={**ids, "count": outcome.rows})


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
        request_tasks(self.database, POLLS, _candidates, due_polls, self.clock())
        return False

    def read_due(self, payload: Mapping[str, Any]) -> None:
        """Read the polls of one live session that are due."""
        with self.database.read() as connection:
            session = reconcilable(connection, payload["session_id"])
            uuids = due_polls(connection, session, self.clock()) if session is not None else []
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
                keep_answers(connection, session.id, uuid, found, self.clock())


def due_polls(connection: Connection, session: Session, now: datetime) -> list[str]:
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


def keep_answers(
    connection: Connection, session_id: int, uuid: str, found: Iterable[PollAnswer], now: datetime
) -> None:
    """Store who answered, and request the settlement that may depend on it."""
    answers = list(found)
    reports.keep(connection, session_id, uuid, "polls", [each.to_json() for each in answers], now)
    rows = [{"live_session_id": session_id, "meeting_uuid": uuid, **each._asdict()} for each in answers]
    if rows:
        new = upsert(connection, poll_answers)
        at = func.coalesce(new.excluded.answered_at, poll_answers.c.answered_at)
        connection.execute(new.on_conflict_do_update(index_elements=ANSWER_KEY, set_={"answered_at": at}), rows)
        live_sessions.request_settlement(connection, session_id, now)


def _candidates(connection: Connection, now: datetime) -> list[Session]:
    recently = sessions_table.c.ended_at.between(now - ASKED_WITHIN, now)
    query = select(sessions_table).where(sessions_table.c.state.in_(RECONCILABLE), recently)
    return list(connection.execute(query.order_by(sessions_table.c.id)))
