"""Reading back what platforms show of the scores that they took: a 2xx proves receipt, not a grade (lti.md AG-12).

Results are read some minutes after a delivery and then daily for a month (`seen.LOOKS`), a few at a time, and only
where they come from the gradebook itself. A grade that somebody else entered is shown to staff and left alone.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, case, or_, select, update

from lti_tool.db import Database
from lti_tool.errors import OutboundError
from lti_tool.grades import line_items
from lti_tool.grades.ags import MAXIMUM_WHEN_UNSAID, Value, compare, next_look
from lti_tool.grades.delivery import LEASE, REGRADED
from lti_tool.lti.line_items import RESULT_SCOPE, fetch_result
from lti_tool.lti.platform_api import PlatformApi
from lti_tool.lti.quirks import names_where
from lti_tool.tables.courses import placements
from lti_tool.tables.platforms import registrations
from lti_tool.tables.scores import scores
from lti_tool.tasks import Clock, Crew

READERS = 2


@dataclass(frozen=True, slots=True)
class Look:
    """One claimed look: `claimed_until` names the claim, since nobody else writes that moment."""

    id: int
    claimed_until: datetime
    registration_id: int
    line_item_url: str
    user_id: str
    delivered: Value
    delivered_at: datetime


class Reconciler:
    """Does due looks with a few threads. `look_due` is made to be called again and again by one thread."""

    def __init__(self, database: Database, api: PlatformApi, clock: Clock) -> None:
        self._database = database
        self._api = api
        self._clock = clock
        self._crew = Crew("results", READERS, self._claim, self._look)

    def look_due(self) -> bool:
        """Start what is due as far as threads are free; False once all is quiet."""
        return self._crew.step()

    def look_all(self) -> None:
        """Look until nothing is due."""
        self._crew.run()

    def _claim(self, limit: int) -> list[Look]:
        return claim(self._database, self._clock(), limit)

    def _look(self, look: Look) -> None:
        try:
            result = fetch_result(self._api, look.registration_id, look.line_item_url, look.user_id)
        except OutboundError:
            shown = None
        else:
            maximum = look.delivered.maximum if result is None else result.maximum or MAXIMUM_WHEN_UNSAID
            shown = Value(None if result is None else result.given, maximum)
        with self._database.write() as connection:
            record(connection, look, shown, self._clock())


def claim(database: Database, now: datetime, limit: int) -> list[Look]:
    """Take up to `limit` looks whose time has come; a look that nobody records comes due again after a lease."""
    due = and_(scores.c.look_at <= now, _readable())
    with database.read() as connection:
        found = connection.execute(_rows(due).order_by(scores.c.look_at).limit(limit)).all()
    if not found:
        return []
    with database.write() as connection:
        return [_as_look(row, now + LEASE) for row in found if _take(connection, row, now)]


def ask_for_all(connection: Connection, now: datetime) -> int:
    """Let everything that can be read be read now; how many that is."""
    ids = _rows(_readable(), line_items.in_use()).with_only_columns(scores.c.id)
    return connection.execute(update(scores).where(scores.c.id.in_(ids)).values(look_at=now)).rowcount


def record(connection: Connection, look: Look, shown: Value | None, now: datetime) -> bool:
    """Write down what was seen (None: it could not be read); False when a delivery or a retired column came between."""
    ours = and_(scores.c.id == look.id, scores.c.look_at == look.claimed_until, _is_settled())
    values: dict[str, Any] = {"look_at": next_look(look.delivered_at, now)}
    if shown is None:
        # What was seen before still stands: a re-grade is not forgotten because the platform is away.
        values |= {"seen": case((scores.c.seen == "differs", "differs"), else_="unreadable")}
    else:
        values |= _seen(look, shown, now)
    return bool(connection.execute(update(scores).where(ours).values(values)).rowcount)


def _seen(look: Look, shown: Value, now: datetime) -> dict[str, Any]:
    """What the ledger keeps of a look. A score that waits for a decision on a re-grade goes out after all when the
    re-grade was taken back."""
    seen = compare(shown, [look.delivered])
    values: dict[str, Any] = {"seen": seen, "seen_given": shown.out_of(look.delivered.maximum), "seen_at": now}
    if seen != "differs":
        values |= {"status": case((_is_undecided(), "waiting"), else_=scores.c.status), "next_attempt_at": now}
    return values


def _is_settled() -> Any:
    """Scores of which nothing is under way: taken by the platform, or waiting for a decision on a re-grade. One that
    waits to be sent is looked at by its delivery."""
    return or_(scores.c.status == "delivered", _is_undecided())


def _is_undecided() -> Any:
    return and_(scores.c.status == "parked", scores.c.last_answer == REGRADED, scores.c.delivered_version > 0)


def _readable() -> Any:
    """Scores of active platforms whose results come from the gradebook, and may be read."""
    return and_(
        _is_settled(),
        registrations.c.status == "active",
        registrations.c.profile.in_(names_where("results_show_gradebook")),
    )


def _rows(*conditions: Any) -> Any:
    return (
        select(scores, placements.c.registration_id, placements.c.ags_scopes)
        .join(placements, placements.c.id == scores.c.placement_id)
        .join(registrations, registrations.c.id == placements.c.registration_id)
        .where(*conditions)
    )


def _take(connection: Connection, row: Row[Any], now: datetime) -> bool:
    """Move the moment of the look by a lease, unless somebody else did; for ever where results are not offered."""
    until = now + LEASE if RESULT_SCOPE in row.ags_scopes else None
    ours = and_(scores.c.id == row.id, scores.c.look_at == row.look_at)
    taken = connection.execute(update(scores).where(ours).values(look_at=until)).rowcount
    return bool(taken) and until is not None


def _as_look(row: Row[Any], claimed_until: datetime) -> Look:
    return Look(
        id=row.id,
        claimed_until=claimed_until,
        registration_id=row.registration_id,
        line_item_url=row.line_item_url,
        user_id=row.user_id,
        delivered=Value(row.delivered_given, row.delivered_maximum),
        delivered_at=row.delivered_at,
    )
