"""From the end of a class to reconciled, awarded and locked: the whole road, on the tool's own worker."""

import threading
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import responses
from sqlalchemy import select

from lti_tool import people
from lti_tool.attendance import live_sessions, locking, queries, reviews
from lti_tool.attendance.queries import AttendedDay
from lti_tool.context import AppContext, build_context
from lti_tool.credit import claims
from lti_tool.db import Database
from lti_tool.gates.publication import publish
from lti_tool.programme.versions import Published, current
from lti_tool.settings import Settings
from lti_tool.tables.gates import completions
from lti_tool.tables.operations import tasks
from lti_tool.tables.zoom import zoom_inbox
from lti_tool.tasks import Worker
from lti_tool.worker import build_worker
from sandbox.zoom.training_day import Attendee, TrainingDay, encode
from tests.clock import TestClock
from tests.conftest import DEMO_PROGRAMME
from tests.reporting_zoom import ReportingZoom, with_credentials
from tests.training_day import add_licence
from tests.waiting import until
from tests.zoom_day import CLOSES, MEETING, OPENS, people_of, whole_day
from zoom_adapter.events import read_event
from zoom_adapter.inbox import Delivery, Inbox
from zoom_adapter.reconcile import RECONCILE

CAST = people_of("breakouts", "late", "reconnects", "away_for_lunch")
DAY = whole_day(*CAST)
BREAKOUTS, LATE = "breakouts@example.org", "late@example.org"


@pytest.fixture
def clock() -> TestClock:
    return TestClock(OPENS - timedelta(hours=1))


@pytest.fixture
def published(database: Database, clock: TestClock) -> Published:
    """The demonstration's programme, with credit that rests on reconciled evidence."""
    document = DEMO_PROGRAMME.read_text(encoding="utf-8")
    document = document.replace("award_evidence: provisional", "award_evidence: reconciled")
    with database.write() as connection:
        publish(connection, document, "demo.yaml", actor="cli", now=clock())
        return current(connection)


@pytest.fixture
def zoom(wire: responses.RequestsMock) -> ReportingZoom:
    zoom = ReportingZoom(wire)
    zoom.held[MEETING] = [(DAY.uuid, OPENS - timedelta(minutes=12))]
    zoom.rows[DAY.uuid] = DAY.report_rows()
    return zoom


@pytest.fixture
def context(settings: Settings, database: Database, clock: TestClock, zoom: ReportingZoom) -> AppContext:
    return build_context(with_credentials(settings), clock, database=database)


@pytest.fixture
def worker(context: AppContext) -> Worker:
    return build_worker(context)


@pytest.fixture
def session_id(database: Database, published: Published, clock: TestClock) -> int:
    with database.write() as connection:
        for each in CAST:
            trainee_id = people.find_or_add(
                connection, "https://lms", each.email, name=each.name, email=each.email, now=clock()
            )
            add_licence(connection, trainee_id, clock(), type="psychologist")
        return live_sessions.add(
            connection,
            published,
            module_id="F1",
            starts=datetime.fromisoformat("2026-12-01T09:00"),
            zoom_meeting_id=MEETING,
            actor="cli",
            now=clock(),
        )


def deliver(context: AppContext, events: Iterable[dict[str, Any]]) -> None:
    inbox = Inbox(context.database)
    for event in events:
        inbox.append(Delivery(read_event(encode(event)), encode(event), {}, 0, context.clock()))
    inbox.close()


def pass_time(worker: Worker, clock: TestClock, *minutes: int) -> None:
    """Work at these minutes after the end of the class; each of them is a little late, as a worker is."""
    for each in minutes:
        clock.at = CLOSES + timedelta(minutes=each, seconds=200)
        worker.run_once()


def state(context: AppContext, session_id: int) -> str:
    with context.database.read() as connection:
        return live_sessions.show(connection, session_id).state


def day_of(context: AppContext, session_id: int, email: str) -> AttendedDay:
    with context.database.read() as connection:
        return next(each for each in queries.of_session(connection, session_id) if each.email == email)


