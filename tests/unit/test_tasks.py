"""The queue: what was asked for in a committed transaction is done at least once, whoever dies on the way."""

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.fernet import MultiFernet
from sqlalchemy import Row, func, select

from lti_tool import audit
from lti_tool.db import Database
from lti_tool.errors import Conflict
from lti_tool.tables.operations import audit_log, tasks
from lti_tool.tasks import LEASE, MAX_ATTEMPTS, JobPool, Worker, backoff, enqueue, queue_age_seconds
from tests.clock import TestClock
from tests.waiting import until


class WorkerDied(BaseException):
    """The worker's process ends in the middle of a task: nothing of its own code runs after this."""


class Hands:
    """A handler that notes what it did; `then` is what happens on the way."""

    def __init__(self, then: Callable[[Mapping[str, Any]], None] = lambda _payload: None) -> None:
        self.did: list[Any] = []
        self.then = then

    def __call__(self, payload: Mapping[str, Any]) -> None:
        self.did.append(payload.get("n"))
        self.then(payload)


def raising(error: BaseException) -> Callable[[Mapping[str, Any]], None]:
    def fail(_payload: Mapping[str, Any]) -> None:
        raise error

    return fail


def ask(database: Database, now: datetime, key: str = "session:1", n: int = 1) -> None:
    with database.write() as connection:
        enqueue(connection, "settle", key, {"n": n}, now=now)


def waiting(database: Database) -> list[Row[Any]]:
    with database.read() as connection:
        return list(connection.execute(select(tasks).order_by(tasks.c.id)))


@pytest.fixture
def hire(database: Database, clock: TestClock) -> Callable[[Hands], Worker]:
    """A worker with these hands for the kind "settle"."""
    return lambda hands: Worker(database, {"settle": hands}, clock=clock, idle_seconds=0.01)


@pytest.fixture
def other_database(database_url: str, cipher: MultiFernet) -> Iterator[Database]:
    """The same database as another process sees it: its own connections, its own lock."""
    other = Database(database_url, cipher)
    yield other
    other.close()


Hire = Callable[[Hands], Worker]


def test_a_task_is_done_once_and_gone(database: Database, hire: Hire, now: datetime) -> None:
    hands = Hands()
    ask(database, now)
    assert hire(hands).run_once() == 1
    assert (hands.did, waiting(database)) == ([1], [])


def test_a_task_does_not_exist_if_the_transaction_that_asked_for_it_is_rolled_back(
    database: Database, hire: Hire, now: datetime
) -> None:
    def ask_and_fail() -> None:
        with database.write() as connection:
            enqueue(connection, "settle", "session:1", {}, now=now)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask_and_fail()
    assert hire(Hands()).run_once() == 0


def test_asking_twice_is_asking_once(database: Database, hire: Hire, now: datetime) -> None:
    ask(database, now, n=1)
    ask(database, now, n=2)
    hands = Hands()
    hire(hands).run_once()
    assert hands.did == [1]


def test_other_keys_are_other_tasks_and_the_oldest_comes_first(
    database: Database, hire: Hire, clock: TestClock
) -> None:
    for n in (1, 2, 3):
        ask(database, clock.advance(seconds=1), f"session:{n}", n)
    hands = Hands()
    assert hire(hands).run_once() == 3
    assert hands.did == [1, 2, 3]


def test_a_task_waits_for_its_time(database: Database, hire: Hire, clock: TestClock, now: datetime) -> None:
    with database.write() as connection:
        enqueue(connection, "settle", "k", {"n": 1}, now=now, run_at=now + timedelta(minutes=5))
    hands = Hands()
    assert hire(hands).run_once() == 0
    clock.advance(minutes=5)
    assert hire(hands).run_once() == 1


def test_a_fresh_ask_does_not_wait_for_the_time_of_an_older_one(database: Database, hire: Hire, now: datetime) -> None:
    with database.write() as connection:
        enqueue(connection, "settle", "k", {"n": 1}, now=now, run_at=now + timedelta(hours=1))
        enqueue(connection, "settle", "k", {"n": 2}, now=now)
        enqueue(connection, "settle", "k", {"n": 3}, now=now, run_at=now + timedelta(hours=2))
    hands = Hands()
    assert (hire(hands).run_once(), hands.did) == (1, [1])


