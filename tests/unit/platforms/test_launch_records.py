"""Launches that come at once are recorded in one transaction: each person once, each launch once, and nobody suffers
for another one's launch."""

import secrets
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace

import pytest
from cryptography.fernet import MultiFernet
from flask import Flask
from sqlalchemy import Connection, func, select, text, update

from lti_tool import people
from lti_tool.attendance import person_joins
from lti_tool.db import Database
from lti_tool.lti import registration
from lti_tool.lti.claims import load_launch
from lti_tool.platforms import course_units, launch_records
from lti_tool.platforms.launch_records import Content, Entry, Recorded
from lti_tool.programme.versions import Published
from lti_tool.tables.browser_sessions import web_sessions
from lti_tool.tables.courses import enrolments, placements
from lti_tool.tables.people import identities, trainee_addresses, trainees
from lti_tool.web.session import new_session
from tests.clock import TestClock
from tests.platform import ABSENT, Platform, code_of, parameters_of
from tests.waiting import until, until_somebody_waits

Sent = tuple[int, str]
# An error of the database that belongs to one row.
REFUSE_BROKEN = {
    "sqlite": [
        "CREATE TRIGGER refuse_broken BEFORE INSERT ON identities WHEN NEW.sub = 'broken' "
        "BEGIN SELECT RAISE(ABORT, 'refused'); END"
    ],
    "postgresql": [
        "CREATE FUNCTION refuse_broken() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.sub = 'broken' THEN RAISE EXCEPTION 'refused'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER refuse_broken BEFORE INSERT ON identities FOR EACH ROW EXECUTE FUNCTION refuse_broken()",
    ],
}


def counted(database: Database) -> dict[str, int]:
    with database.read() as connection:
        tables = (trainees, identities, trainee_addresses, enrolments, placements, web_sessions)
        return {each.name: connection.scalar(select(func.count()).select_from(each)) or 0 for each in tables}


def launching(app: Flask, platform: Platform, clock: TestClock, user: str, **changed: object) -> Callable[[], Sent]:
    """A login that has been answered; to call it is to launch, which gives status and code."""
    browser = app.test_client()
    begun = parameters_of(platform.login(browser, user=user))
    said = {"name": f"Person {user}", "email": f"{user}@example.org"} | changed
    token = platform.sign(platform.claims(begun["nonce"], clock(), user, **said))

    def launch() -> Sent:
        response = browser.post("/lti/launch", data={"id_token": token, "state": begun["state"]})
        return response.status_code, code_of(response)

    return launch


