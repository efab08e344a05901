"""Draft the next revision: `python -m lti_tool.migrations.draft 0002 "What changes."` (`make migration`).

A revision that is on main never changes. The comparison sees no check constraints, and rows that are there have to be
carried over: read the draft, and write by hand what is missing.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from alembic import command
from cryptography.fernet import Fernet, MultiFernet
from sqlalchemy.types import TypeDecorator

from lti_tool.db import Database
from lti_tool.migrations import config, migrate
from lti_tool.tables import types


def draft(revision: str, says: str) -> None:
    """Write a revision that leads from the present head to the tables of `lti_tool.tables`."""
    with TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder)}/draft.db", MultiFernet([Fernet(Fernet.generate_key())]))
        migrate(database)
        with database.write() as connection:
            settings = config(connection)
            settings.attributes["render_item"] = render_item
            command.revision(settings, says, autogenerate=True, rev_id=revision)
        database.close()


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Our own column types by their names; everything else as Alembic does it."""
    if kind == "type" and isinstance(item, TypeDecorator) and type(item).__module__ == types.__name__:
        return f"types.{type(item).__name__}()"
    return False


if __name__ == "__main__":
    draft(*sys.argv[1:])