def test_a_task_is_not_taken_between_a_change_and_its_commit(
    database: Database, other_database: Database, clock: TestClock, now: datetime
) -> None:
    """Taken there it would not see the change, and nobody would be asked again."""
    ask(database, now)
    seen: list[int] = []
    worker = Worker(other_database, {"settle": lambda _payload: seen.append(changes(other_database))}, clock=clock)
    thread = threading.Thread(target=worker.run_once)
    with database.write() as connection:
        audit.record(connection, actor="cli", act="change", subject="session:1", at=now)
        enqueue(connection, "settle", "session:1", {}, now=now)
        thread.start()
        thread.join(0.5)
    thread.join()
    assert seen[-1:] == [1]


def changes(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(audit_log)).scalar_one())


def test_what_is_asked_while_the_task_is_in_hand_is_done_afterwards(
    database: Database, hire: Hire, now: datetime
) -> None:
    hands = Hands()
    hands.then = lambda payload: ask(database, now, n=2) if payload["n"] == 1 else None
    ask(database, now)
    hire(hands).run_once()
    assert hands.did == [1, 2]


def test_a_failed_task_comes_back_after_a_pause(
    database: Database, hire: Hire, clock: TestClock, now: datetime
) -> None:
    ask(database, now)
    assert hire(Hands(raising(ValueError("Someone's name")))).run_once() == 1
    hands = Hands()
    assert hire(hands).run_once() == 0
    clock.at += backoff(1)
    assert hire(hands).run_once() == 1
    assert hands.did == [1]


def test_the_queue_keeps_an_errors_class_or_code_but_never_its_text(
    database: Database, hire: Hire, clock: TestClock, now: datetime
) -> None:
    ask(database, now)
    hire(Hands(raising(ValueError("Someone's name")))).run_once()
    assert waiting(database)[0].last_error == "ValueError"
    clock.advance(minutes=1)
    hire(Hands(raising(Conflict("session_locked", "Someone's name")))).run_once()
    assert waiting(database)[0].last_error == "session_locked"


def test_a_poison_task_is_parked_and_does_not_hold_up_others(
    database: Database, hire: Hire, clock: TestClock, now: datetime
) -> None:
    hands = Hands(lambda payload: raising(ValueError())(payload) if payload["n"] == 1 else None)
    ask(database, now, "session:1", n=1)
    for _ in range(MAX_ATTEMPTS + 3):
        hire(hands).run_once()
        clock.advance(hours=1)
    parked = waiting(database)[0]
    assert (parked.state, parked.attempts, hands.did.count(1)) == ("parked", MAX_ATTEMPTS, MAX_ATTEMPTS)
    ask(database, clock(), "session:2", n=2)
    hire(hands).run_once()
    assert hands.did[-1] == 2


def test_a_task_of_a_kind_nobody_knows_is_kept(database: Database, hire: Hire, now: datetime) -> None:
    with database.write() as connection:
        enqueue(connection, "unheard-of", "k", {}, now=now)
    hire(Hands()).run_once()
    assert [row.last_error for row in waiting(database)] == ["KeyError"]


def test_a_failed_task_gives_way_to_the_same_task_asked_again(database: Database, hire: Hire, now: datetime) -> None:
    def ask_again_and_fail(payload: Mapping[str, Any]) -> None:
        if payload["n"] == 1:
            ask(database, now, n=2)
            raise ValueError

    ask(database, now, n=1)
    hands = Hands(ask_again_and_fail)
    hire(hands).run_once()
    assert (hands.did, waiting(database)) == ([1, 2], [])


def test_a_dead_workers_task_is_taken_over_when_its_lease_has_run_out(
    database: Database, hire: Hire, clock: TestClock, now: datetime
) -> None:
    ask(database, now)
    with pytest.raises(WorkerDied):
        hire(Hands(raising(WorkerDied()))).run_once()
    heir = Hands()
    clock.at += LEASE
    assert hire(heir).run_once() == 0
    clock.advance(seconds=1)
    assert hire(heir).run_once() == 1
    assert (heir.did, waiting(database)) == ([1], [])


