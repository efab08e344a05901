"""Requests that a trainee sends and staff answer. The database lets one be open at a time.

Of an answer and a withdrawal at once, the first holds. What was written appears on pages only, never in a log line, an
audit entry, a message or an address.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, select, update

from lti_tool import audit
from lti_tool.db import insert_ignoring
from lti_tool.errors import Conflict, NotFound
from lti_tool.people import refuse_own, refuse_too_many
from lti_tool.text import MAX_STATEMENT, read_lines


@dataclass(frozen=True, slots=True)
class Requests:
    """All requests of one kind: their table, with the columns id, trainee_id, text, state, answer, answered_by,
    answered_at and created_at; what the audit log calls one; and how many one person sends a day at most."""

    table: Table
    name: str
    most_a_day: int

    def open(self, connection: Connection, row: Mapping[str, Any], refusal: Conflict, **details: Any) -> int:
        """Record a new request and return its id. Raises `refusal` if the same person has one open already; Conflict
        "requests_too_many"."""
        refuse_too_many(connection, self.table, row["trainee_id"], self.most_a_day, row["created_at"])
        new = {**row, "state": "open"}
        made = connection.scalar(insert_ignoring(connection, self.table).values(new).returning(self.table.c.id))
        if made is None:
            raise refusal
        self._note(connection, made, "opened", f"trainee:{row['trainee_id']}", row["created_at"], **details)
        return int(made)

    def show(self, connection: Connection, request_id: int) -> Row[Any]:
        """One request. Raises NotFound "request_unknown"."""
        row = connection.execute(select(self.table).where(self.table.c.id == request_id)).first()
        if row is None:
            raise _unknown()
        return row

    def withdraw(
        self,
        connection: Connection,
        request_id: int,
        *,
        trainee_id: int,
        now: datetime,
        states: Collection[str] = ("open",),
        **values: Any,
    ) -> Row[Any]:
        """Take the trainee's own request back while it is in one of these states; returns it. Another trainee's request
        counts as unknown. Raises NotFound "request_unknown"; Conflict "request_state"."""
        row = self.show(connection, request_id)
        if row.trainee_id != trainee_id:
            raise _unknown()
        self.move(connection, request_id, states, {"state": "withdrawn", **values}, f"trainee:{trainee_id}", now)
        return row

    def answer(self, connection: Connection, request_id: int, *, text: str, actor: str, now: datetime) -> None:
        """Answer an open request, in words that the trainee reads.

        Raises BadInput "request_text_missing"; NotFound "request_unknown"; AccessDenied "own_case"; Conflict
        "request_state".
        """
        said = read_text(text)
        row = self.show(connection, request_id)
        refuse_own(connection, actor, row.trainee_id)
        values = {"state": "answered", "answer": said, "answered_by": actor, "answered_at": now}
        self.move(connection, request_id, ("open",), values, actor, now)

    def move(
        self,
        connection: Connection,
        request_id: int,
        states: Collection[str],
        values: Mapping[str, Any],
        actor: str,
        now: datetime,
    ) -> None:
        """Change a request that is in one of `states`. Raises Conflict "request_state"."""
        stands = (self.table.c.id == request_id) & self.table.c.state.in_(states)
        moved = update(self.table).where(stands).values(values).returning(self.table.c.trainee_id)
        trainee_id = connection.scalar(moved)
        if trainee_id is None:
            raise Conflict(
                "request_state", "This request has been answered or withdrawn already.", "Look at the page again."
            )
        self._note(connection, request_id, values["state"], actor, now, trainee=trainee_id)

    def _note(
        self, connection: Connection, request_id: int, did: str, actor: str, now: datetime, **details: Any
    ) -> None:
        subject = f"{self.name}:{request_id}"
        audit.record(connection, actor=actor, act=f"{self.name}_{did}", subject=subject, at=now, **details)


def read_text(text: str, longest: int = MAX_STATEMENT) -> str:
    """What was written. Raises BadInput "request_text_missing"."""
    return read_lines(text, "request_text_missing", "The text", longest)


def _unknown() -> NotFound:
    return NotFound("request_unknown", "There is no such request.", "Open it from the list again.")
