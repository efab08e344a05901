"""Reconciliation: after a class Zoom is asked who was there, instance by instance, until it says the same twice.

What is due follows from the end of the class and the fetches on record, so a restart loses nothing. Zoom is never asked
inside a transaction; each answer is written in one, together with the settlement it calls for.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from lti_tool.attendance import live_sessions
from lti_tool.attendance.live_sessions import verify_settleable
from lti_tool.attendance.settlement import LAST_WORD
from lti_tool.db import Database
from lti_tool.errors import BadInput, Conflict, OutboundError
from zoom_adapter import reports
from zoom_adapter.api import Kind, ZoomApi
from zoom_adapter.reports import NO_INSTANCE, NO_UUID, Session, ask_for_tasks, candidates, due, over_at, reconcilable

log = logging.getLogger(__name__)

RECONCILE = "reconcile"
# Where the report is refused for these reasons, the list of past participants may be given.
FALLS_BACK = frozenset({"zoom_not_found", "zoom_not_permitted", "zoom_scope_missing"})


class Outcome(NamedTuple):
    """What one asking for one instance gave: the rows of the last source that answered, or the first refusal."""

    meeting_uuid: str
    source: str
    rows: int | None
    settled: bool
    refusal: OutboundError | None


class Answer(NamedTuple):
    """What one source said: rows, or why not."""

    source: reports.Source
    rows: Sequence[Mapping[str, Any]] | None
    refusal: OutboundError | None


@dataclass(frozen=True, slots=True)
class ReportReader:
    """Asks Zoom for reports by the plan: `plan` is a periodic job, `read_due` the handler of the tasks it makes. There
    is nothing to ask without credentials (`api` None)."""

    database: Database
    api: ZoomApi | None
    clock: Callable[[], datetime]

    def plan(self) -> bool:
        """Ask for a task for every live session of which a report is due. Never asks to be run again at once."""
        if self.api is None:
            return False
        ask_for_tasks(self.database, RECONCILE, candidates, due, self.clock())
        return False

    def read_due(self, payload: Mapping[str, Any]) -> None:
        """Ask for what is due of one live session. What was asked for in the meantime is not asked for again."""
        now = self.clock()
        with self.database.read() as connection:
            session = reconcilable(connection, payload["session_id"])
            uuids = due(connection, session, now) if session is not None else []
        if self.api is not None and session is not None and uuids:
            self._read(session, uuids)

    def read_now(self, session_id: int) -> list[Outcome]:
        """Ask for every report of one live session now, outside the plan.

        Raises NotFound "session_unknown"; Conflict "session_not_over", "session_cancelled", "session_locked"; BadInput
        "zoom_api_unset".
        """
        with self.database.read() as connection:
            verify_settleable(live_sessions.show(connection, session_id))
            session = reconcilable(connection, session_id)
            if session is None or over_at(session) > self.clock():
                raise Conflict(
                    "session_not_over",
                    f"Live session {session_id} is not over, so Zoom has no report of it.",
                    "Ask again a few minutes after its end.",
                )
            uuids = reports.of_class(connection, session)
        return self._read(session, uuids)

    @property
    def _zoom(self) -> ZoomApi:
        if self.api is None:
            raise BadInput(
                "zoom_api_unset",
                "Zoom cannot be asked: the tool has no credentials for its REST interface.",
                "Set GATEHOUSE_ZOOM_ACCOUNT_ID, GATEHOUSE_ZOOM_CLIENT_ID and GATEHOUSE_ZOOM_CLIENT_SECRET.",
            )
        return self.api

    def _read(self, session: Session, uuids: Sequence[str]) -> list[Outcome]:
        """Ask about these instances, and about those that only Zoom knows of."""
        listed, refusal = self._list(session)
        with self.database.read() as connection:
            known = reports.of_class(connection, session)
        asked = [*(each for each in uuids if each), *reports.unlisted(listed, session, known)]
        outcomes = [self._read_one(session, uuid) for uuid in asked]
        if refusal is not None or not asked:
            outcomes.append(self._keep_failure(session, NO_UUID, refusal))
        return outcomes

    def _list(self, session: Session) -> tuple[Sequence[tuple[str, datetime]], OutboundError | None]:
        """Zoom's instances of the meeting id. Without them the instances that were delivered are asked for all the
        same."""
        try:
            return self._zoom.instances(session.zoom_kind, session.zoom_meeting_id), None
        except OutboundError as refusal:
            return (), refusal

    def _read_one(self, session: Session, uuid: str) -> Outcome:
        answers = list(self._answers(session.zoom_kind, uuid))
        now = self.clock()
        with self.database.write() as connection:
            outcomes = [_keep(connection, session, uuid, answer, now) for answer in answers]
            if any(outcome.rows is not None for outcome in outcomes):
                _ask_for_settlement(connection, session, now)
        _tell(session, outcomes)
        given = [outcome for outcome in outcomes if outcome.rows is not None]
        return given[-1] if given else outcomes[0]

    def _answers(self, kind: Kind, uuid: str) -> Iterator[Answer]:
        """The report, and where it is empty or cannot be had the list of past participants, of which Zoom has one for
        meetings only."""
        report = _ask("report", lambda: _by_kind(self._zoom, kind, uuid))
        yield report
        if kind == "meeting" and _is_poor(report):
            yield _ask("past", lambda: self._zoom.past_participants(uuid))

    def _keep_failure(self, session: Session, uuid: str, refusal: OutboundError | None) -> Outcome:
        with self.database.write() as connection:
            code = refusal.code if refusal else NO_INSTANCE
            reports.keep_failure(connection, session.id, uuid, "report", code, self.clock())
        outcome = Outcome(uuid, "instances", None, False, refusal)
        _tell(session, [outcome])
        return outcome


def _ask(source: reports.Source, ask: Callable[[], Sequence[Mapping[str, Any]]]) -> Answer:
    try:
        return Answer(source, ask(), None)
    except OutboundError as refusal:
        return Answer(source, None, refusal)


def _by_kind(api: ZoomApi, kind: Kind, uuid: str) -> list[dict[str, Any]]:
    """A webinar that Zoom does not find may have been held as a meeting; the other way round the client sees to it."""
    try:
        return api.participants(kind, uuid)
    except OutboundError as refusal:
        if kind == "meeting" or refusal.code != "zoom_not_found":
            raise
    return api.participants("meeting", uuid)


def _is_poor(report: Answer) -> bool:
    return report.refusal.code in FALLS_BACK if report.refusal else not report.rows


def _keep(connection: Connection, session: Session, uuid: str, answer: Answer, now: datetime) -> Outcome:
    if answer.rows is None:
        code = answer.refusal.code if answer.refusal else NO_INSTANCE
        reports.keep_failure(connection, session.id, uuid, answer.source, code, now)
        return Outcome(uuid, answer.source, None, False, answer.refusal)
    apart = reports.min_apart(over_at(session), now)
    settled = reports.keep(connection, session.id, uuid, answer.source, answer.rows, now, apart=apart)
    return Outcome(uuid, answer.source, len(answer.rows), settled, None)


def _ask_for_settlement(connection: Connection, session: Session, now: datetime) -> None:
    """Now, and once more when Zoom's last retry must have come: before that nothing is reconciled."""
    live_sessions.ask_for(connection, session.id, now)
    live_sessions.ask_at(connection, session.id, over_at(session) + LAST_WORD, now)


def _tell(session: Session, outcomes: Sequence[Outcome]) -> None:
    for each in outcomes:
        if each.rows is None:
            code = each.refusal.code if each.refusal else NO_INSTANCE
            log.warning("zoom gave no report", extra={"session": session.id, "kind": each.source, "code": code})
        else:
            log.info("zoom gave a report", extra={"session": session.id, "kind": each.source, "count": each.rows})
