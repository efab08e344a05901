"""Where the roads meet: the worker that drives presence, settlement and delivery."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, func, select

from lti_tool.attendance import live_sessions, locking
from lti_tool.attendance.live_sessions import verify_settleable
from lti_tool.attendance.settlement import PEOPLE_PER_COMMIT, settle
from lti_tool.context import House
from lti_tool.credit import claims
from lti_tool.gates import equivalency
from lti_tool.grades import line_items, scores
from lti_tool.grades.delivery import Deliverer
from lti_tool.grades.line_item_search import LineItemSearch
from lti_tool.grades.outcomes import follow_attendance, reconsider
from lti_tool.grades.reconcile import Reconciler
from lti_tool.lti.deep_linking import forget_requests
from lti_tool.lti.keys import rotate_when_due
from lti_tool.lti.login import forget_nonces
from lti_tool.platforms.course_copies import NOTICES_PATH, NoticeAsker
from lti_tool.rosters import schedule
from lti_tool.rosters.reading import RosterReader
from lti_tool.tables.operations import tasks
from lti_tool.tables.presence import attendance_corrections, person_links, presence_check_answers, presence_checks
from lti_tool.tables.zoom import registrants, zoom_inbox, zoom_report_fetches
from lti_tool.tasks import Crew, Every, Handler, Worker
from lti_tool.web.session import forget_sessions
from zoom_adapter import admission, health, presence
from zoom_adapter.api import ZoomApi
from zoom_adapter.hash_chain import Witness
from zoom_adapter.meetings import MeetingKeeper
from zoom_adapter.polls import POLLS, PollReader
from zoom_adapter.presence import match_late
from zoom_adapter.reconcile import RECONCILE, ReportReader
from zoom_adapter.recovery import RECOVER, LogReader
from zoom_adapter.registration import Registrar

log = logging.getLogger(__name__)

# How often the worker looks for claims and scores that wait for a licence or a first launch.
SWEEP = timedelta(seconds=5)
TIDY = timedelta(minutes=10)
# How often it looks for new courses, and for classes that begin.
PLAN = timedelta(seconds=10)
# How often it looks for gaps in the evidence.
MINUTE = timedelta(minutes=1)
# How many batches of people are registered at Zoom at the same time.
REGISTRARS = 3
# Tasks that ask Zoom, and may wait for it for minutes.
ZOOM_TASKS = (RECONCILE, POLLS, RECOVER)


def settle_now(house: House, session_id: int) -> None:
    """Settle one live session from everything the inbox holds. Raises as `settlement.settle` does."""
    with house.database.read() as connection:
        verify_settleable(live_sessions.show(connection, session_id))
    after = partial(follow_attendance, now=house.clock())
    presence.settle_task(house.database, settle, after, house.clock)({"session_id": session_id})


def zoom_api(house: House) -> ZoomApi | None:
    """Zoom's REST interface with the house's credentials; None without any. Make one and share it: it keeps the token
    and the pace of the calls."""
    return ZoomApi(house.http, house.settings, house.clock) if house.settings.has_zoom_api else None


def build_worker(house: House) -> Worker:
    """The worker of this house: settlement tasks, and the periodic jobs of the roads."""
    sweep = Sweep(house)
    deliverer = Deliverer(house.database, house.platform_api, house.clock)
    line_item_search = LineItemSearch(house.database, house.platform_api, house.clock, after=sweep.run)
    reconciler = Reconciler(house.database, house.platform_api, house.clock)
    rosters = RosterReader(house.database, house.platform_api, house.clock, house.settings.roster_every)
    notices = NoticeAsker(house.database, house.platform_api, house.clock, f"{house.settings.public_url}{NOTICES_PATH}")
    zoom = zoom_api(house)
    reports = ReportReader(house.database, zoom, house.clock)
    polls = PollReader(house.database, zoom, house.clock)
    recovery = LogReader(house.database, zoom, house.clock)
    of_zoom = {RECONCILE: reports.read_due, POLLS: polls.read_due, RECOVER: recovery.read_due}
    asker = Worker(house.database, of_zoom, clock=house.clock, these=tasks.c.kind.in_(ZOOM_TASKS))
    return Worker(
        house.database,
        handlers={presence.SETTLE: _settle_handler(house)},
        periodic={
            "take_inbox": lambda: presence.take_inbox(house.database, house.clock()),
            "deliver_scores": deliverer.deliver_due,
            "line_items": line_item_search.search_due,
            "read_results": reconciler.look_due,
            "plan_rosters": Every(PLAN, house.clock, lambda: schedule.plan(house.database, house.clock())),
            "read_rosters": rosters.read_due,
            "ask_for_notices": Every(PLAN, house.clock, notices.ask_due),
            "plan_reports": Every(PLAN, house.clock, reports.plan),
            "plan_polls": Every(PLAN, house.clock, polls.plan),
            "plan_recovery": Every(PLAN, house.clock, recovery.plan),
            "ask_zoom": Crew("zoom", 1, asker.claim, asker.do).step,
            **_place_jobs(house, zoom),
            "match_late": Every(SWEEP, house.clock, lambda: match_late(house.database, house.clock())),
            "look_for_gaps": Every(MINUTE, house.clock, partial(_look_for_gaps, house)),
            "tell_seal": Every(TIDY, house.clock, Witness(house.database).tell),
            "sweep": Every(SWEEP, house.clock, sweep.run),
            "tidy": Every(TIDY, house.clock, partial(_tidy, house)),
        },
        clock=house.clock,
        these=tasks.c.kind.not_in(ZOOM_TASKS),
    )


def _place_jobs(house: House, zoom: ZoomApi | None) -> dict[str, Callable[[], bool]]:
    """The jobs that keep Zoom's registrants in line with the gate; none without credentials."""
    if zoom is None:
        return {}
    admits = admission.may_register if house.settings.zoom_registration == "gate" else None
    registrar = Registrar(house.database, zoom, house.clock)
    keeper = MeetingKeeper(house.database, zoom, house.clock, admits)
    return {
        "plan_places": admission.PlacePlan(house.database, house.clock).step,
        "plan_meetings": Every(PLAN, house.clock, keeper.plan),
        "places": Crew("places", REGISTRARS, registrar.claim, registrar.do).step,
        "meetings": Crew("meetings", 1, keeper.claim, keeper.do).step,
    }


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
            unscored = scores.without_score(connection, self.since)
        for trainee_id, session_id in outdated:
            self._try(reconsider, trainee_id, session_id)
        for module_id, pairs in groupby(unscored, key=itemgetter(0)):
            people = [trainee_id for _, trainee_id in pairs]
            for first in range(0, len(people), PEOPLE_PER_COMMIT):
                self._try(scores.desire, people[first : first + PEOPLE_PER_COMMIT], module_id)
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
    (marked, not dropped). Lock sessions and replace the tool's signing key when they are old enough."""
    now = house.clock()
    with house.database.write() as connection:
        equivalency.expire_due(connection, today=now.date(), now=now)
        locking.lock_due(connection, now, house.settings.lock_days)
    forget_nonces(house.database, now)
    forget_sessions(house.database, now)
    forget_requests(house.database, now)
    rotate_when_due(house.database, now, house.settings.key_rotation_days)
    return False