def test_a_task_that_costs_every_worker_its_life_is_parked_too(
    database: Database, hire: Hire, clock: TestClock, now: datetime
) -> None:
    ask(database, now)
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(WorkerDied):
            hire(Hands(raising(WorkerDied()))).run_once()
        clock.at += LEASE + timedelta(seconds=1)
    last = Hands()
    hire(last).run_once()
    row = waiting(database)[0]
    assert (row.state, row.last_error, last.did) == ("parked", "WorkersLostError", [])


def test_a_claim_alone_is_no_attempt_but_a_death_is(
    database: Database, hire: Hire, clock: TestClock, now: datetime
) -> None:
    counts: list[int] = []
    ask(database, now)
    with pytest.raises(WorkerDied):
        hire(Hands(raising(WorkerDied()))).step()
    clock.at += LEASE + timedelta(seconds=1)
    hire(Hands(lambda _payload: counts.append(waiting(database)[0].attempts))).step()
    ask(database, now)
    hire(Hands(lambda _payload: counts.append(waiting(database)[0].attempts))).step()
    assert counts == [1, 0]


def test_a_task_that_takes_many_leases_is_done_once_by_its_own_worker(
    database: Database, hire: Hire, clock: TestClock, now: datetime
) -> None:
    ask(database, now)
    other = Hands()

    def take_long(_payload: Mapping[str, Any]) -> None:
        for _ in range(3 * MAX_ATTEMPTS):
            clock.at += LEASE * 0.9
            worker.leases.renew()
            assert not hire(other).step()

    hands = Hands(take_long)
    worker = hire(hands)
    worker.step()
    assert (hands.did, other.did, waiting(database)) == ([1], [], [])


def test_a_worker_renews_the_lease_of_the_task_in_hand_by_itself(
    database: Database, clock: TestClock, now: datetime
) -> None:
    def take_long(_payload: Mapping[str, Any]) -> None:
        clock.advance(hours=1)
        until(lambda: waiting(database)[0].leased_until > clock())

    ask(database, now)
    worker = Worker(database, {"settle": take_long}, clock=clock, lease=timedelta(seconds=0.03))
    worker.step()
    assert waiting(database) == []


def test_the_same_task_is_never_in_two_hands(database: Database, hire: Hire, clock: TestClock, now: datetime) -> None:
    other = Hands()

    def ask_for_more(_payload: Mapping[str, Any]) -> None:
        ask(database, now, n=2)
        assert not hire(other).step()

    ask(database, now, n=1)
    hire(Hands(ask_for_more)).step()
    hire(other).step()
    assert (other.did, waiting(database)) == ([2], [])


def test_a_task_in_hand_does_for_those_who_only_want_it_done(
    database: Database, hire: Hire, clock: TestClock, now: datetime
) -> None:
    def ask_again(_payload: Mapping[str, Any]) -> None:
        with database.write() as connection:
            enqueue(connection, "settle", "session:1", {"n": 2}, now=clock(), unless_in_hand=True)
            enqueue(connection, "settle", "session:2", {"n": 3}, now=clock(), unless_in_hand=True)

    ask(database, now)
    hire(Hands(ask_again)).step()
    assert [row.key for row in waiting(database)] == ["session:2"]


def test_a_worker_that_was_taken_for_dead_cannot_undo_its_heirs_work(
    database: Database, hire: Hire, clock: TestClock, now: datetime
) -> None:
    """The slow worker's lease runs out while it works; the heir fails and puts the task back; the slow one finishes."""

    def be_overtaken(_payload: Mapping[str, Any]) -> None:
        clock.advance(seconds=LEASE.total_seconds() + 1)
        hire(Hands(raising(ValueError()))).step()

    ask(database, now)
    hire(Hands(be_overtaken)).step()
    assert [(row.state, row.attempts, row.last_error) for row in waiting(database)] == [("ready", 2, "ValueError")]


