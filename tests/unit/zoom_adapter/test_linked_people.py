"""People whom staff linked: from the inbox to the minutes, on later days too, back again, and never two made one."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import delete, select

from lti_tool import people
from lti_tool.attendance import live_sessions, matching, queries
from lti_tool.attendance.matching import Claim
from lti_tool.db import Database
from lti_tool.programme.versions import Published
from lti_tool.tables.operations import tasks
from lti_tool.tasks import Worker
from sandbox.zoom.training_day import Attendee, TrainingDay, encode
from tests.clock import TestClock
from tests.zoom_day import CLOSES, MEETING, OPENS, whole_day
from zoom_adapter.events import read_event
from zoom_adapter.inbox import Delivery, Inbox
from zoom_adapter.presence import match_late, settle_presence, take_inbox

GUEST = "guest@elsewhere.example.org"
REGISTERED = Attendee("A guest", GUEST, "rg-guest", "all_day")
ADDRESSED = Attendee("A guest", GUEST, "", "all_day")
NOBODY = Attendee("A guest", "", "", "all_day")
WEEK = timedelta(days=7)


@pytest.fixture
def worker(database: Database, clock: TestClock) -> Worker:
    clock.at = CLOSES + timedelta(hours=2)

    def settle(payload) -> None:
        settle_presence(database, payload["session_id"], lambda *_: None, clock)

    return Worker(
        database, {live_sessions.SETTLE: settle}, {"take": lambda: take_inbox(database, clock())}, clock=clock
    )


@pytest.fixture
def schedule(database: Database, published: Published, now: datetime) -> Callable[[int], int]:
    def add(day: int) -> int:
        starts = datetime.fromisoformat(f"2026-12-{day:02}T09:00")
        with database.write() as connection:
            given = {"module_id": "F1", "starts": starts, "zoom_meeting_id": MEETING, "actor": "cli", "now": now}
            return live_sessions.add(connection, published, **given)

    return add


@pytest.fixture
def trainee_id(database: Database, now: datetime) -> int:
    return launch(database, "trainee@example.org", now)


def launch(database: Database, email: str, now: datetime) -> int:
    with database.write() as connection:
        return people.find_or_add(connection, "https://lms.example.org", email, name="Somebody", email=email, now=now)


def play(database: Database, worker: Worker, day: TrainingDay, clock: TestClock) -> None:
    inbox = Inbox(database)
    for body in map(encode, day.registrations() + day.events()):
        inbox.append(Delivery(read_event(body), body, {}, 0, clock()))
    inbox.close()
    work(worker)


def work(worker: Worker) -> None:
    while worker.run_once():
        pass


def link(database: Database, claim: Claim, trainee_id: int, now: datetime) -> int:
    with database.write() as connection:
        given = {"reason": "She rang.", "actor": "staff:99", "now": now}
        return matching.link(connection, **claim._asdict(), trainee_id=trainee_id, **given)


def undo(database: Database, made: int, now: datetime) -> None:
    with database.write() as connection:
        matching.undo(connection, made, reason="Wrong.", actor="staff:99", now=now)


def seconds_of(database: Database, session_id: int, trainee_id: int) -> int | None:
    with database.read() as connection:
        day = queries.of_trainee_in(connection, trainee_id, session_id)
    return day.seconds_present if day else None


def nobodies(database: Database) -> list[tuple[int, str]]:
    with database.read() as connection:
        return [(day.session_id, day.person_key) for day in queries.unmatched(connection)]


def claim_of(database: Database) -> Claim:
    """What the one unmatched person is known by."""
    ((_, key),) = set(nobodies(database))
    kind, _, value = key.partition(":")
    return Claim(kind, value, MEETING)


@pytest.mark.parametrize("guest", [REGISTERED, ADDRESSED, NOBODY], ids=["registrant", "address", "connection"])
def test_a_linked_guest_is_credited_and_taken_away_when_it_is_undone(
    database, worker, schedule, trainee_id, clock, guest
) -> None:
    session_id = schedule(1)
    play(database, worker, whole_day(guest), clock)
    assert seconds_of(database, session_id, trainee_id) is None
    made = link(database, claim_of(database), trainee_id, clock())
    work(worker)
    assert (seconds_of(database, session_id, trainee_id), nobodies(database)) == (390 * 60, [])
    undo(database, made, clock())
    work(worker)
    assert seconds_of(database, session_id, trainee_id) == 0
    assert len(nobodies(database)) == 1


@pytest.mark.parametrize(
    ("guest", "remembered"),
    [(REGISTERED, True), (ADDRESSED, True), (NOBODY, False)],
    ids=["registrant", "address", "none"],
)
def test_a_registration_and_an_address_are_known_again_a_connection_is_not(
    database, worker, schedule, trainee_id, clock, guest, remembered
) -> None:
    first, then = schedule(1), schedule(8)
    play(database, worker, whole_day(guest), clock)
    link(database, claim_of(database), trainee_id, clock())
    clock.at += WEEK
    play(database, worker, TrainingDay(MEETING, OPENS + WEEK, CLOSES + WEEK, (guest,), seed=8), clock)
    assert seconds_of(database, first, trainee_id) == 390 * 60
    assert seconds_of(database, then, trainee_id) == (390 * 60 if remembered else None)


def test_a_link_that_lost_its_task_is_found_by_the_periodic_look(database, worker, schedule, trainee_id, clock) -> None:
    session_id = schedule(1)
    play(database, worker, whole_day(NOBODY), clock)
    link(database, claim_of(database), trainee_id, clock())
    with database.write() as connection:
        connection.execute(delete(tasks))
    match_late(database, clock())
    with database.read() as connection:
        assert connection.scalars(select(tasks.c.key)).all() == [f"session:{session_id}"]
    work(worker)
    match_late(database, clock())
    with database.read() as connection:
        assert connection.scalars(select(tasks.c.key).where(tasks.c.state == "ready")).all() == []


def test_a_linked_address_that_becomes_anothers_after_class_stays_linked_until_staff_decide(
    database, worker, schedule, trainee_id, clock
) -> None:
    schedule(1)
    play(database, worker, whole_day(ADDRESSED), clock)
    made = link(database, claim_of(database), trainee_id, clock())
    other = launch(database, GUEST, clock())
    work(worker)
    assert (seconds_of(database, 1, trainee_id), nobodies(database)) == (390 * 60, [])
    undo(database, made, clock())
    work(worker)
    assert nobodies(database) == []
    assert seconds_of(database, 1, other) == 390 * 60


def test_a_trainee_there_with_an_own_and_a_linked_address_is_counted_once(
    database, worker, schedule, trainee_id, clock
) -> None:
    session_id = schedule(1)
    own = Attendee("Somebody", "trainee@example.org", "", "all_day")
    play(database, worker, whole_day(own, ADDRESSED), clock)
    link(database, Claim("email", GUEST, ""), trainee_id, clock())
    work(worker)
    assert (seconds_of(database, session_id, trainee_id), nobodies(database)) == (390 * 60, [])


def test_equal_names_are_never_matched(database, worker, schedule, clock, now) -> None:
    schedule(1)
    with database.write() as connection:
        people.find_or_add(connection, "https://lms.example.org", "x", name="A guest", email="x@example.org", now=now)
    play(database, worker, whole_day(NOBODY, ADDRESSED), clock)
    assert len(nobodies(database)) == 2


def test_a_linked_address_that_becomes_two_other_peoples_after_class_stays_linked(
    database, worker, schedule, trainee_id, clock
) -> None:
    session_id = schedule(1)
    play(database, worker, whole_day(ADDRESSED), clock)
    link(database, claim_of(database), trainee_id, clock())
    for platform in ("https://lms.example.org", "https://other.example.org"):
        with database.write() as connection:
            people.find_or_add(connection, platform, "late", name="Somebody", email=GUEST, now=clock())
    work(worker)
    assert (seconds_of(database, session_id, trainee_id), nobodies(database)) == (390 * 60, [])


@pytest.mark.parametrize("registrant", ["", "rg-other"], ids=["address", "registration"])
def test_the_link_of_a_connection_takes_nobodys_presence_away(
    database, worker, schedule, trainee_id, clock, registrant
) -> None:
    session_id = schedule(1)
    other = launch(database, "other@example.org", clock())
    day = whole_day(Attendee("Other", "other@example.org", registrant, "all_day"))
    play(database, worker, day, clock)
    participants = [each["payload"]["object"].get("participant", {}) for each in day.events()]
    for key in sorted({each["participant_uuid"] for each in participants if each}):
        link(database, Claim("connection", key, MEETING), trainee_id, clock())
    with database.write() as connection:
        live_sessions.request_settlement(connection, session_id, clock())
    work(worker)
    assert seconds_of(database, session_id, trainee_id) is None
    assert seconds_of(database, session_id, other) == 390 * 60
