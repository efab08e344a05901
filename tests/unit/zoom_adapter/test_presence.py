"""From the inbox to the people of a live session."""

import random
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from lti_tool import people
from lti_tool.attendance import live_sessions, locking
from lti_tool.attendance.evidence import PersonPresence
from lti_tool.db import Database
from lti_tool.intervals import union
from lti_tool.programme.versions import Published
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.live_sessions import live_sessions as sessions_table
from lti_tool.tables.operations import tasks
from lti_tool.tables.zoom import registrants, zoom_inbox
from lti_tool.tasks import Worker
from sandbox.zoom.behaviours import Visit
from sandbox.zoom.training_day import Attendee, TrainingDay, arrivals, encode
from tests.clock import TestClock
from tests.statements import listening
from tests.zoom_day import CLOSES, MEETING, OPENS, people_of, seconds, whole_day
from zoom_adapter import presence, reports
from zoom_adapter.events import read_event
from zoom_adapter.inbox import Delivery, Inbox
from zoom_adapter.presence import load_presence, match_late, settle_presence, take_inbox

AFTER_CLASS = CLOSES + timedelta(hours=1)
WEEK = timedelta(days=7)
DAY_OF_ONE = whole_day(*people_of("all_day")).events()


@pytest.fixture
def inbox(database: Database):
    inbox = Inbox(database)
    yield inbox
    inbox.close()


@pytest.fixture
def session_id(database: Database, published: Published, now: datetime) -> int:
    return add_session(database, published, now)


def add_session(database: Database, published: Published, now: datetime, day: int = 1) -> int:
    with database.write() as connection:
        return live_sessions.add(
            connection,
            published,
            module_id="F1",
            starts=datetime.fromisoformat(f"2026-12-{day:02}T09:00"),
            zoom_meeting_id=MEETING,
            actor="cli",
            now=now,
        )


def add_trainee(database: Database, email: str, now: datetime, sub: str = "") -> int:
    with database.write() as connection:
        return people.find_or_add(
            connection, "https://lms.example.org", sub or email, name="Somebody", email=email, now=now
        )


def deliver(inbox: Inbox, bodies: Iterable[bytes], now: datetime, *, stale: bool = False) -> None:
    for body in bodies:
        inbox.append(Delivery(read_event(body, stale=stale), body, {}, 0, now))


def present(database: Database, session_id: int) -> Sequence[PersonPresence]:
    with database.read() as connection:
        session = connection.execute(select(sessions_table).where(sessions_table.c.id == session_id)).one()
        return load_presence(connection, session).people


def waiting(database: Database) -> dict[str, datetime]:
    with database.read() as connection:
        return {row.key: row.run_at for row in connection.execute(select(tasks.c.key, tasks.c.run_at))}


def spans(person: PersonPresence) -> list[tuple[datetime, datetime]]:
    return union((each.from_at, each.to_at) for each in person.intervals if each.counts)


def test_a_day_in_any_order_and_portions_gives_everybody_the_true_seconds(
    database: Database, inbox: Inbox, session_id: int, now: datetime
) -> None:
    day = whole_day(*people_of("breakouts", "reconnects", "two_devices", "leaves_at_lunch", "late"))
    known = {each.email: add_trainee(database, each.email, now) for each in day.attendees}
    bodies = arrivals(day.registrations() + day.events(), shuffle=True, duplicate=True, seed=7)
    for start in range(0, len(bodies), 23):
        deliver(inbox, bodies[start : start + 23], now)
        take_inbox(database, now)
    found = {person.trainee_id: person for person in present(database, session_id)}
    for attendee, truth in zip(day.attendees, day.truth(), strict=True):
        assert seconds(spans(found[known[attendee.email]])) == seconds(truth), attendee.behaviour


def test_taking_marks_every_row_once_and_asks_once(
    database: Database, inbox: Inbox, session_id: int, now: datetime
) -> None:
    assert take_inbox(database, now) is False
    deliver(inbox, map(encode, whole_day(*people_of("all_day")).events()), now)
    assert take_inbox(database, now) is True
    assert take_inbox(database, now) is False
    assert f"session:{session_id}" in waiting(database)
    with database.read() as connection:
        assert connection.scalar(select(func.count()).where(zoom_inbox.c.taken_at == now)) > 0
        assert connection.scalar(select(func.count()).where(zoom_inbox.c.taken_at.is_(None))) == 0


