"""The worker: from Zoom's deliveries to the score a platform accepts, and what comes in late."""

from datetime import date, timedelta

import pytest
import responses
from sqlalchemy import select

from lti_tool.attendance import evidence_gaps, live_sessions, queries
from lti_tool.context import build_context
from lti_tool.credit import claims
from lti_tool.grades import scores
from lti_tool.http import Http
from lti_tool.tables.operations import tasks
from lti_tool.tasks import Every
from lti_tool.worker import build_worker, settle_now
from sandbox.zoom.training_day import Attendee, TrainingDay, encode
from tests.platform import Platform
from tests.training_day import FIVE, MEETING, MODULE, NINE, add_licence, add_place, add_session, add_trainee, enrol
from tests.zoom_registrants import Registrants, with_credentials
from zoom_adapter import places
from zoom_adapter.events import read_event
from zoom_adapter.hash_chain import verify
from zoom_adapter.inbox import Delivery, Inbox


@pytest.fixture
def platform(database, now):
    platform = Platform()
    platform.register(database, now)
    return platform


@pytest.fixture
def context(settings, clock, database):
    return build_context(settings, clock, database=database)


@pytest.fixture
def played(database, published, platform, now):
    """A whole day lies in the inbox, unread: (session id, trainee id)."""
    with database.write() as connection:
        session_id = add_session(connection, published, now)
        trainee_id = add_trainee(connection, 1, now)
        add_place(connection, platform.registration_id, now, line_item_url=platform.line_item_url)
        enrol(connection, platform.registration_id, trainee_id, now)
    day = TrainingDay(MEETING, NINE, FIVE, (Attendee("Trainee One", "trainee1@example.org", "registrant-1"),))
    inbox = Inbox(database)
    for event in day.registrations() + day.events():
        inbox.append(Delivery(read_event(encode(event)), encode(event), {}, 0, now))
    inbox.close()
    return session_id, trainee_id


def deliveries(wire, platform):
    platform.serve_token(wire)
    return wire.post(f"{platform.line_item_url}/scores", status=201, json={})


def read(database, query):
    with database.read() as connection:
        return query(connection)


def test_a_day_in_the_inbox_becomes_a_completion_an_award_and_a_score_on_the_platform(
    database, context, platform, played, now, clock
):
    session_id, trainee_id = played
    with database.write() as connection:
        add_licence(connection, trainee_id, now)
    with responses.RequestsMock() as wire:
        post = deliveries(wire, platform)
        build_worker(context).run_once()
        assert len(post.calls) == 1
        assert b'"scoreGiven": 100' in post.calls[0].request.body
    (score,) = read(database, scores.rows)
    assert (score.status, score.delivered_given) == ("delivered", 100.0)
    assert [each.body_id for each in read(database, lambda c: claims.awards_in_force(c, trainee_id, MODULE))] == ["apa"]
    assert read(database, lambda c: live_sessions.show(c, session_id)).state == "provisional"
    assert read(database, lambda c: c.execute(select(tasks.c.kind).where(tasks.c.run_at <= now)).all()) == []


def test_a_worker_that_starts_again_sends_nothing_twice(database, context, platform, played):
    with responses.RequestsMock() as wire:
        post = deliveries(wire, platform)
        build_worker(context).run_once()
        settle_now(context, played[0])
        build_worker(context).run_once()
        assert len(post.calls) == 1


def test_a_licence_recorded_after_the_day_is_followed(database, context, platform, played, clock):
    with responses.RequestsMock() as wire:
        post = deliveries(wire, platform)
        worker = build_worker(context)
        worker.run_once()
        clock.advance(minutes=5)
        with database.write() as connection:
            add_licence(connection, played[1], clock())
        worker.run_once()
        clock.advance(minutes=5)
        worker.run_once()
        assert [b"6.5 credits (APA)" in call.request.body for call in post.calls] == [False, True]


def test_a_unit_launched_after_the_day_gets_its_score(database, context, platform, played, clock):
    with responses.RequestsMock() as wire:
        deliveries(wire, platform)
        worker = build_worker(context)
        worker.run_once()
        clock.advance(days=1)
        second = f"{platform.line_item_url}-2"
        with database.write() as connection:
            add_place(connection, platform.registration_id, clock(), resource_link_id="unit-2", line_item_url=second)
        post = wire.post(f"{second}/scores", status=201, json={})
        worker.run_once()
        clock.advance(seconds=1)
        worker.run_once()
        assert len(post.calls) == 1


def test_a_task_for_a_locked_session_is_done_without_a_word(database, context, platform, played, now):
    with database.write() as connection:
        live_sessions.cancel(connection, played[0], reason="Never held.", actor="cli", now=now)
    build_worker(context).run_once()
    assert read(database, lambda c: queries.of_session(c, played[0])) == []
    assert read(database, lambda c: c.execute(select(tasks.c.id).where(tasks.c.run_at <= now)).all()) == []


def test_a_job_runs_once_in_its_span_and_again_when_the_clock_is_set_back(clock):
    ran = []
    every = Every(timedelta(seconds=5), clock, lambda: bool(ran.append(clock())))
    for step in (0, 4, 1, 0, -60, 1):
        clock.advance(seconds=step)
        every()
    assert len(ran) == 3


def test_the_worker_seals_what_it_reads_and_looks_for_gaps_once_a_minute(database, context, played, clock):
    worker = build_worker(context)
    worker.run_once()
    clock.at += timedelta(minutes=1)
    worker.step()
    with database.read() as connection:
        verdict = verify(connection)
        assert (verdict.broken, verdict.waiting, verdict.head.position > 3) == (0, 0, True)
        assert evidence_gaps.on_record(connection) == []
    clock.at += timedelta(hours=81)
    worker.step()
    with database.read() as connection:
        assert [gap.code for gap in evidence_gaps.on_record(connection)] == ["challenge_overdue"]


def test_with_zooms_credentials_the_worker_registers_everybody_enrolled(
    database, published, platform, settings, clock, now, wire
):
    meeting = "85300000009"
    with database.write() as connection:
        add_session(connection, published, now, starts=date(2026, 12, 20), zoom_meeting_id=meeting)
        trainee_id = add_trainee(connection, 1, now)
        add_place(connection, platform.registration_id, now)
        enrol(connection, platform.registration_id, trainee_id, now)
    zoom = Registrants(wire, meeting).serve()
    http = Http(resolve=lambda _name, _port: ["93.184.216.34"])
    worker = build_worker(build_context(with_credentials(settings), clock, database=database, http=http))
    worker.run_once()
    worker.run_once()
    place = read(database, lambda c: places.of(c, trainee_id, meeting))
    assert (place.is_ready, zoom.of("approved")) == (True, {"trainee1@example.org"})
    with database.write() as connection:
        session = live_sessions.of_meeting(connection, meeting)[0]
        live_sessions.cancel(connection, session.id, reason="Illness.", actor="cli", now=clock.advance(minutes=1))
    worker.run_once()
    assert zoom.of("cancelled") == {"trainee1@example.org"}
