"""The history of the schema ends in exactly the tables that the code declares, on both databases."""

import threading
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from cryptography.fernet import MultiFernet
from sqlalchemy import Connection, column, insert, inspect, table, text
from sqlalchemy.exc import IntegrityError

from lti_tool import people
from lti_tool.db import Database
from lti_tool.errors import Conflict
from lti_tool.migrations import SCRIPTS, head, migrate, present_revision, upgrade
from lti_tool.tables.people import licences, trainees
from lti_tool.tables.types import metadata
from tests.postgres import Postgres

# Everything a database knows about constraints and indexes, as it would write it itself.
DEFINITIONS = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
    "postgresql": """
        SELECT conrelid::regclass || '.' || conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid <> 0
        UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT table_name || '.' || column_name,
            data_type || coalesce(column_default, '') || is_nullable || coalesce(character_maximum_length, 0)
            FROM information_schema.columns WHERE table_schema = 'public'
    """,
}


@pytest.fixture
def empty_database(
    backend: str, request: pytest.FixtureRequest, tmp_path: Path, cipher: MultiFernet
) -> Iterator[Database]:
    if backend == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        url = server.create(f"empty_{request.node.name.split('[')[0][-40:]}")
    else:
        url = f"sqlite:///{tmp_path}/empty.db"
    database = Database(url, cipher)
    yield database
    database.close()


def definitions(connection: Connection) -> dict[str, str]:
    rows = connection.execute(text(DEFINITIONS[connection.dialect.name]))
    return {name: definition for name, definition in rows if "alembic" not in name}


def checks(connection: Connection) -> dict[str, list[str]]:
    """Every check constraint of every table, by its name and words."""
    inspector = inspect(connection)
    return {
        table: sorted(f"{check['name']}: {check['sqltext']}" for check in inspector.get_check_constraints(table))
        for table in metadata.tables
    }


def test_the_history_has_one_head() -> None:
    assert ScriptDirectory(str(SCRIPTS)).get_heads() == [head()]


def test_an_empty_database_is_brought_to_the_head(empty_database: Database) -> None:
    assert migrate(empty_database) == head()
    with empty_database.read() as connection:
        assert present_revision(connection) == head()


def test_migrating_twice_changes_nothing(database: Database) -> None:
    assert migrate(database) == head()


def test_the_migrated_tables_are_the_declared_tables(database: Database) -> None:
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_the_migrated_constraints_and_indexes_are_the_declared_ones(
    database: Database, empty_database: Database
) -> None:
    with empty_database.write() as connection:
        metadata.create_all(connection)
        declared = definitions(connection), checks(connection)
    with database.read() as connection:
        assert (definitions(connection), checks(connection)) == declared


def test_two_that_migrate_at_once_do_not_disturb_each_other(empty_database: Database) -> None:
    revisions: list[str] = []
    threads = [threading.Thread(target=lambda: revisions.append(migrate(empty_database))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert revisions == [head(), head()]


def test_a_database_of_a_newer_release_is_left_alone(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Conflict, match="database_newer"):
        migrate(database)


@pytest.mark.databases("sqlite")
def test_a_migration_that_leaves_a_row_hanging_changes_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError), database.rebuild() as connection:
        connection.execute(text("INSERT INTO deployments VALUES (999, '1')"))
    with database.write() as connection:
        assert connection.execute(text("SELECT count(*) FROM deployments")).scalar() == 0
        with pytest.raises(IntegrityError):
            connection.execute(text("INSERT INTO deployments VALUES (999, '1')"))


def test_the_licences_on_record_are_found_by_their_numbers_after_the_migration(
    empty_database: Database, now: datetime
) -> None:
    numbers = [f"MFT-{each}" for each in range(1001, 2003)]
    with empty_database.rebuild() as connection:
        upgrade(connection, "0005")
        person = {"name": "Ada", "email": None, "created_at": now}
        trainee_id = connection.execute(insert(trainees).values(**person).returning(trainees.c.id)).scalar_one()
        of_then = table(
            "licences", *(column(each.name, each.type) for each in licences.c if each.name != "number_digest")
        )
        days = {"issued_on": date(2020, 1, 1), "expires_on": date(2027, 1, 1), "recorded_at": now, "verified": True}
        row = {"trainee_id": trainee_id, "type": "LMFT", "jurisdiction": "CA", "name_on_licence": "Ada", **days}
        row |= {"status": "active", "recorded_by": "cli"}
        connection.execute(insert(of_then), [{**row, "number": number} for number in numbers])
    migrate(empty_database)
    with empty_database.read() as connection:
        for number in (numbers[0], "mft 1555", numbers[-1]):
            assert [found.id for found in people.with_licence_number(connection, number)] == [trainee_id]
        assert people.with_licence_number(connection, "MFT-3003") == []