@contextmanager
def held_up(database: Database) -> Iterator[Callable[[], bool]]:
    """Another transaction, behind which the writer must wait; gives whether it waits."""
    if database.is_sqlite:
        with closing(sqlite3.connect(database.engine.url.database or "", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield database._writers_turn.locked
            other.execute("ROLLBACK")
    else:
        with database.write() as holder, database.read() as watching:
            holder.execute(text("LOCK TABLE identities"))
            yield lambda: bool(watching.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


def in_one_group(app: Flask, database: Database, launches: Sequence[Callable[[], Sent]]) -> list[Sent]:
    """Launch at once: the writer takes the first launch by itself, and the others together after it."""
    writer = app.extensions["gatehouse_writers"][launch_records.WRITER]
    with ThreadPoolExecutor(len(launches)) as pool:
        with held_up(database) as is_waiting:
            sent: list[Future[Sent]] = [pool.submit(launches[0])]
            until(is_waiting)
            sent += [pool.submit(each) for each in launches[1:]]
            until(lambda: writer._waiting.qsize() == len(launches) - 1)
        return [each.result() for each in sent]


@pytest.fixture
def first(app: Flask, platform: Platform, clock: TestClock) -> Callable[[], Sent]:
    """A launch that holds up the others. The platform's key set was noted in the database before."""
    assert launching(app, platform, clock, "the-first")() == (303, "")
    return launching(app, platform, clock, "the-first")


@pytest.mark.usefixtures("published")
class TestLaunchesOfOneGroup:
    def test_each_new_person_is_recorded_once_with_everything_of_theirs(
        self, app: Flask, platform: Platform, database: Database, clock: TestClock, first: Callable[[], Sent]
    ) -> None:
        others = [launching(app, platform, clock, f"user-{number}") for number in range(8)]
        assert Counter(in_one_group(app, database, [first, *others])) == {(303, ""): 9}
        people_of = dict.fromkeys(("trainees", "identities", "trainee_addresses", "enrolments"), 9)
        assert counted(database) == people_of | {"placements": 1, "web_sessions": 10}
        with database.read() as connection:
            rows = connection.execute(
                select(identities.c.sub, trainees.c.email, trainee_addresses.c.email, enrolments.c.user_id)
                .join(trainees, trainees.c.id == identities.c.trainee_id)
                .join(trainee_addresses, trainee_addresses.c.trainee_id == trainees.c.id)
                .join(enrolments, enrolments.c.trainee_id == trainees.c.id)
                .join(web_sessions, web_sessions.c.trainee_id == trainees.c.id)
            ).all()
        assert len(rows) == 10
        for sub, email, recorded, user_id in rows:
            assert (email, recorded, user_id) == (f"{sub}@example.org", f"{sub}@example.org", sub)

    def test_a_new_person_who_launches_in_several_tabs_is_one_person(
        self, app: Flask, platform: Platform, database: Database, clock: TestClock, first: Callable[[], Sent]
    ) -> None:
        tabs = [launching(app, platform, clock, "user-1") for _ in range(4)]
        nameless = launching(app, platform, clock, "user-1", name=ABSENT, email=ABSENT)
        assert Counter(in_one_group(app, database, [first, *tabs, nameless])) == {(303, ""): 6}
        found = counted(database)
        assert (found["trainees"], found["identities"], found["web_sessions"]) == (2, 2, 7)
        with database.read() as connection:
            kept = people.of_identities(connection, platform.issuer, ["user-1"])["user-1"]
        assert (kept.name, kept.email) == ("Person user-1", "user-1@example.org")

    def test_of_one_launch_sent_several_times_one_is_accepted(
        self, app: Flask, platform: Platform, database: Database, clock: TestClock, first: Callable[[], Sent]
    ) -> None:
        browser = app.test_client()
        begun = parameters_of(platform.login(browser))
        cookie = browser.get_cookie("__Host-gatehouse-state-" + begun["nonce"][:16])
        assert cookie is not None
        token = platform.sign(platform.claims(begun["nonce"], clock()))

        def send() -> Sent:
            thief = app.test_client()
            thief.set_cookie(cookie.key, cookie.value)
            response = thief.post("/lti/launch", data={"id_token": token, "state": begun["state"]})
            return response.status_code, code_of(response)

        answers = in_one_group(app, database, [first, *[send] * 5])
        assert Counter(answers) == {(303, ""): 2, (401, "nonce_used"): 4}
        assert counted(database)["web_sessions"] == 3

    def test_a_launch_that_the_database_refuses_fails_alone(
        self, app: Flask, platform: Platform, database: Database, clock: TestClock, first: Callable[[], Sent]
    ) -> None:
        with database.write() as connection:
            for statement in REFUSE_BROKEN[connection.dialect.name]:
                connection.execute(text(statement))
        users = ["user-1", "broken", "user-2", "user-3"]
        answers = in_one_group(app, database, [first, *(launching(app, platform, clock, each) for each in users)])
        assert answers == [(303, ""), (303, ""), (503, "not_stored"), (303, ""), (303, "")]
        assert counted(database)["trainees"] == 4

    @pytest.mark.databases("postgresql")
    @pytest.mark.parametrize("state", ["55P03", "40P01"], ids=["lock not available", "deadlock"])
    def test_a_launch_that_waited_for_a_lock_in_vain_fails_alone(
        self,
        app: Flask,
        platform: Platform,
        database: Database,
        clock: TestClock,
        first: Callable[[], Sent],
        state: str,
    ) -> None:
        function, trigger = REFUSE_BROKEN["postgresql"]
        with database.write() as connection:
            connection.execute(text(function.replace("'refused'", f"'refused' USING ERRCODE = '{state}'")))
            connection.execute(text(trigger))
        others = [launching(app, platform, clock, each) for each in ("user-1", "broken", "user-2")]
        answers = in_one_group(app, database, [first, *others])
        assert answers == [(303, ""), (303, ""), (503, "not_stored"), (303, "")]

    def test_a_launch_of_an_unknown_module_is_refused_and_the_others_are_not(
        self, app: Flask, platform: Platform, database: Database, clock: TestClock, first: Callable[[], Sent]
    ) -> None:
        wrong = {"custom": {"module_id": "none"}}
        others = [launching(app, platform, clock, "user-1", **wrong), launching(app, platform, clock, "user-2")]
        assert in_one_group(app, database, [first, *others]) == [(303, ""), (404, "module_unknown"), (303, "")]
        found = counted(database)
        assert (found["trainees"], found["placements"], found["web_sessions"]) == (3, 2, 3)


def entries(
    connection: Connection, platform: Platform, clock: TestClock, users: Sequence[str], units: Sequence[str]
) -> list[Entry]:
    """Launches of the first user in the first unit, and so on."""
    registered = registration.load(connection, platform.registration_id)
    made = []
    for user, unit in zip(users, units, strict=True):
        nonce = secrets.token_urlsafe()
        claims = platform.claims(nonce, clock(), user, email=f"{user}@example.org", resource_link={"id": unit})
        launched = load_launch(claims, registered)
        whose = {"registration_id": platform.registration_id, "context_id": launched.context_id}
        _, row = new_session(nonce=nonce, role="trainee", now=clock(), **whose)  # type: ignore[arg-type]
        made.append(Entry(launched, Content("page", "dashboard"), row))
    return made


@pytest.mark.databases("postgresql")
def test_processes_that_record_the_same_people_in_different_orders_agree(
    platform: Platform, database: Database, database_url: str, cipher: MultiFernet, clock: TestClock
) -> None:
    """A deadlock would answer 503 to a whole group."""
    together = threading.Barrier(2)

    def run(process: Database, users: Sequence[str], units: Sequence[str]) -> list[int]:
        with process.read() as connection:
            launches = entries(connection, platform, clock, users, units)
        together.wait(timeout=10)
        with process.write() as connection:
            outcomes = launch_records.record(connection, launches)
        return [each.trainee_id for each in outcomes if isinstance(each, Recorded)]

    with ExitStack() as stack:
        processes = [Database(database_url, cipher) for _ in range(2)]
        for each in processes:
            stack.callback(each.close)
        pool = stack.enter_context(ThreadPoolExecutor(2))
        for number in range(10):
            users, units = ([f"{kind}-{number}-{each}" for each in range(30)] for kind in ("user", "unit"))
            given = (users, users[::-1]), (units, units[::-1])
            one, other = pool.map(run, processes, *given)
            assert one == other[::-1]
    assert counted(database)["trainees"] == counted(database)["identities"] == 300


@pytest.mark.databases("postgresql")
class TestALaunchDuringAJoin:
    """On SQLite one writes after the other."""

    @pytest.fixture
    def both(self, platform: Platform, database: Database, clock: TestClock) -> tuple[int, int]:
        with database.write() as connection:
            find = {"name": "Maya Example", "email": "maya@example.org", "now": clock()}
            kept = people.find_or_add(connection, "https://other.example.org", "kept", **find)  # type: ignore[arg-type]
            return kept, people.find_or_add(connection, platform.issuer, "user-1", **find)  # type: ignore[arg-type]

    def _join(self, connection: Connection, both: tuple[int, int], clock: TestClock) -> None:
        kept, joined = both
        person_joins.join(connection, kept_id=kept, joined_id=joined, reason="Both are hers.", actor="cli", now=clock())

    def test_one_that_comes_meanwhile_waits_and_is_the_kept_trainees(
        self, platform: Platform, database: Database, clock: TestClock, both: tuple[int, int]
    ) -> None:
        def launch() -> list[launch_records.Outcome]:
            with database.write() as connection:
                return launch_records.record(connection, entries(connection, platform, clock, ["user-1"], ["unit-1"]))

        with ThreadPoolExecutor(1) as pool:
            with database.write() as connection:
                self._join(connection, both, clock)
                launched = pool.submit(launch)
                with database.read() as watching:
                    until_somebody_waits(watching)
            (outcome,) = launched.result()
        assert isinstance(outcome, Recorded)
        assert outcome.trainee_id == both[0]
        assert counted(database)["trainees"] == 2

    def test_one_that_has_begun_ends_first_and_its_session_ends_with_the_join(
        self, platform: Platform, database: Database, clock: TestClock, both: tuple[int, int]
    ) -> None:
        def join() -> None:
            with database.write() as connection:
                self._join(connection, both, clock)

        with ThreadPoolExecutor(1) as pool:
            with database.write() as connection:
                launch_records.record(connection, entries(connection, platform, clock, ["user-1"], ["unit-1"]))
                joined = pool.submit(join)
                with database.read() as watching:
                    until_somebody_waits(watching)
            joined.result()
        with database.read() as connection:
            session = connection.execute(select(web_sessions.c.trainee_id, web_sessions.c.expires_at)).one()
        assert session == (both[0], clock())


@pytest.mark.databases("postgresql")
def test_a_launch_that_names_no_content_keeps_the_module_that_staff_assign_meanwhile(
    platform: Platform, database: Database, clock: TestClock, published: Published
) -> None:
    def launch(title: str) -> Entry:
        with database.read() as connection:
            (entry,) = entries(connection, platform, clock, ["user-1"], ["unit-1"])
        return replace(entry, content=Content(), launched=replace(entry.launched, resource_link_title=title))

    with database.write() as connection:
        (before,) = launch_records.record(connection, [launch("Old title")])
    assert isinstance(before, Recorded)
    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            course_units.assign(connection, published.programme, before.placement_id, "F1", actor="cli", now=clock())
            later = launch("New title")

            def record() -> launch_records.Outcome:
                with database.write() as other:
                    return launch_records.record(other, [later])[0]

            launched = pool.submit(record)
            with database.read() as watching:
                until_somebody_waits(watching)
        assert launched.result() == replace(before, module_id="F1")
    with database.read() as connection:
        assert connection.execute(select(placements.c.module_id, placements.c.resource_link_title)).one() == (
            "F1",
            "New title",
        )


@pytest.mark.databases("postgresql")
@pytest.mark.usefixtures("published")
def test_the_latest_launches_are_recorded_in_the_order_in_which_launches_write(
    platform: Platform, database: Database, clock: TestClock
) -> None:
    """Another transaction has the first unit and then needs the others, which were recorded before it."""
    units = [f"unit-{number}" for number in range(9)]

    def launch(users: Sequence[str], units: Sequence[str]) -> None:
        with database.write() as connection:
            launch_records.record(connection, entries(connection, platform, clock, users, units))

    for unit in reversed(units):
        launch(["user-1"], [unit])
    clock.advance(hours=1)
    launch(["user-1"] * len(units), units)
    touch = update(placements).values(resource_link_title="Touched")
    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            connection.execute(touch.where(placements.c.resource_link_id == units[0]))
            recorded = pool.submit(launch_records.record_latest_launches, database)
            with database.read() as watching:
                until_somebody_waits(watching)
            connection.execute(touch.where(placements.c.resource_link_id != units[0]))
        assert recorded.result() is False
    with database.read() as connection:
        assert set(connection.scalars(select(placements.c.launched_at))) == {clock()}