def awarded(context: AppContext, session_id: int, email: str) -> list[tuple[str, Decimal]]:
    trainee_id = day_of(context, session_id, email).trainee_id
    assert trainee_id
    with context.database.read() as connection:
        return [(row.body_id, row.credits) for row in claims.awards_in_force(connection, trainee_id, "F1")]


def without(events: Iterable[dict[str, Any]], email: str, edge: str, number: int = 0) -> list[dict[str, Any]]:
    """These events but for one edge of a person."""
    found = [
        event
        for event in events
        if event["event"].endswith(edge) and event["payload"]["object"].get("participant", {}).get("email") == email
    ]
    return [event for event in events if event is not found[number]]


def let_stand(context: AppContext, session_id: int, day: AttendedDay) -> None:
    with context.database.write() as connection:
        reviews.let_stand(
            connection,
            session_id=session_id,
            person_key=day.person_key,
            digest=day.input_digest,
            reason="The webhook was down that day.",
            actor="cli",
            now=context.clock(),
        )


def test_provisional_then_reconciled_then_awarded_then_locked(
    context: AppContext, worker: Worker, clock: TestClock, session_id: int
) -> None:
    deliver(context, DAY.registrations() + DAY.events())
    pass_time(worker, clock, 0)
    assert (state(context, session_id), awarded(context, session_id, BREAKOUTS)) == ("provisional", [])
    waiting = day_of(context, session_id, BREAKOUTS)
    assert (waiting.completed, waiting.is_provisional, waiting.day.report) == (True, True, None)
    pass_time(worker, clock, 5, 15, 30, 60, 89 - 3)
    assert (state(context, session_id), awarded(context, session_id, BREAKOUTS)) == ("provisional", [])
    pass_time(worker, clock, 92)
    assert state(context, session_id) == "reconciled"
    final = day_of(context, session_id, BREAKOUTS)
    assert (final.is_provisional, final.seconds_present) == (False, waiting.seconds_present)
    assert final.day.report.difference_seconds == 0
    assert {each.evidence for each in final.day.intervals} == {"both"}
    assert [body for body, _ in awarded(context, session_id, BREAKOUTS)] == ["apa"]
    with context.database.write() as connection:
        locking.lock(connection, session_id, actor="cli", reason="Nothing is open.", now=clock())
    assert [body for body, _ in awarded(context, session_id, BREAKOUTS)] == ["apa"]


def test_a_lost_departure_is_an_estimate_until_the_report_confirms_it(
    context: AppContext, worker: Worker, clock: TestClock, session_id: int
) -> None:
    deliver(context, DAY.registrations() + without(DAY.events(), LATE, "participant_left", -1))
    pass_time(worker, clock, 0)
    assert "estimated" in day_of(context, session_id, LATE).flags
    pass_time(worker, clock, 5, 15, 92)
    confirmed = day_of(context, session_id, LATE)
    truth = DAY.truth()[[each.email for each in CAST].index(LATE)]
    assert confirmed.day.report.report_seconds == sum((to - since).total_seconds() for since, to in truth)
    assert confirmed.seconds_present == 350 * 60
    assert "report" in {each.evidence for each in confirmed.day.intervals if each.counts}
    assert (confirmed.completed, state(context, session_id)) == (True, "reconciled")


def test_somebody_of_whom_every_webhook_was_lost_is_in_the_report(
    context: AppContext, worker: Worker, clock: TestClock, session_id: int
) -> None:
    lost = [event for event in DAY.events() if BREAKOUTS not in str(event)]
    deliver(context, DAY.registrations() + lost)
    pass_time(worker, clock, 0, 5, 15, 92)
    found = day_of(context, session_id, BREAKOUTS)
    assert found.seconds_present == 390 * 60
    assert {each.evidence for each in found.day.intervals} == {"report"}
    assert found.day.report.difference_seconds > 0


def test_a_class_of_which_no_webhook_came_at_all_is_reconciled_from_zooms_reports_and_awarded_once_looked_at(
    context: AppContext, worker: Worker, clock: TestClock, session_id: int
) -> None:
    deliver(context, DAY.registrations())
    pass_time(worker, clock, 0, 60, 97, 107, 123)
    assert state(context, session_id) == "reconciled"
    assert day_of(context, session_id, BREAKOUTS).seconds_present == 390 * 60
    assert awarded(context, session_id, BREAKOUTS) == []
    let_stand(context, session_id, day_of(context, session_id, BREAKOUTS))
    pass_time(worker, clock, 125)
    assert [body for body, _ in awarded(context, session_id, BREAKOUTS)] == ["apa"]


