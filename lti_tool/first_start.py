"""What a start makes sure of before anything is answered: the schema, and a programme."""

import logging
from pathlib import Path

from lti_tool import publication
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.house import House
from lti_tool.migrations import head, migrate, present_revision

log = logging.getLogger(__name__)


def prepare(house: House) -> None:
    """Migrate SQLite (PostgreSQL: `gatehouse migrate`) and publish GATEHOUSE_PROGRAMME if nothing is published.

    Raises Conflict "database_not_migrated", or ProgrammeError if that document cannot be published.
    """
    if house.database.is_sqlite:
        migrate(house.database)
    else:
        _check_revision(house)
    _publish_first_programme(house)


def _check_revision(house: House) -> None:
    with house.database.read() as connection:
        if present_revision(connection) == head():
            return
    raise Conflict(
        "database_not_migrated",
        "The database is not at the revision this release expects.",
        "Run `gatehouse migrate` once, then start again.",
    )


def _publish_first_programme(house: House) -> None:
    path = house.settings.programme
    if path is None:
        return
    with house.database.write() as connection:
        try:
            publication.current(connection)
        except NotFound:
            version = publication.publish(connection, _text(path), path.name, actor="system", now=house.clock())
            log.info("first programme published", extra={"version": version})


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            "programme_unreadable",
            "The file that GATEHOUSE_PROGRAMME names cannot be read.",
            "Check its path and rights.",
        ) from error
