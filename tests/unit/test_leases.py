"""The lease: one worker has a row, a dead worker's row is claimed again, and only the owner records a result."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Row, insert, select, update

from lti_tool.db import Database
from lti_tool.leases import FARTHEST_AHEAD, Lease, LeaseKeeper, LeaseLostError, claim_rows, is_held
from lti_tool.tables.operations import tasks
from tests.clock import TestClock

SPAN = timedelta(minutes=3)
INSTANT = timedelta(microseconds=1)


class Queue:
    """Two rows of a queue, and a worker's steps, each in a transaction of its own."""

    def __init__(self, database: Database, clock: TestClock) -> None:
        self.database, self.clock = database, clock
        with database.write() as connection:
            row = {
                "kind": "k",
                "payload": {},
                "state": "ready",
                "run_at": clock(),
                "attempts": 0,
                "created_at": clock(),
            }
            connection.execute(insert(tasks), [{**row, "key": key} for key in ("a", "b")])

    def claim(self, *keys: str) -> Lease | None:
        ready = tasks.c.state == "ready"
        with self.database.write() as connection:
            return claim_rows(connection, tasks, tasks.c.key.in_(keys), SPAN, self.clock(), ready)

    def finish(self, lease: Lease, label: str) -> bool:
        with self.database.write() as connection:
            return lease.finish(connection, {"last_error": label})

    def renew(self, lease: Lease) -> None:
        with self.database.write() as connection:
            lease.renew(connection, self.clock(), {"last_error": "renewed"})

    def rows(self) -> list[Row[Any]]:
        with self.database.read() as connection:
            return list(connection.execute(select(tasks).order_by(tasks.c.key)))

    def held(self) -> list[str]:
        with self.database.read() as connection:
            return list(connection.scalars(select(tasks.c.key).where(is_held(tasks, self.clock())).order_by("key")))


@pytest.fixture
def queue(database: Database, clock: TestClock) -> Queue:
    return Queue(database, clock)


class Rules:
    """The rules, which both kinds of database follow alike."""

    def test_a_row_is_held_by_whoever_claimed_it(self, queue: Queue) -> None:
        lease = queue.claim("a")
        assert lease is not None
        assert (lease.attempts, queue.held(), queue.claim("a")) == (1, ["a"], None)

    def test_only_a_row_that_still_meets_the_conditions_is_claimed(self, queue: Queue) -> None:
        with queue.database.write() as connection:
            connection.execute(update(tasks).where(tasks.c.key == "a").values(state="parked"))
        assert queue.claim("a") is None
        assert (queue.claim("a", "b") is not None, queue.held()) == (True, ["b"])

    @pytest.mark.parametrize(
        ("passed", "is_free"),
        [
            (SPAN - INSTANT, False),
            (SPAN, False),
            (SPAN + INSTANT, True),
            (SPAN - FARTHEST_AHEAD, False),
            (SPAN - FARTHEST_AHEAD - INSTANT, True),
        ],
        ids=["before its end", "at its end", "after its end", "clock set back", "clock set back too far"],
    )
    def test_a_dead_workers_row_is_free_after_the_lease(self, queue: Queue, passed: timedelta, is_free: bool) -> None:
        first = queue.claim("a")
        queue.clock.at += passed
        second = queue.claim("a")
        assert (second is not None, queue.held()) == (is_free, ["a"])
        assert first is not None
        assert second is None or (second.attempts, second.owner == first.owner) == (2, False)

    def test_a_renewed_lease_lasts_a_whole_span_from_then_on(self, queue: Queue) -> None:
        lease = queue.claim("a")
        assert lease is not None
        queue.clock.at += SPAN
        queue.renew(lease)
        queue.clock.at += SPAN
        assert (queue.claim("a"), queue.rows()[0].last_error) == (None, "renewed")
        queue.clock.at += INSTANT
        assert queue.claim("a") is not None

    def test_a_lease_that_ran_out_is_still_its_owners_until_another_claims_the_row(self, queue: Queue) -> None:
        lease = queue.claim("a")
        assert lease is not None
        queue.clock.at += 2 * SPAN
        assert queue.finish(lease, "late")
        assert (queue.held(), queue.rows()[0].last_error) == ([], "late")

    def test_whoever_lost_the_lease_records_nothing(self, queue: Queue) -> None:
        late = queue.claim("a")
        queue.clock.at += SPAN + INSTANT
        heir = queue.claim("a")
        assert late is not None
        assert heir is not None
        assert not queue.finish(late, "late")
        with pytest.raises(LeaseLostError):
            queue.renew(late)
        assert (queue.held(), queue.rows()[0].last_error) == (["a"], None)
        assert queue.finish(heir, "done")
        assert not queue.finish(heir, "done twice")
        assert (queue.held(), queue.rows()[0].last_error) == ([], "done")

    def test_a_lost_lease_is_kept_no_longer_and_the_others_are(self, queue: Queue) -> None:
        keeper = LeaseKeeper(queue.database, queue.clock)
        lost, ours = queue.claim("a"), queue.claim("b")
        assert lost is not None
        assert ours is not None
        with keeper.keep(lost), keeper.keep(ours):
            queue.clock.at += SPAN + INSTANT
            heir = queue.claim("a")
            keeper.renew()
            queue.clock.at += SPAN
            keeper.renew()
        assert heir is not None
        assert [row.lease_owner for row in queue.rows()] == [heir.owner, ours.owner]
        assert (queue.held(), queue.claim("b")) == (["a", "b"], None)

    def test_several_rows_are_claimed_as_far_as_they_are_free_and_given_back_one_by_one(self, queue: Queue) -> None:
        other, ours = queue.claim("a"), queue.claim("a", "b")
        assert other is not None
        assert ours is not None
        with queue.database.write() as connection:
            assert list(connection.scalars(select(tasks.c.key).where(ours.ours))) == ["b"]
            assert not ours.finish(connection, {}, tasks.c.key == "a")
            assert ours.finish(connection, {}, tasks.c.key == "b")
        assert queue.held() == ["a"]


@pytest.mark.databases("sqlite")
class TestOnSqlite(Rules):
    pass


@pytest.mark.databases("postgresql")
class TestOnPostgresql(Rules):
    pass