@pytest.mark.databases("sqlite")
def test_a_reading_goes_through_no_whole_inbox(
    database: Database, inbox: Inbox, session_id: int, now: datetime
) -> None:
    """On SQLite no delivery is stored meanwhile, and Zoom waits."""
    deliver(inbox, map(encode, whole_day(*people_of("all_day")).events()), now)
    with listening(database) as asked:
        take_inbox(database, now)
    with database.read() as connection:
        about = [each for each in asked if "zoom_inbox" in each[0]]
        plans = [str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}", given).all()) for words, given in about]
    assert len(plans) >= 4
    assert [each for each in plans if "'SCAN zoom_inbox'" in each] == []


def test_while_the_class_runs_it_is_only_looked_at_after_its_end(
    database: Database, inbox: Inbox, session_id: int, now: datetime
) -> None:
    running = whole_day(*people_of("all_day")).events()[:-1]
    deliver(inbox, map(encode, running), now)
    take_inbox(database, now)
    assert waiting(database) == {f"session:{session_id}:over": CLOSES + timedelta(minutes=10)}


def test_a_class_of_the_past_without_an_end_is_looked_at_now(database: Database, inbox: Inbox, session_id: int) -> None:
    deliver(inbox, map(encode, whole_day(*people_of("all_day")).events()[:-1]), AFTER_CLASS)
    take_inbox(database, AFTER_CLASS)
    assert list(waiting(database)) == [f"session:{session_id}"]


def test_a_late_delivery_settles_a_class_that_had_ended(
    database: Database, inbox: Inbox, session_id: int, now: datetime
) -> None:
    bodies = [encode(event) for event in whole_day(*people_of("all_day")).events()]
    late = bodies.pop(2)
    deliver(inbox, bodies, now)
    take_inbox(database, now)
    with database.write() as connection:
        connection.execute(tasks.delete())
    deliver(inbox, [late], now)
    take_inbox(database, now)
    assert f"session:{session_id}" in waiting(database)


def test_another_day_of_the_same_meeting_id_is_another_class(
    database: Database, inbox: Inbox, published: Published, now: datetime
) -> None:
    first, second = add_session(database, published, now, day=1), add_session(database, published, now, day=8)
    deliver(inbox, map(encode, whole_day(*people_of("late")).events()), now)
    take_inbox(database, now)
    assert f"session:{first}" in waiting(database)
    assert not any(key.startswith(f"session:{second}") for key in waiting(database))
    assert len(present(database, first)) == 1
    assert present(database, second) == ()


def test_a_restart_during_class_is_one_union(database: Database, inbox: Inbox, session_id: int, now: datetime) -> None:
    cast = people_of("leaves_at_lunch")
    afternoon = TrainingDay(MEETING, OPENS + timedelta(hours=4), CLOSES, cast, seed=2)
    for day in (whole_day(*cast), afternoon):
        deliver(inbox, map(encode, day.events()), now)
    (person,) = present(database, session_id)
    assert len(spans(person)) == 2


def ends(database: Database, session_id: int) -> datetime | None:
    with database.read() as connection:
        session = connection.execute(select(sessions_table).where(sessions_table.c.id == session_id)).one()
        return load_presence(connection, session).ended_at


def joined(day: TrainingDay) -> list[bytes]:
    return [encode(event) for event in day.events() if event["event"].endswith("participant_joined")]


def last_edge(day: TrainingDay) -> datetime:
    """The generator ends a meeting when the last person leaves."""
    return day.truth()[0][-1][1]


def test_a_click_on_the_link_after_class_does_not_make_it_run_again(
    database: Database, inbox: Inbox, session_id: int, now: datetime
) -> None:
    stray = TrainingDay(MEETING, CLOSES + timedelta(minutes=20), CLOSES + timedelta(minutes=25), people_of("guest"))
    early = TrainingDay(MEETING, OPENS, CLOSES - timedelta(minutes=9), people_of("all_day"))
    deliver(inbox, [*map(encode, early.events()), *joined(stray)], now)
    assert ends(database, session_id) == last_edge(early)


