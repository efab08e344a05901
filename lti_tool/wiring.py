"""Where the roads meet: what follows from a settled attendance, and the worker that drives presence and delivery."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, func, select

from lti_tool.courses.copies import NOTICES_PATH, NoticeAsker
from lti_tool.deep_linking.requests import forget_requests
from lti_tool.gates import equivalency
from lti_tool.gates.completions import complete, end_completion
from lti_tool.grades import awards, claims, ledger, line_items
from lti_tool.grades.awards import SettledDay
from lti_tool.grades.delivery import Deliverer
from lti_tool.grades.line_item_search import LineItemSearch
from lti_tool.grades.reconcile import Reconciler
from lti_tool.grades.settled_days import completed_day, hold
from lti_tool.house import House
from lti_tool.lti.keys import rotate_when_due
from lti_tool.lti.nonces import forget_nonces
from lti_tool.publication import version
from lti_tool.rosters import due
from lti_tool.rosters.sync import RosterReader
from lti_tool.session import forget_sessions
from lti_tool.sessions import live_sessions
from lti_tool.sessions.settlement import PEOPLE_PER_COMMIT, SettledPerson, settle, verify_settleable
from lti_tool.tables.evidence import registrants, zoom_inbox
from lti_tool.tables.gates import completions
from lti_tool.tasks import Clock, Handler, Worker
from zoom_adapter import presence
from zoom_adapter.late_matches import match_late

log = logging.getLogger(__name__)

# How often the worker looks for claims and scores that wait for a licence or a first launch.
SWEEP = timedelta(seconds=5)
TIDY = timedelta(minutes=10)
# How often it looks for new courses, and for classes that begin.
PLAN = timedelta(seconds=10)


def follow_attendance(connection: Connection, people: Sequence[SettledPerson], now: datetime) -> None:
    """What follows from the settled attendance of several people of one session, in the transaction that settled it:
    completion, credit claims, awards, desired scores. Nothing follows before the session has ended."""
    days = [_settled_day(each) for each in people if each.ended]
    if not days:
        return
    hold(connection, [each.trainee_id for each in days])
    _follow_completions(connection, days, now)
    claims.decide(connection, version(connection, days[0].programme_version).programme, days, now)
    ledger.desire(connection, [each.trainee_id for each in days], days[0].module_id, now)


def reconsider(connection: Connection, trainee_id: int, session_id: int, now: datetime) -> None:
    """Decide a person's claims of one session again and bring the scores in line."""
    day = claims.reconsider(connection, trainee_id, session_id, now)
    if day is not None:
        ledger.desire(connection, [trainee_id], day.module_id, now)


def settle_now(house: House, session_id: int) -> None:
    """Settle one live session from everything the inbox holds. Raises as `settlement.settle` does."""
    with house.database.read() as connection:
        verify_settleable(live_sessions.show(connection, session_id))
    after = partial(follow_attendance, now=house.clock())
    presence.settle_task(house.database, settle, after, house.clock)({"session_id": session_id})


def build_worker(house: House) -> Worker:
    """The worker of this house: settlement tasks, and the periodic jobs of the roads."""
    sweep = Sweep(house)
    deliverer = Deliverer(house.database, house.platform_api, house.clock)
    line_item_search = LineItemSearch(house.database, house.platform_api, house.clock, after=sweep.run)
    reconciler = Reconciler(house.database, house.platform_api, house.clock)
    rosters = RosterReader(house.database, house.platform_api, house.clock, house.settings.roster_every)
    notices = NoticeAsker(house.database, house.platform_api, house.clock, f"{house.settings.public_url}{NOTICES_PATH}")
    return Worker(
        house.database,
        handlers={presence.SETTLE: _settle_handler(house)},
        periodic={
            "take_inbox": lambda: presence.take_inbox(house.database, house.clock()),
            "deliver_scores": deliverer.deliver_due,
            "line_items": line_item_search.search_due,
            "read_results": reconciler.look_due,
            "plan_rosters": Every(PLAN, house.clock, lambda: due.plan(house.database, house.clock())),
            "read_rosters": rosters.read_due,
            "ask_for_notices": Every(PLAN, house.clock, notices.ask_due),
            "match_late": Every(SWEEP, house.clock, lambda: match_late(house.database, house.clock())),
            "sweep": Every(SWEEP, house.clock, sweep.run),
            "tidy": Every(TIDY, house.clock, partial(_tidy, house)),
        },
        clock=house.clock,
    )


@dataclass
class Every:
    """A job that does nothing until `span` has passed since it last ran; a clock set back makes it run at once."""

    span: timedelta
    clock: Clock
    job: Callable[[], bool]
    last: datetime | None = None

    def __call__(self) -> bool:
        now = self.clock()
        if self.last is not None and timedelta() <= now - self.last < self.span:
            return False
        self.last = now
        return self.job()


