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
        command.upgrade(config(connection), "head")
    return head()


def present_revision(connection: Connection) -> str | None:
    """The revision the database is at; None for an empty database."""
    return MigrationContext.configure(connection).get_current_revision()


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
    known = {script.revision for script in ScriptDirectory(str(SCRIPTS)).walk_revisions()}
    if revision is not None and revision not in known:
        raise Conflict(
            "database_newer",
            f"The database is at revision {revision}, which this release does not know.",
            "Run the release that migrated it, or a later one.",
        )
