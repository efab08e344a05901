"""The inbox and its seals only grow, whoever asks: the database itself refuses."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection, delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from lti_tool.db import Database
from lti_tool.tables.types import metadata
from lti_tool.tables.zoom import zoom_inbox, zoom_seals
from tests.unit.migrations.test_migrations import empty_database as empty_database

TRIGGERS = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name",
    "postgresql": """
        SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT proname, pg_get_functiondef(oid) FROM pg_proc WHERE proname = 'refuse_change' ORDER BY 1
    """,
}


def triggers(connection: Connection) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in connection.execute(text(TRIGGERS[connection.dialect.name]))]


@pytest.fixture
def kept(database: Database, now) -> int:
    """One delivery, taken and sealed."""
    row = {
        "dedupe_key": "key",
        "event": "meeting.started",
        "body": b"{}",
        "headers": {},
        "secret_position": 0,
        "stale": False,
        "received_at": now,
    }
    with database.write() as connection:
        row_id = connection.execute(insert(zoom_inbox).values(row).returning(zoom_inbox.c.id)).scalar_one()
        connection.execute(update(zoom_inbox).values(taken_at=now))
        connection.execute(insert(zoom_seals).values(position=1, inbox_id=row_id, seal="0" * 64, sealed_at=now))
    return row_id


def test_the_migrated_triggers_are_the_declared_ones(database: Database, empty_database: Database) -> None:
    with empty_database.write() as connection:
        metadata.create_all(connection)
        declared = triggers(connection)
    with database.read() as connection:
        assert triggers(connection) == declared
    assert len(declared) >= 5


@pytest.mark.parametrize("table", [zoom_inbox, zoom_seals], ids=str)
def test_no_row_is_ever_dropped(database: Database, kept: int, table) -> None:
    with pytest.raises(IntegrityError, match="only grows"), database.write() as connection:
        connection.execute(delete(table))


@pytest.mark.databases("sqlite")
def test_no_row_is_ever_replaced(database: Database, kept: int) -> None:
    """SQLite's REPLACE drops the row that is in its way, and asks no trigger unless told to."""
    columns = ", ".join(each.name for each in zoom_inbox.c)
    with pytest.raises(IntegrityError, match="only grows"), database.write() as connection:
        connection.execute(text(f"INSERT OR REPLACE INTO zoom_inbox ({columns}) SELECT {columns} FROM zoom_inbox"))


@pytest.mark.parametrize("column", [each.name for each in zoom_inbox.c if each.name != "taken_at"])
def test_no_column_of_a_delivery_is_ever_changed(database: Database, kept: int, column: str) -> None:
    with pytest.raises(IntegrityError, match="only grows"), database.write() as connection:
        connection.execute(text(f"UPDATE zoom_inbox SET {column} = {column}"))


def test_a_delivery_is_marked_as_taken_once(database: Database, kept: int, now) -> None:
    for later in (now + timedelta(days=1), None):
        with pytest.raises(IntegrityError, match="only grows"), database.write() as connection:
            connection.execute(update(zoom_inbox).values(taken_at=later))
    with database.read() as connection:
        assert connection.execute(select(zoom_inbox.c.taken_at)).scalar_one() == now


def test_no_seal_is_ever_changed(database: Database, kept: int) -> None:
    with pytest.raises(IntegrityError, match="only grows"), database.write() as connection:
        connection.execute(update(zoom_seals).values(seal="1" * 64))


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("table", ["zoom_inbox", "zoom_seals"])
def test_no_table_is_emptied_at_once(database: Database, kept: int, table: str) -> None:
    with pytest.raises(IntegrityError, match="only grows"), database.write() as connection:
        connection.execute(text(f"TRUNCATE {table} CASCADE"))
