"""The lease on rows of a queue: claimed by a conditional UPDATE, renewed during long work, finished by its owner alone.

It works on every table with the columns `lease_owner` and `leased_until`, the same on SQLite and PostgreSQL. A worker
that dies leaves a lease that runs out, and another worker claims the rows.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Table, and_, literal, update

# No lease reaches further ahead: a later end was written while the clock was wrong, and does not count.
FARTHEST_AHEAD = timedelta(hours=2)
# The values of a row that no worker holds.
RELEASED: Mapping[str, Any] = {"lease_owner": None, "leased_until": None}


class LeaseLostError(Exception):
    """Another worker holds the row by now, and records its result."""


@dataclass(frozen=True, slots=True)
class Lease:
    """One claim on a row, or on several that the same work needs. Every claim has an `owner` of its own.

    `attempts` is how often the row has been claimed since it was last reset, where the table counts that.
    """

    table: Table
    rows: ColumnElement[bool]
    span: timedelta
    owner: str
    attempts: int

    @property
    def ours(self) -> ColumnElement[bool]:
        """Matches the rows that this claim still holds."""
        return and_(self.rows, self.table.c.lease_owner == self.owner)

    def write(self, connection: Connection, values: Mapping[str, Any], *conditions: ColumnElement[bool]) -> bool:
        """Update what is still held; False if there is nothing."""
        return bool(connection.execute(update(self.table).where(self.ours, *conditions).values(values)).rowcount)

    def renew(self, connection: Connection, now: datetime, values: Mapping[str, Any] | None = None) -> None:
        """Hold what is still held for a whole span from now on. Raises LeaseLostError if there is nothing."""
        if not self.write(connection, {**(values or {}), "leased_until": now + self.span}):
            raise LeaseLostError

    def finish(self, connection: Connection, values: Mapping[str, Any], *conditions: ColumnElement[bool]) -> bool:
        """Record the result and give the rows back; False if the lease was lost."""
        return self.write(connection, {**values, **RELEASED}, *conditions)


def is_held(table: FromClause, now: datetime) -> ColumnElement[bool]:
    """Matches the rows that a worker holds."""
    until = table.c.leased_until
    return and_(table.c.lease_owner.is_not(None), until >= now, until <= now + FARTHEST_AHEAD)


def claim_rows(
    connection: Connection,
    table: Table,
    rows: ColumnElement[bool],
    span: timedelta,
    now: datetime,
    *conditions: ColumnElement[bool],
    values: Mapping[str, Any] | None = None,
) -> Lease | None:
    """Lease the rows that are free and still meet the conditions; None if another worker took them all first."""
    owner, attempts = uuid.uuid4().hex, table.c.get("attempts")
    taken: dict[str, Any] = {**(values or {}), "lease_owner": owner, "leased_until": now + span}
    if attempts is not None:
        taken["attempts"] = attempts + 1
    taking = update(table).where(rows, ~is_held(table, now), *conditions).values(taken)
    counts = connection.scalars(taking.returning(literal(0) if attempts is None else attempts)).all()
    return Lease(table, rows, span, owner, max(counts)) if counts else None
