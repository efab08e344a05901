"""One web request: its application context, its one instant, its one transaction, and what its address may contain.

The transaction begins when a view first asks for a connection. It is committed once, after the view, by the app; a view
never commits. A refusal or an error rolls back everything that the request did.

An address may contain ids that a database takes, and texts without control characters. Any other address gets a 404
before a view or the database sees it.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar, cast

from flask import Flask, Response, current_app, g
from flask import request as http_request
from sqlalchemy import Connection, Table
from werkzeug.routing import IntegerConverter, Map, UnicodeConverter

from lti_tool.context import AppContext
from lti_tool.errors import BadInput, GatehouseError
from lti_tool.group_commit import GroupWriter

View = TypeVar("View", bound=Callable[..., Any])

# A refusal that the server decided on before the request reached Flask; in the WSGI environment.
REFUSED = "gatehouse.refused"
# The file that the server sends as the body of an answer; in the WSGI environment.
FILE = "gatehouse.file"
READING_METHODS = ("GET", "HEAD", "OPTIONS")
# 18 digits are below the largest id of either database.
ID = re.compile(r"[0-9]{1,18}")


@dataclass(slots=True)
class _Work:
    """The request's instant and, once asked for, its open transaction."""

    now: datetime
    open: ExitStack = field(default_factory=ExitStack)
    connection: Connection | None = None
    is_writing: bool = False


def context() -> AppContext:
    """What web, worker and commands share."""
    return cast(AppContext, current_app.extensions["gatehouse"])


def now() -> datetime:
    """The instant of this request, in UTC. It stays the same until the request ends."""
    return _work().now


def connection() -> Connection:
    """The connection of this request, inside its one transaction: a write transaction for POST, PUT, PATCH and DELETE
    and for views marked `@writes`, a read transaction otherwise."""
    work = _work()
    if work.connection is None:
        view = current_app.view_functions.get(http_request.endpoint or "")
        is_writing = http_request.method not in READING_METHODS or getattr(view, "writes", False)
        database = context().database
        work.connection = work.open.enter_context(database.write() if is_writing else database.read())
        work.is_writing = is_writing
    return work.connection


def submit(to: str, item: Any) -> Any:
    """Hand an item to the writer of this name, which writes the items of many requests in one commit; for views that
    otherwise only read.

    Returns the outcome once the item is on disk. Raises NotStored.
    """
    if _work().is_writing:  # the shared commit would wait for this one
        raise RuntimeError("a request that writes does so in its own transaction")
    writers: Mapping[str, GroupWriter[Any, Any]] = current_app.extensions["gatehouse_writers"]
    return writers[to].submit(item)


def append(table: Table, row: Mapping[str, Any]) -> None:
    """Append a row in a commit shared with other requests; for views that otherwise only read. Raises NotStored."""
    submit(table.name, row)


def no_room() -> GatehouseError:
    """What a body is refused with that the disk has no room for."""
    return GatehouseError(
        "no_room_for_upload",
        "The server has no room for this upload at the moment.",
        "Try again later, or write to the people who run the server.",
        status=507,
    )


def writes(view: View) -> View:
    """Mark a view that writes although it answers GET."""
    view.writes = True  # type: ignore[attr-defined]
    return view


def finish(response: Response) -> Response:
    """Commit the request's transaction, or roll it back if the status is 500 or above."""
    _end(keep=response.status_code < 500)
    return response


def abandon(_error: BaseException | None = None) -> None:
    """Roll back what the request has done so far. May be called any number of times."""
    _end(keep=False)


def register(app: Flask) -> None:
    """Commit after each request of the app, and leave nothing open when one breaks off."""

    def verify_request() -> None:
        """Raise what the server decided on, or BadInput `query_unreadable` for bytes that are not UTF-8, before a view
        looks at them."""
        if refused := http_request.environ.get(REFUSED):
            raise refused
        try:
            http_request.query_string.decode()
        except UnicodeDecodeError as error:
            raise BadInput(
                "query_unreadable",
                "The address could not be read.",
                "Open the page again from your course.",
                status=400,
            ) from error

    def leave(error: BaseException | None = None) -> None:
        abandon(error)
        g.pop("work", None)

    app.before_request(verify_request)
    app.after_request(finish)
    app.teardown_request(leave)


def _end(*, keep: bool) -> None:
    """End the open transaction, if there is one. Whatever happens, its connection and its turn as writer are given
    back."""
    work: _Work | None = g.get("work")
    if work is None or work.connection is None:
        return
    held, work.connection, work.is_writing = work.connection, None, False
    try:
        if not keep:
            held.rollback()
    finally:
        work.open.close()


def _work() -> _Work:
    if "work" not in g:
        g.work = _Work(context().clock())
    return cast(_Work, g.work)


class _Id(IntegerConverter):
    regex = ID.pattern


class _Text(UnicodeConverter):
    def __init__(self, map: Map) -> None:
        super().__init__(map)
        self.regex = r"[^/\x00-\x1f\x7f]+"


def register_converters(app: Flask) -> None:
    """Convert `<int:…>` and `<…>` in every address of the app in this way. Call it before the first route is added."""
    app.url_map.converters.update(int=_Id, default=_Text, string=_Text)


def read_id(text: str) -> int:
    """The id in a query parameter. Raises ValueError for anything else."""
    if not ID.fullmatch(text):
        raise ValueError("no id")
    return int(text)
