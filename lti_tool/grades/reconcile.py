"""Reading back what platforms show of the scores that they took: a 2xx proves receipt, not a grade (lti.md AG-12).

Results are read some minutes after a delivery and then daily for a month (`ags.READINGS`), a few at a time, and only
where they come from the gradebook itself. A grade that a person entered is shown to staff and left alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, or_, select, update

from lti_tool.credit import claims
from lti_tool.db import Database
from lti_tool.errors import OutboundError
from lti_tool.grades import line_items
from lti_tool.grades.ags import MAXIMUM_WHEN_UNSAID, Value, compare, next_reading
from lti_tool.grades.delivery import REGRADED
from lti_tool.http import spread
from lti_tool.lti.line_items import RESULT_SCOPE, fetch_result
from lti_tool.lti.platform_api import LONGEST_CALL, PlatformApi
from lti_tool.lti.quirks import names_where
from lti_tool.tables.courses import placements
from lti_tool.tables.platforms import registrations
from lti_tool.tables.scores import line_items as columns
from lti_tool.tables.scores import scores
from lti_tool.tasks import Clock, JobPool

READERS = 2


@dataclass(frozen=True, slots=True)
class Reading:
    """One claimed reading. `expected` is what the gradebook should show; the ledger keeps what it does show out of
    `delivered_maximum`. `claimed_until` is its lease: it comes due again at that moment, which its owner alone has
    written."""

    id: int
    claimed_until: datetime
    registration_id: int
    line_item_url: str
    user_id: str
    expected: Value
    delivered_maximum: float
    delivered_at: datetime


class Reconciler:
    """Reads due results with a few threads. One thread calls `read_due` again and again."""

    def __init__(self, database: Database, api: PlatformApi, clock: Clock) -> None:
        self._database = database
        self._api = api
        self._clock = clock
        self._pool = JobPool("results", READERS, lambda limit: claim(database, clock(), limit), self.read)

    def read_due(self) -> bool:
        """Start what is due as far as threads are free; False once all is quiet."""
        return self._pool.step()

    def read_all(self) -> None:
        """Read until nothing is due."""
        self._pool.run()

    def read(self, reading: Reading) -> None:
        """Read one result and record it."""
        try:
            result = fetch_result(self._api, reading.registration_id, reading.line_item_url, reading.user_id)
        except OutboundError as error:
            shown, retry_at = None, error.retry_at
        else:
            retry_at = None
            maximum = reading.expected.maximum if result is None else result.maximum or MAXIMUM_WHEN_UNSAID
            shown = Value(None if result is None else result.given, maximum)
        with self._database.write() as connection:
            record(connection, reading, shown, self._clock(), retry_at)


def claim(database: Database, now: datetime, limit: int) -> Sequence[Reading]:
    """Take up to `limit` readings whose time has come, by moving that time on by a lease. One that is never recorded
    comes due again. Where results are not offered, there is no next reading."""
    due = _rows(scores.c.results_due_at <= now, _is_readable()).order_by(scores.c.results_due_at).limit(limit)
    with database.read() as connection:
        found = connection.execute(due).all()
    if not found:
        return []
    claimed = []
    with database.write() as connection:
        for row in found:
            until = now + LONGEST_CALL if RESULT_SCOPE in row.ags_scopes else None
            unclaimed = and_(scores.c.id == row.id, scores.c.results_due_at == row.results_due_at)
            is_taken = connection.execute(update(scores).where(unclaimed).values(results_due_at=until)).rowcount
            if is_taken and until is not None:
                claimed.append(
                    Reading(
                        id=row.id,
                        claimed_until=until,
                        registration_id=row.registration_id,
                        line_item_url=row.line_item_url,
                        user_id=row.user_id,
                        expected=_expected(connection, row),
                        delivered_maximum=row.delivered_maximum,
                        delivered_at=row.delivered_at,
                    )
                )
    return claimed


def _expected(connection: Connection, row: Row[Any]) -> Value:
    """What the gradebook should show: what was delivered, and in a column of credit the credit in the register."""
    of_column = and_(
        columns.c.placement_id == row.placement_id, columns.c.meaning == "ce", columns.c.retired_at.is_(None)
    )
    most = connection.scalar(select(columns.c.credits).where(of_column)) if row.meaning == "ce" else None
    if most is None or row.status != "delivered":
        return Value(row.delivered_given, row.delivered_maximum)
    awarded = claims.awards_in_force(connection, row.trainee_id, row.module_id)
    return Value(float(max((each.credits for each in awarded), default=0)), most)


def ask_for_all(connection: Connection, now: datetime) -> int:
    """Make every readable result due now; returns how many."""
    ids = _rows(_is_readable(), line_items.in_use()).with_only_columns(scores.c.id)
    return connection.execute(update(scores).where(scores.c.id.in_(ids)).values(results_due_at=now)).rowcount


def record(
    connection: Connection, reading: Reading, shown: Value | None, now: datetime, retry_at: datetime | None = None
) -> bool:
    """Record what was shown (None: it could not be read, and may be read again from `retry_at`); False when a delivery
    or a retired column came first."""
    ours = and_(scores.c.id == reading.id, scores.c.results_due_at == reading.claimed_until, _is_settled())
    following = next_reading(reading.delivered_at, now)
    due_at = following and max(following, spread(retry_at or now, now))
    values: dict[str, Any] = {"results_due_at": due_at}
    if shown is None:
        # The last reading still stands: a re-grade is not forgotten because the platform is away.
        values |= {"seen": case((scores.c.seen == "differs", "differs"), else_="unreadable")}
    else:
        seen = compare(shown, [reading.expected])
        values |= {"seen": seen, "seen_given": shown.out_of(reading.delivered_maximum), "seen_at": now}
        if seen != "differs":
            # A score that waited for a decision goes out after all: the re-grade was taken back.
            values |= {"status": case((_is_undecided(), "waiting"), else_=scores.c.status), "next_attempt_at": now}
    return bool(connection.execute(update(scores).where(ours).values(values)).rowcount)


def _is_settled() -> ColumnElement[bool]:
    """Scores that are not under way: taken by the platform, or waiting for a decision on a re-grade. Delivery itself
    looks at a score that waits to be sent."""
    return or_(scores.c.status == "delivered", _is_undecided())


def _is_undecided() -> ColumnElement[bool]:
    return and_(scores.c.status == "parked", scores.c.last_answer == REGRADED, scores.c.delivered_version > 0)


def _is_readable() -> ColumnElement[bool]:
    """Scores of active platforms whose results come from the gradebook."""
    return and_(
        _is_settled(),
        registrations.c.status == "active",
        registrations.c.profile.in_(names_where("results_show_gradebook")),
    )


def _rows(*conditions: ColumnElement[bool]) -> Select[Any]:
    return (
        select(scores, placements.c.registration_id, placements.c.ags_scopes, placements.c.module_id)
        .join(placements, placements.c.id == scores.c.placement_id)
        .join(registrations, registrations.c.id == placements.c.registration_id)
        .where(*conditions)
    )
