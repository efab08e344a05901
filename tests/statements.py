"""What is said to a database meanwhile. The database is the worker's: nothing may listen to it after the test."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from lti_tool.db import Database


@contextmanager
def listening(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Each statement that is run, with its parameters."""
    run: list[tuple[str, Any]] = []
    with before_each_statement(database, lambda statement, parameters: run.append((statement, parameters))):
        yield run


@contextmanager
def before_each_statement(database: Database, call: Callable[[str, Any], object]) -> Iterator[None]:
    """Call this with each statement and its parameters, just before the statement is run."""

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_rest: object) -> None:
        call(statement, parameters)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


@contextmanager
def counting_rows(database: Database) -> Iterator[Callable[[], int]]:
    """How many rows SQLite has handed over since."""
    rows = 0

    def count(_cursor: object, row: Any) -> Any:
        nonlocal rows
        rows += 1
        return row

    def note(connection: Any, *_rest: object) -> None:
        connection.row_factory = count

    def forget(connection: Any, *_rest: object) -> None:
        if connection is not None:
            connection.row_factory = None

    event.listen(database.engine, "checkout", note)
    event.listen(database.engine, "checkin", forget)
    try:
        yield lambda: rows
    finally:
        event.remove(database.engine, "checkout", note)
        event.remove(database.engine, "checkin", forget)
