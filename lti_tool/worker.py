"""Every background job of Gatehouse: what the worker does, and when.

A settlement is a task: it runs when it is asked for. All other jobs are periodic. A job returns whether there may be
more to do at once.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, func, select

from lti_tool.attendance import accommodations, live_sessions, locking
from lti_tool.attendance.settlement import PEOPLE_PER_COMMIT
from lti_tool.context import AppContext
from lti_tool.credit import claims
from lti_tool.db import chunks
from lti_tool.gates import completion_batches, equivalency
from lti_tool.grades import line_items, scores
from lti_tool.grades.delivery import Deliverer
from lti_tool.grades.line_item_search import LineItemSearch
from lti_tool.grades.outcomes import follow_attendance, reconsider
from lti_tool.grades.reconcile import Reconciler
from lti_tool.lti.deep_linking import forget_requests
from lti_tool.lti.keys import rotate_when_due
from lti_tool.lti.login import forget_nonces
from lti_tool.mail import delivery
from lti_tool.materials import storage
from lti_tool.platforms.course_copies import NOTICES_PATH, NoticeAsker
from lti_tool.platforms.launch_records import record_latest_launches
from lti_tool.rosters import schedule
from lti_tool.rosters.reading import RosterReader
from lti_tool.tables.live_sessions import live_sessions as live_sessions_table
from lti_tool.tables.operations import tasks
from lti_tool.tables.presence import attendance_corrections, person_links, presence_check_answers, presence_checks
from lti_tool.tables.zoom import registrants, zoom_inbox, zoom_report_fetches
from lti_tool.tasks import Every, JobPool, Worker
from lti_tool.web.session import forget_sessions
from lti_tool.web.staff import attention
from zoom_adapter import admission, health, presence
from zoom_adapter.api import ZoomApi
from zoom_adapter.hash_chain import HeadLogger
from zoom_adapter.meetings import MeetingDecider
from zoom_adapter.reconcile import POLLS, RECONCILE, PollReader, ReportReader
from zoom_adapter.recovery import RECOVER, LogReader
from zoom_adapter.registration import Registrar

log = logging.getLogger(__name__)

# How often the worker looks for changes that settlement could not know: a licence or a launch that came later.
LATE_CHANGES_EVERY = timedelta(seconds=5)
# How often it plans: new courses, sessions that begin, reports and registrations that are due.
PLAN_EVERY = timedelta(seconds=10)
# How often it looks for reminders and digests that are due.
MAIL_EVERY = timedelta(minutes=5)
GAPS_EVERY = timedelta(minutes=1)
TIDY_EVERY = timedelta(minutes=10)
# How many batches of people are registered at Zoom at the same time.
REGISTRARS = 3
# Tasks that call Zoom, and may wait for it for minutes. They have a thread of their own.
ZOOM_TASKS = (RECONCILE, POLLS, RECOVER)


def build_worker(context: AppContext) -> Worker:
    """The worker with all its jobs, in the order in which a round runs them."""
    database, clock, platform_api, lease = context.database, context.clock, context.platform_api, context.settings.lease
    zoom = zoom_api(context)
    reports = ReportReader(database, zoom, clock)
    polls = PollReader(database, zoom, clock)
    recovery = LogReader(database, zoom, clock)
    handlers = {RECONCILE: reports.read_due, POLLS: polls.read_due, RECOVER: recovery.read_due}
    zoom_worker = Worker(database, handlers, clock=clock, these=tasks.c.kind.in_(ZOOM_TASKS), lease=lease)
    late_changes = LateChanges(context)
    search = LineItemSearch(database, platform_api, clock, after=late_changes.run)
    notices = NoticeAsker(database, platform_api, clock, f"{context.settings.public_url}{NOTICES_PATH}")
    return Worker(
        database,
        handlers={live_sessions.SETTLE: partial(settle_session, context)},
        periodic={
            # Zoom's deliveries become presence, and settlement tasks.
            "read_inbox": lambda: presence.take_inbox(database, clock()),
            # Platforms: scores, grade columns, results, rosters, notices of course copies.
            "deliver_scores": Deliverer(database, platform_api, clock).deliver_due,
            "search_line_items": search.search_due,
            "read_results": Reconciler(database, platform_api, clock).read_due,
            "plan_rosters": Every(PLAN_EVERY, clock, lambda: schedule.plan(database, clock())),
            "read_rosters": RosterReader(database, platform_api, clock, context.settings.roster_every).read_due,
            "ask_for_notices": Every(PLAN_EVERY, clock, notices.ask_due),
            # Zoom: reports, polls and lost deliveries.
            "plan_reports": Every(PLAN_EVERY, clock, reports.plan),
            "plan_polls": Every(PLAN_EVERY, clock, polls.plan),
            "plan_recovery": Every(PLAN_EVERY, clock, recovery.plan),
            "ask_zoom": JobPool("zoom", 1, zoom_worker.claim, zoom_worker.do).step,
            **_registration_jobs(context, zoom),
            **_mail_jobs(context),
            # Changes that come later, gaps in the evidence, and tidying.
            "match_people": Every(LATE_CHANGES_EVERY, clock, lambda: presence.match_late(database, clock())),
            "follow_late_changes": Every(LATE_CHANGES_EVERY, clock, late_changes.run),
            "look_for_gaps": Every(
                GAPS_EVERY, clock, lambda: health.record_gaps(database, context.settings.zoom_quiet, clock())
            ),
            "log_seal": Every(TIDY_EVERY, clock, HeadLogger(database).log_head),
            "clean_materials": Every(TIDY_EVERY, clock, lambda: storage.clean(database, clock())),
            "tidy": Every(TIDY_EVERY, clock, partial(tidy, context)),
        },
        clock=clock,
        these=tasks.c.kind.not_in(ZOOM_TASKS),
        lease=lease,
    )


def _registration_jobs(context: AppContext, zoom: ZoomApi | None) -> dict[str, Callable[[], bool]]:
    """The jobs that keep Zoom's registrants in line with the gate; none without Zoom's credentials."""
    if zoom is None:
        return {}
    admits = admission.may_register if context.settings.zoom_registration == "gate" else None
    registrar = Registrar(context.database, zoom, context.clock)
    decider = MeetingDecider(context.database, zoom, context.clock, admits)
    return {
        "plan_registrations": admission.PlacePlan(context.database, context.clock).step,
        "plan_meetings": Every(PLAN_EVERY, context.clock, decider.plan),
        "register_people": JobPool("places", REGISTRARS, registrar.claim, registrar.do).step,
        "keep_meetings": JobPool("meetings", 1, decider.claim, decider.do).step,
    }


def _mail_jobs(context: AppContext) -> dict[str, Callable[[], bool]]:
    """The jobs that send messages to people; none without a mail server."""
    if not context.settings.has_mail:
        return {}
    sender = delivery.MailSender(context, attention.summary)
    return {
        "plan_mail": Every(MAIL_EVERY, context.clock, lambda: delivery.plan(context.database, context.clock())),
        "send_mail": JobPool("mail", 1, sender.claim, sender.do).step,
    }


def zoom_api(context: AppContext) -> ZoomApi | None:
    """Zoom's REST interface; None without credentials. Make one and share it: it keeps the token and the pace of the
    calls."""
    return ZoomApi(context.http, context.settings, context.clock) if context.settings.has_zoom_api else None


def settle_session(context: AppContext, payload: Mapping[str, Any]) -> None:
    """The settlement task: settle one live session, and ask for another settlement if its evidence changed meanwhile.
    Another worker may have settled the newer evidence, and this one written over it."""
    session_id = int(payload["session_id"])
    with context.database.read() as connection:
        session = live_sessions.show(connection, session_id)
        before = _evidence_mark(connection, session_id, session.zoom_meeting_id)
    if session.state in ("cancelled", "locked"):
        log.warning("evidence for a session that is no longer settled", extra={"session": session_id})
        return
    settle_now(context, session_id)
    with context.database.write() as connection:
        if _evidence_mark(connection, session_id, session.zoom_meeting_id) != before:
            live_sessions.request_settlement(connection, session_id, context.clock())


def settle_now(context: AppContext, session_id: int) -> None:
    """Settle one live session from everything the inbox holds, with all that follows from it (`follow_attendance`).
    Raises as `settlement.settle` does."""
    after = partial(follow_attendance, now=context.clock())
    presence.settle_presence(context.database, session_id, after, context.clock)


def _evidence_mark(connection: Connection, session_id: int, meeting_id: str) -> list[tuple[Any, ...]]:
    """A value that changes whenever the evidence about a session does."""
    links, corrections, fetches = person_links.c, attendance_corrections.c, zoom_report_fetches.c
    sources = (
        # Zoom's deliveries, registrants and reports.
        select(func.count(), func.max(zoom_inbox.c.id)).where(zoom_inbox.c.meeting_id == meeting_id),
        select(func.count(), func.max(registrants.c.recorded_at)).where(registrants.c.meeting_id == meeting_id),
        select(func.max(fetches.id)).where(fetches.live_session_id == session_id),
        # What staff recorded: the end, who people are, corrections.
        select(live_sessions_table.c.ended_by_staff_at).where(live_sessions_table.c.id == session_id),
        select(func.count(), func.max(links.undone_at)).where(links.meeting_id.in_((meeting_id, ""))),
        select(func.count(corrections.confirmed_at), func.max(corrections.undone_at)).where(
            corrections.live_session_id == session_id
        ),
        # Answers to presence checks.
        select(func.count(presence_check_answers.c.trainee_id))
        .join_from(presence_checks, presence_check_answers)
        .where(presence_checks.c.live_session_id == session_id),
    )
    return [tuple(connection.execute(each).one()) for each in sources]


@dataclass
class LateChanges:
    """Late changes: brings claims and scores in line with what settlement could not know, such as a licence that was
    recorded, or a unit that was launched, after the session."""

    context: AppContext
    since: datetime = field(default=datetime.min.replace(tzinfo=UTC))

    def run(self) -> bool:
        """A periodic job; never asks to run again at once: what is left waits for the next time."""
        started = self.context.clock()
        self._try(line_items.connect)
        with self.context.database.read() as connection:
            outdated = claims.outdated(connection)
            unscored = scores.without_score(connection, self.since)
        for trainee_id, session_id in outdated:
            self._try(reconsider, trainee_id, session_id)
        for module_id, pairs in groupby(unscored, key=itemgetter(0)):
            people = [trainee_id for _, trainee_id in pairs]
            for some in chunks(people, PEOPLE_PER_COMMIT):
                self._try(scores.desire, some, module_id)
        # A launch that is being committed now may carry an earlier moment.
        self.since = started - timedelta(minutes=1)
        return False

    def _try(self, job: Callable[..., object], *about: Any) -> None:
        """One change in a transaction of its own. A change that fails is tried again later, and does not stop the
        worker."""
        try:
            with self.context.database.write() as connection:
                job(connection, *about, self.context.clock())
        except Exception as error:
            log.error("a late change could not be followed", extra={"error": type(error).__name__})


def tidy(context: AppContext) -> bool:
    """End expired equivalencies, lock old live sessions, close answered requests for accommodations that are no longer
    needed, record the latest launches, and delete expired nonces, browser sessions, deep linking requests, old
    messages, uploads, copies of files and the texts of closed requests for accommodations. Replace the tool's signing
    key when it is old enough."""
    now = context.clock()
    with context.database.write() as connection:
        equivalency.expire_due(connection, today=now.date(), now=now)
        locking.lock_due(connection, now, context.settings.lock_days)
        accommodations.close_due(connection, now, context.settings.accommodation_days)
        accommodations.purge(connection, now, context.settings.accommodation_days)
        completion_batches.forget_uploads(connection, now)
        delivery.forget_old(connection, now)
    forget_nonces(context.database, now)
    record_latest_launches(context.database)
    forget_sessions(context.database, now)
    forget_requests(context.database, now)
    storage.forget_copies(context.settings.data)
    rotate_when_due(context.database, now, context.settings.key_rotation_days)
    return False