def _look_for_gaps(house: House) -> bool:
    return health.look(house.database, house.settings.zoom_quiet, house.clock())


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
    """Changes whenever the evidence about a session does: deliveries, registrants, reports, the end that staff record,
    who they say people are, what they correct, who answered a presence check."""
    ended = live_sessions.show(connection, session_id).ended_by_staff_at
    deliveries = connection.execute(
        select(func.count(), func.max(zoom_inbox.c.id)).where(zoom_inbox.c.meeting_id == meeting_id)
    ).one()
    people = connection.execute(
        select(func.count(), func.max(registrants.c.recorded_at)).where(registrants.c.meeting_id == meeting_id)
    ).one()
    fetches = zoom_report_fetches.c
    asked = connection.scalar(select(func.max(fetches.id)).where(fetches.live_session_id == session_id))
    links, corrections = person_links.c, attendance_corrections.c
    linked = select(func.count(), func.max(links.undone_at)).where(links.meeting_id.in_((meeting_id, "")))
    by_hand = select(func.count(corrections.confirmed_at), func.max(corrections.undone_at))
    taps = select(func.count(presence_check_answers.c.trainee_id)).join_from(presence_checks, presence_check_answers)
    by_people = (
        linked,
        by_hand.where(corrections.live_session_id == session_id),
        taps.where(presence_checks.c.live_session_id == session_id),
    )
    return (*deliveries, *people, ended, asked, *(tuple(connection.execute(each).one()) for each in by_people))