def test_the_afternoon_in_the_same_meeting_keeps_no_morning_open(
    database: Database, inbox: Inbox, session_id: int, now: datetime
) -> None:
    first = TrainingDay(MEETING, OPENS, CLOSES + timedelta(minutes=3), people_of("all_day"))
    second = TrainingDay(MEETING, CLOSES + timedelta(hours=1), CLOSES + timedelta(hours=5), people_of("all_day"))
    deliver(inbox, map(encode, first.events() + second.events()[:-1]), now)
    assert ends(database, session_id) == last_edge(first)
    deliver(inbox, map(encode, second.events()[-1:]), now)
    assert ends(database, session_id) == last_edge(first)


def test_a_restart_before_the_end_keeps_the_class_open(
    database: Database, inbox: Inbox, session_id: int, now: datetime
) -> None:
    first = TrainingDay(MEETING, OPENS, OPENS + timedelta(hours=3), people_of("all_day"))
    second = TrainingDay(MEETING, OPENS + timedelta(hours=4), CLOSES, people_of("all_day"))
    deliver(inbox, [*map(encode, first.events()), *joined(second)], now)
    assert ends(database, session_id) is None


def end_by_staff(database: Database, session_id: int, at: datetime, now: datetime) -> None:
    with database.write() as connection:
        locking.end(connection, session_id, at=at, reason="Zoom's message was lost.", actor="cli", now=now)


def test_what_staff_say_ends_a_class_whose_end_was_lost_and_the_stays_left_open(
    database: Database, inbox: Inbox, session_id: int
) -> None:
    events = whole_day(*people_of("all_day")).events()
    kept = [event for event in events if not event["event"].endswith(("participant_left", "ended"))]
    deliver(inbox, map(encode, kept), AFTER_CLASS)
    (person,) = present(database, session_id)
    assert (ends(database, session_id), "open" in person.flags) == (None, True)
    end_by_staff(database, session_id, CLOSES, AFTER_CLASS)
    (person,) = present(database, session_id)
    assert (ends(database, session_id), spans(person)[-1][1], person.flags) == (CLOSES, CLOSES, ("estimated",))


def test_zooms_own_end_is_believed_before_that_of_staff(
    database: Database, inbox: Inbox, session_id: int, clock: TestClock
) -> None:
    clock.at = AFTER_CLASS
    events = whole_day(*people_of("all_day")).events()
    worker = working(database, clock)
    deliver(inbox, map(encode, events[:-1]), clock())
    worker.run_once()
    end_by_staff(database, session_id, CLOSES + timedelta(minutes=40), clock())
    worker.run_once()
    known = select(sessions_table.c.ended_at, sessions_table.c.state)
    with database.read() as connection:
        assert connection.execute(known).one() == (CLOSES + timedelta(minutes=40), "provisional")
    deliver(inbox, map(encode, events[-1:]), clock())
    worker.run_once()
    with database.read() as connection:
        assert connection.scalar(select(sessions_table.c.ended_at)) == ends(database, session_id) < AFTER_CLASS


def test_a_class_of_which_zoom_said_nothing_at_all_is_over_when_staff_say_so(
    database: Database, session_id: int
) -> None:
    end_by_staff(database, session_id, CLOSES, AFTER_CLASS)
    assert ends(database, session_id) == CLOSES


def test_a_session_added_after_its_events_is_settled(
    database: Database, inbox: Inbox, published: Published, clock: TestClock
) -> None:
    clock.at = AFTER_CLASS
    add_trainee(database, "late@example.org", clock())
    worker = working(database, clock)
    deliver(inbox, map(encode, whole_day(*people_of("late")).events()), clock())
    worker.run_once()
    session_id = add_session(database, published, clock())
    assert list(waiting(database)) == [f"session:{session_id}"]
    worker.run_once()
    with database.read() as connection:
        assert connection.scalar(select(sessions_table.c.state)) == "provisional"
        assert connection.scalar(select(func.count()).select_from(attendances)) == 1