@dataclass
class Sweep:
    """Brings in what settlement could not know: a licence recorded later, a unit launched for the first time later."""

    house: House
    since: datetime = field(default=datetime.min.replace(tzinfo=UTC))

    def run(self) -> bool:
        """Never asks to be run again at once: what is left waits for the next time."""
        started = self.house.clock()
        self._try(line_items.connect)
        with self.house.database.read() as connection:
            outdated = claims.outdated(connection)
            unscored = ledger.without_score(connection, self.since)
        for trainee_id, session_id in outdated:
            self._try(reconsider, trainee_id, session_id)
        for module_id, pairs in groupby(unscored, key=itemgetter(0)):
            people = [trainee_id for _, trainee_id in pairs]
            for first in range(0, len(people), PEOPLE_PER_COMMIT):
                self._try(ledger.desire, people[first : first + PEOPLE_PER_COMMIT], module_id)
        # A launch that is being committed now may carry an earlier moment.
        self.since = started - timedelta(minutes=1)
        return False

    def _try(self, job: Callable[..., object], *about: Any) -> None:
        """One job in a transaction of its own. What fails here fails again later, and must not stop the worker."""
        try:
            with self.house.database.write() as connection:
                job(connection, *about, self.house.clock())
        except Exception as error:
            log.error("a late change could not be followed", extra={"error": type(error).__name__})


def _tidy(house: House) -> bool:
    """Drop what has run out: nonces, sessions of browsers, deep linking requests, and approvals of equivalencies
    (marked, not dropped). Replace the tool's signing key when it is old."""
    now = house.clock()
    with house.database.write() as connection:
        equivalency.expire_due(connection, today=now.date(), now=now)
    forget_nonces(house.database, now)
    forget_sessions(house.database, now)
    forget_requests(house.database, now)
    rotate_when_due(house.database, now, house.settings.key_rotation_days)
    return False


def _settle_handler(house: House) -> Handler:
    def run(payload: Mapping[str, Any]) -> None:
        session_id = int(payload["session_id"])
        with house.database.read() as connection:
            session = live_sessions.show(connection, session_id)
            seen = _evidence_mark(connection, session_id, session.zoom_meeting_id)
        if session.state in ("cancelled", "locked"):
            log.warning("evidence for a session that is not settled any more", extra={"session": session_id})
            return
        settle_now(house, session_id)
        with house.database.write() as connection:
            # Another worker may have settled newer evidence in the meantime, and this one written over it.
            if _evidence_mark(connection, session_id, session.zoom_meeting_id) != seen:
                presence.ask_for(connection, session_id, house.clock())

    return run


def _evidence_mark(connection: Connection, session_id: int, meeting_id: str) -> tuple[Any, ...]:
    """Changes whenever the evidence about a session does: deliveries, registrants, the end that staff record."""
    ended = live_sessions.show(connection, session_id).ended_by_staff_at
    deliveries = connection.execute(
        select(func.count(), func.max(zoom_inbox.c.id)).where(zoom_inbox.c.meeting_id == meeting_id)
    ).one()
    people = connection.execute(
        select(func.count(), func.max(registrants.c.recorded_at)).where(registrants.c.meeting_id == meeting_id)
    ).one()
    return (*deliveries, *people, ended)


def _settled_day(person: SettledPerson) -> SettledDay:
    session = person.session
    return SettledDay(
        trainee_id=person.trainee_id,
        session_id=session.id,
        module_id=session.module_id,
        programme_version=session.programme_version,
        held_on=session.held_on,
        session_state=session.state,
        ended=person.ended,
        attendance_id=person.attendance_id,
        day=person.day,
        flags=person.flags,
    )


def _follow_completions(connection: Connection, days: Sequence[SettledDay], now: datetime) -> None:
    """Completed: recorded once. No longer completed: this session's record ends, unless credit rests on it, and another
    session that completes the module takes its place."""
    for day in days:
        if day.day["completed"]:
            _complete(connection, day, now)
    fallen = {day.trainee_id: day for day in days if not day.day["completed"]}
    for trainee_id, completion_id in _completions_of(connection, days[0].session_id, list(fallen)):
        if not _credit_rests_on(connection, fallen[trainee_id]):
            reason = "The corrected attendance of this session no longer reaches the completion threshold."
            end_completion(connection, completion_id, reason=reason, actor="system", now=now)
            other = completed_day(connection, trainee_id, fallen[trainee_id].module_id)
            if other is not None:
                _complete(connection, other, now)


def _complete(connection: Connection, day: SettledDay, now: datetime) -> None:
    complete(
        connection,
        day.trainee_id,
        day.module_id,
        day.held_on,
        "attendance",
        live_session_id=day.session_id,
        actor="system",
        now=now,
    )


def _completions_of(connection: Connection, session_id: int, trainee_ids: Sequence[int]) -> Sequence[tuple[int, int]]:
    """(trainee id, completion id) of the completions in force that rest on this session."""
    query = select(completions.c.trainee_id, completions.c.id).where(
        completions.c.live_session_id == session_id,
        completions.c.trainee_id.in_(trainee_ids),
        completions.c.ended_at.is_(None),
    )
    return [(row.trainee_id, row.id) for row in connection.execute(query)]


def _credit_rests_on(connection: Connection, day: SettledDay) -> bool:
    awarded = awards.in_force(connection, day.trainee_id, day.module_id)
    return any(row.live_session_id == day.session_id for row in awarded)
