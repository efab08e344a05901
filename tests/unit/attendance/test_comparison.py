"""What a settlement would change, asked beforehand."""

from datetime import datetime

import pytest
from sqlalchemy import select

from lti_tool.attendance.settlement import preview, settle
from lti_tool.db import Database
from lti_tool.programme.versions import Published
from lti_tool.tables.live_sessions import attendances, live_sessions
from tests.training_day import FIVE, HALF_A_DAY, WHOLE_DAY, add_session, add_trainee, present

Seen = list[tuple[object, ...]]


@pytest.fixture
def day(database: Database, published: Published, now: datetime) -> tuple[int, int]:
    with database.write() as connection:
        return add_session(connection, published, now), add_trainee(connection, 1, now)


def everything(database: Database) -> tuple[Seen, Seen]:
    with database.read() as connection:
        return tuple(
            [tuple(row) for row in connection.execute(select(table))] for table in (attendances, live_sessions)
        )


def test_it_names_whom_a_settlement_would_change_and_changes_nothing(
    database: Database, day: tuple[int, int], now: datetime
) -> None:
    session_id, trainee_id = day
    guest = present(None, *HALF_A_DAY, key="connection:a")
    before = everything(database)
    assert preview(database, session_id, [present(trainee_id, *WHOLE_DAY), guest], FIVE, now) == [
        "connection:a",
        f"trainee:{trainee_id}",
    ]
    assert everything(database) == before


def test_after_the_settlement_nothing_would_change(database: Database, day: tuple[int, int], now: datetime) -> None:
    session_id, trainee_id = day
    people = [present(trainee_id, *WHOLE_DAY), present(None, *HALF_A_DAY, key="connection:a")]
    settle(database, session_id, people, FIVE, now, lambda *_: None)
    assert preview(database, session_id, people, FIVE, now) == []
    assert preview(database, session_id, [present(trainee_id, *HALF_A_DAY), people[1]], FIVE, now) == [
        f"trainee:{trainee_id}"
    ]


def test_whoever_is_in_no_evidence_any_more_is_named(database: Database, day: tuple[int, int], now: datetime) -> None:
    session_id, trainee_id = day
    people = [present(trainee_id, *WHOLE_DAY), present(None, *HALF_A_DAY, key="connection:b")]
    settle(database, session_id, people, FIVE, now, lambda *_: None)
    before = everything(database)
    assert preview(database, session_id, [], FIVE, now) == ["connection:b", f"trainee:{trainee_id}"]
    assert everything(database) == before
