"""What is said to a database meanwhile. The database is the worker's: nothing may listen to it after the test."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from lti_tool.db import Database


@contextmanager
def listening(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Each statement that is run, with its parameters."""
    run: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_rest: object) -> None:
        run.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield run
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
