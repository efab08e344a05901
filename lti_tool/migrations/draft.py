"""Write the initial revision anew from the tables: `python -m lti_tool.migrations.draft` (`make migration`)."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from alembic import command
from cryptography.fernet import Fernet, MultiFernet
from sqlalchemy.types import TypeDecorator

from lti_tool.db import Database
from lti_tool.migrations import SCRIPTS, config
from lti_tool.tables import types

INITIAL = "0001"


def draft() -> None:
    """Replace the initial revision by one that makes exactly the tables of `lti_tool.tables`."""
    for old in (SCRIPTS / "versions").glob(f"{INITIAL}_*.py"):
        old.unlink()
    with TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder)}/draft.db", MultiFernet([Fernet(Fernet.generate_key())]))
        with database.write() as connection:
            settings = config(connection)
            settings.attributes["render_item"] = render_item
            command.revision(settings, "The initial schema.", autogenerate=True, rev_id=INITIAL)
        database.close()


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Our own column types by their names; everything else as Alembic does it."""
    if kind == "type" and isinstance(item, TypeDecorator) and type(item).__module__ == types.__name__:
        return f"types.{type(item).__name__}()"
    return False


if __name__ == "__main__":
    draft()
