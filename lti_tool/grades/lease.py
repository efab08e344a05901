"""The lease on one row: claimed by a conditional UPDATE, renewed during long work, finished by its owner alone.

It works on tables with the columns `lease_owner`, `leased_until` and `attempts`, the same on SQLite and PostgreSQL. A
worker that dies leaves a lease that runs out, and another worker claims the row.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Table, and_, update

from lti_tool.http import CONNECT_SECONDS, READ_SECONDS, WHOLE_ANSWER_SECONDS

# Longer than one call can take: a token, the request, and both once more after a 401, each as slow as `http` allows.
# Work with more than one call renews the lease in between.
LEASE = 4 * timedelta(seconds=CONNECT_SECONDS + READ_SECONDS + WHOLE_ANSWER_SECONDS)
# Nothing of ours lies further ahead: a later time was written while our clock was wrong, and is not waited for.
FARTHEST_AHEAD = timedelta(hours=2)


class LeaseLostError(Exception):
    """Another worker holds the row by now, and records its result."""


@dataclass(frozen=True, slots=True)
class Lease:
    """One claimed row; `attempts` is how often it has been claimed since it was last reset."""

    table: Table
    row_id: int
    owner: str
    attempts: int

    def write(self, connection: Connection, values: Mapping[str, Any], *conditions: ColumnElement[bool]) -> bool:
        """Update the row while the lease holds; False when it was lost."""
        key, *_ = self.table.primary_key.columns
        ours = and_(key == self.row_id, self.table.c.lease_owner == self.owner, *conditions)
        return bool(connection.execute(update(self.table).where(ours).values(values)).rowcount)

    def renew(self, connection: Connection, now: datetime, values: Mapping[str, Any] | None = None) -> None:
        """Hold the row for a whole lease from now on. Raises LeaseLostError."""
        if not self.write(connection, {**(values or {}), "leased_until": now + LEASE}):
            raise LeaseLostError

    def finish(self, connection: Connection, values: Mapping[str, Any]) -> bool:
        """Record the result and give the row back; False when the lease was lost."""
        return self.write(connection, {**values, "lease_owner": None, "leased_until": None})


def is_held(table: FromClause, now: datetime) -> ColumnElement[bool]:
    """Whether a worker holds a row."""
    until = table.c.leased_until
    return and_(table.c.lease_owner.is_not(None), until >= now, until <= now + FARTHEST_AHEAD)


def claim_row(
    connection: Connection,
    table: Table,
    row_id: int,
    now: datetime,
    *conditions: ColumnElement[bool],
    values: Mapping[str, Any] | None = None,
) -> Lease | None:
    """Lease a row that is free and still meets these conditions; None where another worker was faster."""
    key, *_ = table.primary_key.columns
    owner = uuid.uuid4().hex
    attempts = connection.execute(
        update(table)
        .where(key == row_id, ~is_held(table, now), *conditions)
        .values(
            {
                **(values or {}),
                "lease_owner": owner,
                "leased_until": now + LEASE,
                "attempts": table.c.attempts + 1,
            }
        )
        .returning(table.c.attempts)
    ).scalar()
    return None if attempts is None else Lease(table, row_id, owner, attempts)
