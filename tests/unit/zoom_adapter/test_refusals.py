"""Refusals are counted in memory and written now and then, so that nobody can make the tool write at will."""

from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import select

from lti_tool.db import Database
from lti_tool.tables.zoom import zoom_refusals
from tests.statements import listening
from tests.waiting import until
from zoom_adapter.inbox import Refusals, since


def written(database: Database) -> dict[tuple[date, str], int]:
    with database.read() as connection:
        return {(row.day, row.code): row.count for row in connection.execute(select(zoom_refusals))}


@pytest.fixture
def refusals(database: Database):
    refusals = Refusals(database, flush_seconds=3600)
    yield refusals
    refusals.close()


def test_counts_are_kept_by_day_and_code(database: Database, refusals: Refusals, now: datetime) -> None:
    for code, at in (("a", now), ("b", now), ("a", now), ("a", now + timedelta(days=1))):
        refusals.count(code, at)
    refusals.flush()
    tomorrow = now.date() + timedelta(days=1)
    assert written(database) == {(now.date(), "a"): 2, (now.date(), "b"): 1, (tomorrow, "a"): 1}


def test_several_processes_and_several_times_add_up(database: Database, refusals: Refusals, now: datetime) -> None:
    other = Refusals(database)
    for each in (refusals, other, refusals):
        each.count("a", now)
        each.flush()
    other.close()
    assert written(database) == {(now.date(), "a"): 3}


def test_a_flood_costs_one_write(database: Database, refusals: Refusals, now: datetime) -> None:
    with listening(database) as statements:
        for _ in range(10_000):
            refusals.count("a", now)
        assert statements == []
        refusals.close()
    assert sum("INSERT" in each for each, _ in statements) == 1
    assert written(database) == {(now.date(), "a"): 10_000}


def test_what_was_counted_is_written_by_itself_after_a_while(database: Database, now: datetime) -> None:
    refusals = Refusals(database, flush_seconds=0.05)
    refusals.count("a", now)
    until(lambda: bool(written(database)))
    refusals.close()
    assert written(database) == {(now.date(), "a"): 1}


def test_close_writes_what_waits(database: Database, refusals: Refusals, now: datetime) -> None:
    refusals.count("a", now)
    refusals.close()
    assert written(database) == {(now.date(), "a"): 1}


def test_what_cannot_be_written_is_kept_for_the_next_time(tmp_path, cipher, now: datetime) -> None:
    database = Database(f"sqlite:///{tmp_path}/later.db", cipher)
    refusals = Refusals(database, flush_seconds=3600)
    refusals.count("a", now)
    refusals.flush()
    refusals.count("a", now)
    with database.write() as connection:
        zoom_refusals.create(connection)
    refusals.close()
    assert written(database) == {(now.date(), "a"): 2}
    database.close()


def test_what_could_not_be_written_is_written_by_itself_later(tmp_path, cipher, now: datetime, caplog) -> None:
    """The database fails, everything is answered 503, and afterwards nothing is refused any more."""
    database = Database(f"sqlite:///{tmp_path}/later.db", cipher)
    refusals = Refusals(database, flush_seconds=0.05)
    refusals.count("a", now)
    until(lambda: "refusals could not be counted" in caplog.messages)
    with database.write() as connection:
        zoom_refusals.create(connection)
    until(lambda: bool(written(database)))
    assert written(database) == {(now.date(), "a"): 1}
    refusals.close()
    database.close()


def test_the_sum_since_a_day_says_when_the_last_one_came(database: Database, refusals: Refusals, now: datetime) -> None:
    for days in (0, 1, 2):
        refusals.count("a", now + timedelta(days=days))
    refusals.flush()
    with database.read() as connection:
        assert since(connection, now.date() + timedelta(days=1)) == {"a": (2, now + timedelta(days=2))}
        assert since(connection, now.date() + timedelta(days=9)) == {}
