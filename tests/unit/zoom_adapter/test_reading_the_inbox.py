"""Reading the inbox: what is new costs a few statements for each thousand deliveries, however many came before."""

import io
import sys
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import select

from lti_tool.commands.console import TIMES_DRAWN, progress
from lti_tool.db import Database
from lti_tool.tables.zoom import registrants
from tests.clock import TestClock
from tests.statements import listening
from tests.training_day import add_trainee
from tests.zoom_day import CLOSES, OPENS, people_of, whole_day
from tests.zoom_inbox import keep
from zoom_adapter.events import ZoomEvent
from zoom_adapter.presence import take_inbox
from zoom_adapter.registrants import record_registrations

MEETING = "85300001234"


def notice(change: str, event_ts: int, registrant_id: str = "rg-1", **given: Any) -> ZoomEvent:
    return ZoomEvent(
        event_type=f"meeting.registration_{change}",
        kind="registration",
        event_ts=str(event_ts),
        meeting_id=MEETING,
        registrant_id=registrant_id,
        **given,
    )


def recorded(database: Database) -> list[tuple[Any, ...]]:
    names = ("registrant_id", "trainee_id", "email", "name", "event_ts", "status", "status_ts", "matched_by")
    with database.read() as connection:
        query = select(*(registrants.c[name] for name in names)).order_by(registrants.c.registrant_id)
        return [tuple(row) for row in connection.execute(query)]


def record(database: Database, clock: TestClock, *batches: Sequence[ZoomEvent]) -> None:
    for batch in batches:
        with database.write() as connection:
            record_registrations(connection, batch, clock())


def test_the_newest_notice_counts_whatever_the_order_and_the_batches(database: Database, clock: TestClock) -> None:
    with database.write() as connection:
        first, second = (add_trainee(connection, number, clock()) for number in (1, 2))
    notices = (
        notice("created", 10, email="trainee1@example.org", name="Ada", registrant_status="pending"),
        notice("approved", 20, email="trainee2@example.org", name="Ada Lindholm"),
        notice("cancelled", 30),
    )
    expected = ("rg-1", second, "trainee2@example.org", "Ada Lindholm", 20, "cancelled", 30, "email")
    assert first != second
    for order in permutations(notices):
        for batches in ([order], [order[:1], order[1:]], [order[:2], order[2:]], [[each] for each in order]):
            record(database, clock, *batches)
            assert recorded(database) == [expected]
            with database.write() as connection:
                connection.execute(registrants.delete())


def test_many_registrants_cost_as_many_statements_as_a_few(database: Database, clock: TestClock) -> None:
    counts = []
    for first, number in ((0, 10), (1000, 400)):
        batch = [
            notice("created", 10, f"rg-{each}", email=f"person{each}@example.org")
            for each in range(first, first + number)
        ]
        with listening(database) as statements:
            record(database, clock, batch)
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 8
    assert len(recorded(database)) == 410


def test_a_thousand_new_deliveries_cost_the_same_however_many_came_before(database: Database, clock: TestClock) -> None:
    clock.at = CLOSES
    day = whole_day(*people_of(*["breakouts"] * 5))
    counts = []
    for since, until in ((OPENS, OPENS.replace(hour=19)), (OPENS.replace(hour=19), CLOSES)):
        keep(database, day, since, until)
        with listening(database) as statements:
            assert take_inbox(database, clock())
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 15


@pytest.mark.databases("sqlite")
def test_no_look_at_an_instance_goes_through_all_its_deliveries(database: Database, clock: TestClock) -> None:
    keep(database, whole_day(*people_of("breakouts")), OPENS.replace(hour=1), CLOSES)
    with listening(database) as statements:
        take_inbox(database, clock())
    looks = [each for each in statements if "SELECT" in each[0] and "zoom_inbox.meeting_uuid" in each[0]]
    with database.read() as connection:
        raw = connection.connection.driver_connection
        for statement, parameters in looks:
            plan = [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            through = [each for each in plan if "zoom_inbox" in each and "ix_zoom_inbox_ended" not in each]
            assert all("COVERING INDEX" in each for each in through), plan
            assert not any("TEMP B-TREE" in each for each in plan), plan
    assert len(looks) == 2


class Terminal(io.StringIO):
    """Counts how often something is written to it."""

    writes = 0

    def isatty(self) -> bool:
        return True

    def write(self, words: str) -> int:
        self.writes += 1
        return super().write(words)


def test_a_bar_on_a_terminal_is_drawn_some_hundred_times_for_any_number_of_deliveries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("deliveries", 100_000) as more:
        for _ in range(100_000):
            more(1)
    assert "100%" in terminal.getvalue()
    assert 10 < terminal.writes < 10 * TIMES_DRAWN