def test_a_session_added_during_class_is_looked_at_after_its_end(
    database: Database, inbox: Inbox, published: Published, now: datetime
) -> None:
    deliver(inbox, map(encode, whole_day(*people_of("all_day")).events()[:2]), now)
    take_inbox(database, now)
    session_id = add_session(database, published, now)
    assert waiting(database) == {f"session:{session_id}:over": CLOSES + timedelta(minutes=10)}


def test_a_session_whose_meeting_nobody_has_seen_asks_for_nothing(database: Database, session_id: int) -> None:
    assert waiting(database) == {}


def test_a_meeting_of_nobody_asks_for_nothing(database: Database, inbox: Inbox, now: datetime) -> None:
    deliver(inbox, map(encode, whole_day(*people_of("all_day"), meeting="99999999999").events()), now)
    assert take_inbox(database, now) is True
    assert waiting(database) == {}


def test_cancelled_sessions_are_left_alone(database: Database, inbox: Inbox, session_id: int, now: datetime) -> None:
    with database.write() as connection:
        connection.execute(update(sessions_table).values(state="cancelled"))
    deliver(inbox, map(encode, whole_day(*people_of("all_day")).events()), now)
    take_inbox(database, now)
    assert waiting(database) == {}


def test_stale_deliveries_earn_nothing(database: Database, inbox: Inbox, session_id: int, now: datetime) -> None:
    deliver(inbox, map(encode, whole_day(*people_of("late")).events()), now, stale=True)
    (person,) = present(database, session_id)
    assert (spans(person), person.flags) == ([], ("stale",))


def in_year(year: str, event: dict[str, Any]) -> bytes:
    """A LEFT or an end, said to have happened in another year."""
    return re.sub(rb'("(?:leave|end)_time": ?")2026', rb"\g<1>" + year.encode(), encode(event))


@pytest.mark.parametrize("year", ["0001", "2099", "9999"])
@pytest.mark.parametrize("edge", ["participant_left", "ended"])
def test_a_time_that_cannot_be_ends_nothing_and_stops_nothing(
    database: Database, inbox: Inbox, session_id: int, now: datetime, edge: str, year: str
) -> None:
    odd = [in_year(year, event) for event in DAY_OF_ONE if event["event"].endswith(edge)]
    others = [event for event in DAY_OF_ONE if not event["event"].endswith(("participant_left", "ended"))]
    deliver(inbox, map(encode, others), now)
    before = present(database, session_id)
    deliver(inbox, odd, now)
    while take_inbox(database, now):
        pass
    assert (ends(database, session_id), present(database, session_id)) == (None, before)
    assert "open" in before[0].flags


def test_a_time_that_cannot_be_makes_no_class_of_a_former_one(
    database: Database, inbox: Inbox, session_id: int, now: datetime
) -> None:
    former = TrainingDay(MEETING, OPENS - WEEK, CLOSES - WEEK, people_of("late")).events()
    deliver(inbox, [*map(encode, former[:-1]), re.sub(rb"2026", b"2099", encode(former[-1]))], now - WEEK)
    assert present(database, session_id) == ()


def test_reports_from_before_an_end_that_is_news_reconcile_nothing(
    database: Database, inbox: Inbox, session_id: int, now: datetime
) -> None:
    deliver(inbox, map(encode, DAY_OF_ONE), now)
    with database.write() as connection:
        for minutes in (10, 5):
            at = last_edge(whole_day(*people_of("all_day"))) - timedelta(minutes=minutes)
            uuid = DAY_OF_ONE[0]["payload"]["object"]["uuid"]
            reports.keep(connection, session_id, uuid, "report", [{"user_id": "1"}], at)
        session = connection.execute(select(sessions_table).where(sessions_table.c.id == session_id)).one()
        assert load_presence(connection, session).reports_settled is False