def test_late_evidence_is_settled_again_and_the_session_stays_reconciled(
    context: AppContext, worker: Worker, clock: TestClock, session_id: int
) -> None:
    deliver(context, DAY.registrations() + DAY.events())
    pass_time(worker, clock, 0, 5, 15, 92)
    second = whole_day(*CAST, Attendee("Ada", "ada@example.org", "rg-ada", "all_day"))
    told = ((event["payload"]["object"].get("participant", {}), event) for event in second.events())
    late = [event for participant, event in told if participant.get("user_name") == "Ada"]
    deliver(context, late)
    pass_time(worker, clock, 95)
    with context.database.read() as connection:
        assert len(queries.of_session(connection, session_id)) == len(CAST) + 1
    assert state(context, session_id) == "reconciled"


def test_a_restart_that_only_a_late_delivery_tells_of_makes_it_provisional_until_its_report_agrees(
    context: AppContext, worker: Worker, clock: TestClock, zoom: ReportingZoom, session_id: int
) -> None:
    deliver(context, DAY.registrations() + DAY.events())
    pass_time(worker, clock, 0, 5, 15, 92)
    assert state(context, session_id) == "reconciled"
    second = TrainingDay(MEETING, OPENS + timedelta(hours=4), CLOSES, people_of("leaves_at_lunch"), seed=5)
    deliver(context, second.events())
    pass_time(worker, clock, 100)
    assert state(context, session_id) == "provisional"
    zoom.rows[second.uuid] = second.report_rows()
    zoom.held[MEETING].append((second.uuid, second.opens_at))
    pass_time(worker, clock, 130, 24 * 60, 25 * 60)
    assert state(context, session_id) == "reconciled"


def test_without_agreement_the_session_stays_provisional_and_nothing_is_awarded(
    context: AppContext, worker: Worker, clock: TestClock, zoom: ReportingZoom, session_id: int
) -> None:
    del zoom.rows[DAY.uuid]
    deliver(context, DAY.registrations() + DAY.events())
    pass_time(worker, clock, 0, 5, 15, 30, 60, 120, 24 * 60)
    assert (state(context, session_id), awarded(context, session_id, BREAKOUTS)) == ("provisional", [])
    with context.database.read() as connection:
        trainee_id = day_of(context, session_id, BREAKOUTS).trainee_id
        (claim,) = [row for row in claims.of_trainee(connection, trainee_id or 0) if row.body_id == "apa"]
    assert "evidence" in {line["name"] for line in claim.checklist if line["satisfied"] is None}


def test_what_is_odd_in_a_report_is_flagged_and_never_silent(
    context: AppContext, worker: Worker, clock: TestClock, zoom: ReportingZoom, session_id: int
) -> None:
    """A missing person, somebody extra, the waiting room, one row twice, a name without anything, impossible times."""
    rows = [row for row in DAY.report_rows() if row["user_email"] != LATE]
    pattern = rows[0]
    stranger = {**pattern, "user_email": "", "registrant_id": "", "user_id": "99", "name": "Person late"}
    waiting = {**stranger, "user_id": "98", "status": "in_waiting_room"}
    backwards = {**stranger, "user_id": "97", "join_time": pattern["leave_time"], "leave_time": pattern["join_time"]}
    absurd = {**stranger, "user_id": "96", "join_time": "yesterday", "leave_time": None}
    zoom.rows[DAY.uuid] = [*rows, rows[0], stranger, waiting, backwards, absurd]
    deliver(context, DAY.registrations() + DAY.events())
    pass_time(worker, clock, 0, 5, 15, 92)
    assert state(context, session_id) == "reconciled"
    missing, whole = day_of(context, session_id, LATE), day_of(context, session_id, BREAKOUTS)
    assert ("report_missing" in missing.flags, missing.needs_review, missing.is_provisional) == (True, True, True)
    assert (whole.day.report.difference_seconds, whole.needs_review) == (0, False)
    with context.database.read() as connection:
        unknown = [each for each in queries.of_session(connection, session_id) if each.trainee_id is None]
    assert [each.display_name for each in unknown] == ["Person late"]


