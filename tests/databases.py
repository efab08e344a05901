"""Which databases a test runs on, and the one of each kind that a worker empties for its next test."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

from lti_tool.db import Database
from lti_tool.migrations import migrate
from lti_tool.tables.types import FieldCipher
from tests.postgres import Postgres

DATABASES = ("sqlite", "postgresql")
HASHED, BOTH = "hashed", "both"
MEMORY = Path("/dev/shm")
LEAST_MEMORY = 64 * 2**20

# What a worker's PostgreSQL database has beside the tables: how it is emptied, and whether it must be made anew.
# DELETE is the cheaper way for few rows; where many have been deleted the table begins anew.
OF_TESTS = """
CREATE SCHEMA of_tests;
CREATE TABLE of_tests.revision AS TABLE alembic_version;
CREATE TABLE of_tests.changes (command text);

CREATE FUNCTION of_tests.note_change() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO of_tests.changes VALUES (tg_tag);
END $$;

CREATE FUNCTION of_tests.empty() RETURNS boolean LANGUAGE plpgsql SET session_replication_role = replica AS $$
DECLARE
    name regclass;
BEGIN
    PERFORM pg_terminate_backend(pid, 10000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    IF EXISTS (SELECT FROM of_tests.changes) THEN
        RETURN false;
    END IF;
    FOR name IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP
        IF pg_relation_size(name) > 200000 THEN
            EXECUTE 'TRUNCATE ' || name || ' CASCADE';
        ELSE
            EXECUTE 'DELETE FROM ' || name;
        END IF;
    END LOOP;
    INSERT INTO alembic_version TABLE of_tests.revision;
    PERFORM setval(seqrelid, seqstart, false) FROM pg_sequence WHERE pg_sequence_last_value(seqrelid) IS NOT NULL;
    RETURN true;
END $$;

CREATE EVENT TRIGGER note_change ON ddl_command_end EXECUTE FUNCTION of_tests.note_change();
ALTER EVENT TRIGGER note_change ENABLE ALWAYS;
TRUNCATE of_tests.changes
"""


def databases_for(name: str, wanted: str, useful: Sequence[str] = DATABASES) -> list[str]:
    """Those of the useful databases on which the test of this name runs: one chosen by its name, both, or one given."""
    if wanted == HASHED:
        return [useful[crc32(name.encode()) % len(useful)]]
    return [each for each in useful if wanted in (BOTH, each)]


def cheap_folder() -> str | None:
    """Where a file that nobody needs afterwards costs no disk; None for the usual place."""
    has_room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > LEAST_MEMORY
    return str(MEMORY) if has_room else None


def prepare(url: str, cipher: FieldCipher) -> None:
    """Bring an empty database to this release's tables."""
    database = Database(url, cipher)
    migrate(database)
    database.close()


class SqliteOfWorker:
    """One SQLite file, replaced by the template for each test. SQLAlchemy keeps what it learnt of the statements."""

    def __init__(self, folder: Path, template: Path, cipher: FieldCipher) -> None:
        self._path, self._template = folder / "gatehouse.db", template
        self.database = Database(f"sqlite:///{self._path}", cipher)

    def empty(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        shutil.copy(self._template, self._path)


class PostgresOfWorker:
    """One PostgreSQL database, emptied for each test; made anew where a test changed its tables."""

    NAME = "of_worker"

    def __init__(self, server: Postgres, template: str, cipher: FieldCipher) -> None:
        self._server, self._template = server, template
        self._make()
        self.database = Database(server.url(self.NAME), cipher)

    def empty(self) -> None:
        with self._server.connect(self.NAME) as connection:
            is_empty = connection.execute("SELECT of_tests.empty()").fetchone() == (True,)
        if not is_empty:
            self._server.drop(self.NAME)
            self._make()

    def _make(self) -> None:
        self._server.create(self.NAME, self._template)
        with self._server.connect(self.NAME) as connection:
            connection.execute(OF_TESTS)
