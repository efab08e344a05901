"""The history of the schema ends in exactly the tables that the code declares, on both databases."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from cryptography.fernet import MultiFernet
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.exc import IntegrityError

from lti_tool.db import Database
from lti_tool.errors import Conflict
from lti_tool.migrations import SCRIPTS, config, head, migrate, present_revision
from lti_tool.tables.browser_sessions import web_sessions
from lti_tool.tables.courses import enrolments, placements
from lti_tool.tables.platforms import registrations
from lti_tool.tables.scores import scores
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


# A platform with two units, a person, a score and a visit, as the first revision kept them.
AT_FIRST = """
INSERT INTO registrations (id, issuer, client_id, auth_login_url, token_url, key_set_url, profile, old_roles, status,
    created_at) VALUES (1, 'https://lms.example.org', 'client-1', 'https://lms.example.org/auth',
    'https://lms.example.org/token', 'https://lms.example.org/keys', 'openedx', false, 'active', '2026-11-01 10:00:00');
INSERT INTO trainees (id, name, email, calendar_token, created_at)
    VALUES (1, 'Maya Example', 'maya@example.org', 'token', '2026-11-01 10:00:00');
INSERT INTO placements (id, registration_id, deployment_id, resource_link_id, context_id, module_id, line_item_url,
    ags_scopes, updated_at) VALUES (1, 1, '1', 'unit-1', 'course-1', 'F1', 'https://lms.example.org/items/1', '[]',
    '2026-11-02 10:00:00');
INSERT INTO placements (id, registration_id, deployment_id, resource_link_id, ags_scopes, updated_at)
    VALUES (2, 1, '1', 'unit-2', '[]', '2026-11-02 10:00:00');
INSERT INTO enrolments (registration_id, context_id, trainee_id, user_id, role, last_launch_at)
    VALUES (1, 'course-1', 1, 'user-1', 'trainee', '2026-11-02 10:00:00');
INSERT INTO scores (id, placement_id, trainee_id, line_item_url, user_id, meaning, desired_version, desired_given,
    desired_maximum, desired_comment, desired_at, delivered_version, delivered_given, status, attempts, next_attempt_at)
    VALUES (1, 1, 1, 'https://lms.example.org/items/1', 'user-1', 'completion', 1, 83, 100, '', '2026-11-02 10:00:00',
    1, 83, 'delivered', 1, '2026-11-02 10:00:00');
INSERT INTO web_sessions (token_digest, trainee_id, placement_id, role, created_at, expires_at)
    VALUES ('digest', 1, 1, 'trainee', '2026-11-02 10:00:00', '2026-11-02 22:00:00')
"""


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


def test_what_is_on_record_is_carried_from_the_first_revision_to_the_head(empty_database: Database) -> None:
    with empty_database.rebuild() as connection:
        command.upgrade(config(connection), "0001")
        for statement in AT_FIRST.strip().split(";\n"):
            connection.execute(text(statement))
    assert migrate(empty_database) == head()
    with empty_database.read() as connection:
        platform = connection.execute(select(registrations)).one()
        places = connection.execute(select(placements).order_by(placements.c.id)).all()
        person = connection.execute(select(enrolments)).one()
        score = connection.execute(select(scores)).one()
        visits = connection.execute(select(web_sessions)).all()
    assert (platform.status, platform.came_by, platform.service_origins) == ("active", "command", [])
    assert [(each.content, each.module_id) for each in places] == [("module:F1", "F1"), ("", None)]
    assert all(each.launched_at == each.updated_at for each in places)
    assert (person.user_id, person.listed_at, person.last_launch_at) == ("user-1", None, places[0].updated_at)
    assert (score.placement_id, score.desired_given, score.status, score.seen) == (1, 83.0, "delivered", "unread")
    assert visits == []


@pytest.mark.databases("sqlite")
def test_a_migration_that_leaves_a_row_hanging_changes_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError), database.rebuild() as connection:
        connection.execute(text("INSERT INTO deployments VALUES (999, '1')"))
    with database.write() as connection:
        assert connection.execute(text("SELECT count(*) FROM deployments")).scalar() == 0
        with pytest.raises(IntegrityError):
            connection.execute(text("INSERT INTO deployments VALUES (999, '1')"))