def test_workers_who_race_do_every_task_exactly_once(
    database: Database, other_database: Database, clock: TestClock, now: datetime
) -> None:
    for n in range(40):
        ask(database, now, f"session:{n}", n)
    hands = Hands()
    workers = [Worker(each, {"settle": hands}, clock=clock) for each in (database, other_database) * 2]
    threads = [threading.Thread(target=work_until_empty, args=(worker, database)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(hands.did) == list(range(40))


def work_until_empty(worker: Worker, database: Database) -> None:
    while waiting(database):
        worker.step()


def test_periodic_jobs_run_in_every_round_and_say_whether_there_is_more(database: Database) -> None:
    answers = iter([True, True, False])
    worker = Worker(database, {}, periodic={"inbox": lambda: next(answers)})
    assert worker.run_once() == 2


def test_a_failing_job_stops_neither_the_other_jobs_nor_the_tasks(
    database: Database, hire: Hire, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> bool:
        raise ValueError("Someone's name")

    did: list[str] = []
    hands = Hands()
    worker = hire(hands)
    worker.periodic = {"inbox": fail, "scores": lambda: bool(did.append("scores"))}
    ask(database, now)
    worker.run_once()
    assert (hands.did, did) == ([1], ["scores", "scores"])
    assert [(record.kind, record.error) for record in caplog.records] == [("inbox", "ValueError")]  # type: ignore[attr-defined]


def test_tasks_that_wait_for_other_machines_keep_no_other_task_waiting(
    database: Database, clock: TestClock, now: datetime
) -> None:
    came = threading.Event()
    waited: list[bool] = []
    asker = Worker(database, {"ask": lambda _: waited.append(came.wait(30))}, clock=clock, these=tasks.c.kind == "ask")
    pool = JobPool("ask", 1, asker.claim, asker.do)
    hands = {"settle": Hands(lambda _: came.set())}
    worker = Worker(database, hands, {"ask": pool.step}, clock=clock, these=tasks.c.kind != "ask")
    with database.write() as connection:
        enqueue(connection, "ask", "zoom", {}, now=now - timedelta(hours=1))
    ask(database, now)
    worker.run_once()
    assert (hands["settle"].did, waited, waiting(database)) == ([1], [True], [])


def test_a_worker_outlives_a_failing_job_and_stops_when_told(database: Database, hire: Hire, now: datetime) -> None:
    def fail() -> bool:
        worker.stopping.set()
        raise ConnectionError

    worker = hire(Hands())
    worker.periodic = {"inbox": fail}
    thread = threading.Thread(target=worker.run_forever)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()


def test_a_worker_told_to_stop_finishes_the_task_in_hand(database: Database, hire: Hire, now: datetime) -> None:
    ask(database, now, "session:1", 1)
    ask(database, now, "session:2", 2)
    hands = Hands()
    worker = hire(hands)
    hands.then = lambda _payload: worker.stopping.set()
    worker.run_forever()
    assert (hands.did, [row.key for row in waiting(database)]) == ([1], ["session:2"])


def test_the_age_of_the_queue_is_that_of_its_oldest_due_task(
    database: Database, clock: TestClock, now: datetime
) -> None:
    with database.read() as connection:
        assert queue_age_seconds(connection, now) == 0
    ask(database, now)
    clock.advance(minutes=2)
    with database.read() as connection:
        assert queue_age_seconds(connection, clock()) == 120
        assert queue_age_seconds(connection, now - timedelta(minutes=1)) == 0


def test_a_task_in_hand_waits_for_no_worker(database: Database, hire: Hire, clock: TestClock, now: datetime) -> None:
    ages: list[float] = []

    def look(_payload: Mapping[str, Any]) -> None:
        with database.read() as connection:
            ages.append(queue_age_seconds(connection, clock()))

    ask(database, now)
    clock.advance(hours=1)
    hire(Hands(look)).step()
    assert ages == [0]


def test_pauses_double_up_to_an_hour() -> None:
    assert [backoff(n).total_seconds() for n in (1, 2, 3, 12, 60)] == [2, 4, 8, 3600, 3600]
