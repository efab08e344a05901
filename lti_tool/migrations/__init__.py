"""The schema's history: revisions that never change, applied with `gatehouse migrate`."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from lti_tool.db import Database
from lti_tool.errors import Conflict

SCRIPTS = Path(__file__).parent
# Where Alembic keeps the revision.
VERSION_TABLE = "alembic_version"

# PostgreSQL: whoever holds this lock migrates; others wait, then find nothing to do. (SQLite has one writer anyway.)
ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(1301)")


def migrate(database: Database) -> str:
    """Bring the database to this release's revision, in one transaction; the revision.

    Raises Conflict "database_newer" when a newer release has been there: nothing is touched then.
    """
    with database.rebuild() as connection:
        if not database.is_sqlite:
            connection.execute(ONE_AT_A_TIME)
        _refuse_newer(present_revision(connection))
        upgrade(connection)
    return head()


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the database of this transaction up to a revision."""
    command.upgrade(config(connection), revision)


def present_revision(connection: Connection) -> str | None:
    """The revision the database is at; None for an empty database."""
    return MigrationContext.configure(connection).get_current_revision()


def refuse_other_revision(connection: Connection) -> str:
    """The revision, if it is this release's. Raises Conflict "database_not_migrated" if it is not."""
    revision = present_revision(connection)
    if revision != head():
        raise Conflict(
            "database_not_migrated",
            "The database is not at the revision that this release expects.",
            "Run `gatehouse migrate` once, then start again.",
        )
    return revision


def knows(revision: str) -> bool:
    """Whether this release can bring a database of this revision to its own."""
    return revision in {script.revision for script in ScriptDirectory(str(SCRIPTS)).walk_revisions()}


@cache
def head() -> str:
    """The one revision this release expects."""
    revision = ScriptDirectory(str(SCRIPTS)).get_current_head()
    assert revision is not None
    return revision


def config(connection: Connection) -> Config:
    """Alembic's configuration on an open transaction; there is no alembic.ini."""
    settings = Config(attributes={"connection": connection})
    settings.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings


def _refuse_newer(revision: str | None) -> None:
    if revision is not None and not knows(revision):
        raise Conflict(
            "database_newer",
            f"The database is at revision {revision}, which this release does not know.",
            "Run the release that migrated it, or a later one.",
        )
