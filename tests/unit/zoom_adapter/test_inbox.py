"""The inbox: durable, once, in groups, and quick to say when it cannot."""

import sqlite3
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime

import psycopg
import pytest
from cryptography.fernet import MultiFernet
from sqlalchemy import func, select

from lti_tool.db import Database
from lti_tool.group_commit import GroupInsert
from lti_tool.tables.zoom import zoom_inbox
from sandbox.zoom.training_day import encode
from tests.waiting import until
from tests.zoom_day import people_of, whole_day
from zoom_adapter.events import read_event
from zoom_adapter.inbox import Delivery, Inbox, InboxUnavailable

NOW = datetime(2026, 12, 1, 18, 0, tzinfo=UTC)
BODIES = [encode(event) for event in whole_day(*people_of("breakouts", "reconnects", "late")).events()]


def delivery(body: bytes, *, stale: bool = False) -> Delivery:
    return Delivery(read_event(body, stale=stale), body, {"x-zm-request-id": "abc"}, 0, NOW)


@pytest.fixture
def inbox(database: Database):
    inbox = Inbox(database)
    yield inbox
    inbox.close()


def kept(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(zoom_inbox)) or 0


def test_what_was_appended_is_there_byte_by_byte(database: Database, inbox: Inbox) -> None:
    body = BODIES[1] + b"  \n"
    assert inbox.append(delivery(body)) == "stored"
    with database.read() as connection:
        row = connection.execute(select(zoom_inbox)).one()
    assert (row.body, row.headers, row.received_at, row.taken_at) == (body, {"x-zm-request-id": "abc"}, NOW, None)
    assert row.happened_at == read_event(body).at


def test_the_same_content_again_is_a_duplicate(database: Database, inbox: Inbox) -> None:
    assert [inbox.append(delivery(each)) for each in (BODIES[1], BODIES[1] + b" ", BODIES[2])] == [
        "stored",
        "duplicate",
        "stored",
    ]
    assert kept(database) == 2


def test_fifty_equal_requests_at_once_leave_one_row(database: Database, inbox: Inbox) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = Counter(pool.map(lambda _n: inbox.append(delivery(BODIES[3])), range(50)))
    assert answers == {"stored": 1, "duplicate": 49}
    assert kept(database) == 1


def test_a_burst_from_many_threads_is_kept_whole(database: Database, inbox: Inbox) -> None:
    with ThreadPoolExecutor(32) as pool:
        answers = Counter(pool.map(lambda body: inbox.append(delivery(body)), BODIES * 3))
    assert answers == {"stored": len(BODIES), "duplicate": 2 * len(BODIES)}
    assert kept(database) == len(BODIES)


def test_of_what_comes_at_once_only_what_was_there_is_a_duplicate(database: Database, inbox: Inbox) -> None:
    known, new = BODIES[:20], BODIES[20:40]
    for body in known:
        inbox.append(delivery(body))
    bodies = [*known, *new]
    with ThreadPoolExecutor(40) as pool:
        answers = dict(zip(bodies, pool.map(lambda body: inbox.append(delivery(body)), bodies), strict=True))
    assert answers == dict.fromkeys(known, "duplicate") | dict.fromkeys(new, "stored")
    assert kept(database) == 40


def test_processes_that_get_the_same_events_in_different_orders_never_wait_for_each_other(
    database_url: str, cipher: MultiFernet
) -> None:
    """Two overlapping subscriptions on PostgreSQL: a deadlock would answer 503 to a whole group."""
    databases = [Database(database_url, cipher) for _ in range(2)]
    tables = [GroupInsert(each, zoom_inbox, key="dedupe_key", without=("id", "taken_at")) for each in databases]
    together = threading.Barrier(2)

    def insert(table: GroupInsert, bodies: Sequence[bytes]) -> list[bool]:
        rows = [delivery(body).row() for body in bodies]
        together.wait(timeout=10)
        return table.insert(rows)

    with ThreadPoolExecutor(2) as pool:
        for number in range(20):
            bodies = [b'{"event": "a.burst", "event_ts": "%d-%d"}' % (number, each) for each in range(256)]
            new = list(pool.map(insert, tables, (bodies, bodies[::-1])))
            assert sum(map(sum, new)) == len(bodies)
    for table, database in zip(tables, databases, strict=True):
        table.close()
        database.close()


@pytest.mark.databases("postgresql")
def test_a_connection_that_the_server_closed_costs_no_delivery(database: Database, inbox: Inbox) -> None:
    """Neither do those that idle in the pool."""
    assert inbox.append(delivery(BODIES[1])) == "stored"
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(database.read())
    address = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as own:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        assert len(own.execute(others + " AND datname = current_database()").fetchall()) == 4
    assert [inbox.append(delivery(body)) for body in BODIES[2:6]] == ["stored"] * 4


def test_a_stale_copy_is_kept_beside_the_fresh_one(database: Database, inbox: Inbox) -> None:
    assert inbox.append(delivery(BODIES[1], stale=True)) == "stored"
    assert inbox.append(delivery(BODIES[1])) == "stored"
    assert kept(database) == 2


def test_texts_longer_than_their_columns_do_not_stop_it(database: Database, inbox: Inbox) -> None:
    long = '{"event": "meeting.%s", "payload": {"object": {"id": "%s", "uuid": "%s"}}}' % (("é\\u0000" * 500,) * 3)
    assert inbox.append(delivery(long.encode())) == "stored"


def test_close_writes_what_waits_and_refuses_what_comes_later(database: Database) -> None:
    inbox = Inbox(database)
    with ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(inbox.append, delivery(body)) for body in BODIES]
        until(lambda: inbox._rows._thread is not None)
        inbox.close()
    stored = sum(each.exception() is None for each in answers)
    assert kept(database) == stored
    with pytest.raises(InboxUnavailable):
        inbox.append(delivery(BODIES[0]))


def test_a_database_held_by_somebody_else_is_an_error(sqlite_template, tmp_path, cipher) -> None:
    path = tmp_path / "held.db"
    path.write_bytes(sqlite_template.read_bytes())
    database = Database(f"sqlite:///{path}", cipher)
    inbox = Inbox(database)
    inbox.append(delivery(BODIES[0]))
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(InboxUnavailable) as refused:
        inbox.append(delivery(BODIES[1]), timeout=0.3)
    assert refused.value.status == 503
    holder.execute("ROLLBACK")
    holder.close()
    assert inbox.append(delivery(BODIES[2])) == "stored", "it works again once the database does"
    inbox.close()
    database.close()


def test_an_absent_database_is_an_error_at_once(tmp_path, cipher) -> None:
    database = Database(f"sqlite:///{tmp_path}/empty.db", cipher)
    inbox = Inbox(database)
    with pytest.raises(InboxUnavailable):
        inbox.append(delivery(BODIES[0]))
    inbox.close()
    database.close()