def test_nothing_is_left_waiting_when_all_is_said(
    context: AppContext, worker: Worker, clock: TestClock, zoom: ReportingZoom, session_id: int
) -> None:
    deliver(context, DAY.registrations() + DAY.events())
    pass_time(worker, clock, 0, 5, 15, 92, 24 * 60)
    asked = zoom.questions()
    pass_time(worker, clock, 26 * 60, 30 * 60, 72 * 60)
    assert zoom.questions() == asked == 3
    with context.database.read() as connection:
        kinds = connection.execute(select(tasks.c.kind)).scalars().all()
    assert [kind for kind in kinds if kind in ("settle", "reconcile")] == []


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("count", [1, 2], ids=["one worker", "two workers"])
def test_a_report_that_takes_longer_than_its_lease_is_asked_for_once_however_many_work(
    context: AppContext, clock: TestClock, zoom: ReportingZoom, session_id: int, count: int
) -> None:
    settings = replace(context.settings, lease_seconds=1)
    others = [Database(settings.database_url, settings.cipher) for _ in range(count)]
    workers = [build_worker(build_context(settings, clock, database=each)) for each in others]
    answers, may_answer = [threading.Event() for _ in range(2)], threading.Event()
    zoom.meanwhile += [lambda each=each: (each.set(), may_answer.wait(60)) for each in reversed(answers)]
    deliver(context, DAY.registrations() + DAY.events())
    states = []
    for minutes, asked in zip((24 * 60, 26 * 60), answers, strict=True):
        clock.at = CLOSES + timedelta(minutes=minutes)
        may_answer.clear()
        until(lambda asked=asked: [each.step() for each in workers] and asked.is_set())
        for _ in range(3):  # each time the plan is made again
            clock.advance(seconds=15)
            until(lambda: is_renewed(context, clock()))
            for each in workers:
                each.step()
        may_answer.set()
        until(lambda: not [each for each in workers if each.step()])
        states.append((zoom.questions(), state(context, session_id)))
    assert states == [(1, "provisional"), (2, "reconciled")]
    for database in others:
        database.close()


def is_renewed(context: AppContext, now: datetime) -> bool:
    """Whether the lease of the report in hand reaches further than now."""
    in_hand = select(tasks.c.leased_until).where(tasks.c.kind == RECONCILE, tasks.c.lease_owner.is_not(None))
    with context.database.read() as connection:
        until_then = connection.scalar(in_hand)
    return until_then is not None and until_then > now


def test_while_zoom_takes_its_time_over_a_report_the_inbox_is_read(
    context: AppContext, worker: Worker, zoom: ReportingZoom, clock: TestClock, session_id: int
) -> None:
    first, *rest = DAY.registrations() + DAY.events()
    deliver(context, rest)
    taken: list[bool] = []

    def is_taken() -> bool:
        with context.database.read() as connection:
            return connection.execute(select(zoom_inbox.c.id).where(zoom_inbox.c.taken_at.is_(None))).first() is None

    def take_time() -> None:
        deliver(context, [first])
        until(is_taken)
        taken.append(True)

    zoom.meanwhile.append(take_time)
    pass_time(worker, clock, 0, 5)
    assert taken == [True]


@pytest.mark.parametrize("last", ["participant_left", "ended"])
def test_nothing_is_given_that_a_departure_told_after_the_end_would_take_back(
    context: AppContext, worker: Worker, clock: TestClock, session_id: int, last: str
) -> None:
    events = DAY.events()
    late = [each for each in events if each["event"].endswith(last)]
    every = select(completions.c.ended_at).where(completions.c.live_session_id == session_id)
    deliver(context, DAY.registrations() + [each for each in events if each not in late])
    clock.at = CLOSES + timedelta(seconds=30)
    worker.run_once()
    with context.database.read() as connection:
        assert connection.scalars(every).all() == []
    deliver(context, late)
    pass_time(worker, clock, 0)
    with context.database.read() as connection:
        assert set(connection.scalars(every)) == {None}
