"""The lease on rows of a queue: claimed by a conditional UPDATE, renewed while the work lives, finished by its owner
alone.

It works on every table with the columns `lease_owner` and `leased_until`, the same on SQLite and PostgreSQL. A worker
that dies leaves a lease that runs out, and another worker claims the rows. A death counts as an attempt; a claim alone
doesn't.
"""

import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Table, and_, case, literal, update

from lti_tool.db import Database

log = logging.getLogger(__name__)

# No lease reaches further ahead: a later end was written while the clock was wrong, and does not count.
FARTHEST_AHEAD = timedelta(hours=2)
# A lease is renewed so often within its span: one renewal may fail, and the next still comes in time.
RENEWALS_PER_SPAN = 3
# The values of a row that no worker holds.
RELEASED: Mapping[str, Any] = {"lease_owner": None, "leased_until": None}


class LeaseLostError(Exception):
    """Another worker holds the row by now, and records its result."""


@dataclass(frozen=True, slots=True)
class Lease:
    """One claim on a row, or on several that the same work needs. Every claim has an `owner` of its own.

    `attempts` is the number of this attempt, where the table counts the failures and the deaths before it; whoever
    records a failure stores it.
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


class LeaseKeeper:
    """Renews the leases of one queue's work in hand, all from one thread, so that work may take longer than its
    lease."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._kept: dict[str, Lease] = {}
        self._changed = threading.Condition()
        self._is_running = False

    @contextmanager
    def keep(self, lease: Lease) -> Iterator[None]:
        """While the block runs, this lease doesn't run out. It ends with the process."""
        with self._changed:
            self._kept[lease.owner] = lease
            if not self._is_running:
                threading.Thread(target=self._run, name="leases", daemon=True).start()
                self._is_running = True
        try:
            yield
        finally:
            with self._changed:
                self._kept.pop(lease.owner, None)
                self._changed.notify()

    def renew(self) -> None:
        """Renew every lease of work in hand. One that another worker holds by now is kept no longer."""
        with self._changed:
            leases = list(self._kept.values())
        for lease in leases:
            try:
                with self._database.write() as connection:
                    lease.renew(connection, self._clock())
            except LeaseLostError:
                with self._changed:
                    self._kept.pop(lease.owner, None)
            except Exception as error:  # the next renewal comes before the lease runs out
                log.error("a lease could not be renewed", extra={"error": type(error).__name__})

    def _run(self) -> None:
        """Renew until no work is in hand. The leases of a queue are of one length."""
        while True:
            with self._changed:
                pause = max((lease.span for lease in self._kept.values()), default=timedelta()) / RENEWALS_PER_SPAN
                if self._changed.wait_for(lambda: not self._kept, timeout=pause.total_seconds()):
                    self._is_running = False
                    return
            self.renew()


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
    """Lease the rows that are free and still meet the conditions; None if another worker took them all first.

    A row with an owner is free only if that owner's lease ran out: its worker has died, and this counts as an attempt.
    """
    owner, attempts = uuid.uuid4().hex, table.c.get("attempts")
    taken: dict[str, Any] = {**(values or {}), "lease_owner": owner, "leased_until": now + span}
    if attempts is not None:
        taken["attempts"] = attempts + case((table.c.lease_owner.is_not(None), 1), else_=0)
    taking = update(table).where(rows, ~is_held(table, now), *conditions).values(taken)
    counts = connection.scalars(taking.returning(literal(0) if attempts is None else attempts + 1)).all()
    return Lease(table, rows, span, owner, max(counts)) if counts else None