class TestMatching:
    """Registrant id first, then the exact e-mail of exactly one trainee, otherwise no match."""

    def test_by_registrant_though_zoom_shows_another_address(
        self, database: Database, inbox: Inbox, session_id: int, now: datetime
    ) -> None:
        trainee_id = add_trainee(database, "late@example.org", now)
        day = whole_day(*people_of("late"))
        bodies = [encode(event).replace(b"late@example.org", b"other@example.org") for event in day.events()]
        deliver(inbox, [*map(encode, day.registrations()), *bodies], now)
        take_inbox(database, now)
        assert [person.trainee_id for person in present(database, session_id)] == [trainee_id]

    def test_by_email_when_no_registration_came(
        self, database: Database, inbox: Inbox, session_id: int, now: datetime
    ) -> None:
        trainee_id = add_trainee(database, "Late@Example.org", now)
        deliver(inbox, map(encode, whole_day(*people_of("late")).events()), now)
        (person,) = present(database, session_id)
        assert (person.person_key, person.trainee_id) == (f"trainee:{trainee_id}", trainee_id)

    def test_an_address_that_two_people_have_matches_neither(
        self, database: Database, inbox: Inbox, session_id: int, now: datetime
    ) -> None:
        for sub in ("one", "two"):
            add_trainee(database, "late@example.org", now, sub)
        deliver(inbox, map(encode, whole_day(*people_of("late")).registrations()), now)
        deliver(inbox, map(encode, whole_day(*people_of("late")).events()), now)
        take_inbox(database, now)
        (person,) = present(database, session_id)
        assert (person.trainee_id, person.email) == (None, "late@example.org")

    def test_a_link_made_by_staff_is_never_changed_by_an_event(
        self, database: Database, inbox: Inbox, session_id: int, now: datetime
    ) -> None:
        by_staff = add_trainee(database, "somebody@example.org", now)
        add_trainee(database, "late@example.org", now)
        day = whole_day(*people_of("late"))
        link = {"registrant_id": day.attendees[0].registrant_id, "trainee_id": by_staff, "matched_by": "staff"}
        with database.write() as connection:
            connection.execute(insert(registrants).values(meeting_id=MEETING, recorded_at=now, **link))
        deliver(inbox, map(encode, day.registrations() + day.events()), now)
        take_inbox(database, now)
        assert [person.trainee_id for person in present(database, session_id)] == [by_staff]

    def test_the_first_launch_after_class_asks_for_settlement(
        self, database: Database, inbox: Inbox, session_id: int, clock: TestClock
    ) -> None:
        clock.at = AFTER_CLASS
        worker = working(database, clock)
        day = whole_day(*people_of("late", "guest"))
        deliver(inbox, map(encode, day.registrations() + day.events()), clock())
        worker.run_once()
        match_late(database, clock())
        assert waiting(database) == {}
        trainee_id = add_trainee(database, "late@example.org", clock())
        match_late(database, clock())
        assert list(waiting(database)) == [f"session:{session_id}"]
        worker.run_once()
        match_late(database, clock())
        assert waiting(database) == {}
        with database.read() as connection:
            current = select(attendances.c.trainee_id).where(attendances.c.is_current)
            assert set(connection.execute(current).scalars()) == {trainee_id, None}

    def test_one_person_of_two_registrations_is_matched_once_and_for_all(
        self, database: Database, inbox: Inbox, session_id: int, clock: TestClock
    ) -> None:
        clock.at = AFTER_CLASS
        worker = working(database, clock)
        visits = ((Visit(0, 12_000, ()),), (Visit(12_100, 28_800, ()),))
        cast = [Attendee("Ada", "ada@example.org", f"r-{n}", visits=each) for n, each in enumerate(visits)]
        day = whole_day(*cast)
        deliver(inbox, map(encode, day.registrations() + day.events()), clock())
        worker.run_once()
        trainee_id = add_trainee(database, "ada@example.org", clock())
        match_late(database, clock())
        worker.run_once()
        with database.read() as connection:
            current = select(attendances.c.trainee_id).where(attendances.c.is_current)
            assert connection.execute(current).scalars().all() == [trainee_id]
        match_late(database, clock())
        assert waiting(database) == {}

    def test_a_row_whose_evidence_is_gone_asks_for_nothing(
        self, database: Database, inbox: Inbox, session_id: int, clock: TestClock
    ) -> None:
        clock.at = AFTER_CLASS
        deliver(inbox, map(encode, whole_day(*people_of("late")).events()), clock())
        working(database, clock).run_once()
        with database.write() as connection:
            connection.execute(update(attendances).values(flags=["evidence_withdrawn"]))
        add_trainee(database, "late@example.org", clock())
        match_late(database, clock())
        assert waiting(database) == {}


class TestRegistrations:
    """Who a registrant is depends on what was said last, not on what came last."""

    EMAILS = ("first@example.org", "second@example.org")

    def events(self, *, newest: str = "registration_approved") -> list[dict]:
        made = [event for email in self.EMAILS for event in whole_day(Attendee("Ada", email, "r-1")).registrations()]
        made[1] |= {"event": f"meeting.{newest}", "event_ts": made[0]["event_ts"] + 5000}
        return made

    def known(self, database: Database) -> list[tuple]:
        with database.read() as connection:
            columns = (registrants.c.trainee_id, registrants.c.email, registrants.c.matched_by)
            return [tuple(row) for row in connection.execute(select(*columns))]

    @pytest.mark.parametrize("at_once", [True, False])
    @pytest.mark.parametrize("step", [1, -1])
    def test_the_newest_holds_in_any_order(
        self, database: Database, inbox: Inbox, now: datetime, at_once: bool, step: int
    ) -> None:
        _, second = (add_trainee(database, email, now) for email in self.EMAILS)
        for event in self.events()[::step]:
            deliver(inbox, [encode(event)], now)
            if not at_once:
                take_inbox(database, now)
        take_inbox(database, now)
        assert self.known(database) == [(second, "second@example.org", "email")]

    def test_a_newer_address_that_no_trainee_has_ends_the_match(
        self, database: Database, inbox: Inbox, now: datetime
    ) -> None:
        add_trainee(database, "first@example.org", now)
        for event in self.events():
            deliver(inbox, [encode(event)], now)
            take_inbox(database, now)
        assert self.known(database) == [(None, "second@example.org", None)]

    @pytest.mark.parametrize("step", [1, -1])
    def test_a_cancellation_still_says_who_it_was_but_not_against_a_newer_registration(
        self, database: Database, inbox: Inbox, now: datetime, step: int
    ) -> None:
        first, _ = (add_trainee(database, email, now) for email in self.EMAILS)
        events = self.events(newest="registration_cancelled")
        deliver(inbox, [encode(events[1])], now)
        take_inbox(database, now)
        assert self.known(database)[0][1] == "second@example.org"
        events[0]["event_ts"] += 60_000
        deliver(inbox, map(encode, events[::step]), now)
        take_inbox(database, now)
        assert self.known(database) == [(first, "first@example.org", "email")]

    def test_a_newer_notice_without_an_address_takes_none_away(
        self, database: Database, inbox: Inbox, now: datetime
    ) -> None:
        first = add_trainee(database, "first@example.org", now)
        events = self.events()
        events[1]["payload"]["object"]["registrant"]["email"] = ""
        deliver(inbox, map(encode, events), now)
        take_inbox(database, now)
        assert self.known(database) == [(first, "first@example.org", "email")]


def working(database: Database, clock: TestClock) -> Worker:
    def settle(payload) -> None:
        settle_presence(database, payload["session_id"], lambda *_: None, clock)

    return Worker(
        database,
        handlers={"settle": settle},
        periodic={"take_inbox": lambda: take_inbox(database, clock())},
        clock=clock,
    )


def test_replaying_the_inbox_writes_nothing_new(
    database: Database, inbox: Inbox, session_id: int, clock: TestClock
) -> None:
    clock.at = AFTER_CLASS
    day = whole_day(*people_of("breakouts", "leaves_at_lunch"))
    for each in day.attendees:
        add_trainee(database, each.email, clock())
    bodies = [encode(event) for event in day.registrations() + day.events()]
    random.Random(3).shuffle(bodies)
    deliver(inbox, bodies, clock())
    working(database, clock).run_once()
    everything = select(attendances).order_by(attendances.c.id)
    with database.read() as connection:
        before = connection.execute(everything).all()
        ids = presence.registration_deliveries(connection)
        assert presence.sessions_with_evidence(connection) == [session_id]
    assert presence.rebuild_registrants(database, ids, clock()) == 0
    settle_presence(database, session_id, lambda *_: None, clock)
    with database.read() as connection:
        assert connection.execute(everything).all() == before
    assert {row.email: row.completed for row in before} == {
        "breakouts@example.org": True,
        "leaves_at_lunch@example.org": False,
    }
