"""Reports as records: each content once, every asking."""

import zlib
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from lti_tool.attendance import live_sessions
from lti_tool.db import Database
from lti_tool.programme.versions import Published
from lti_tool.tables.zoom import zoom_report_fetches, zoom_reports
from sandbox.zoom.training_day import encode
from tests.zoom_day import MEETING, OPENS, people_of, whole_day
from zoom_adapter import reports
from zoom_adapter.events import read_event
from zoom_adapter.inbox import Delivery, Inbox

UUID = "Qm9yZWFsaXMwMDAwMDAwMQ=="
AFTER = OPENS + timedelta(hours=9)
ROWS = [{"name": "Ada", "user_id": "1", "join_time": "2026-12-01T17:00:00Z"}, {"name": "佐藤 \ud800", "user_id": "2"}]


@pytest.fixture
def session_id(database: Database, published: Published, now: datetime) -> int:
    starts = datetime.fromisoformat("2026-12-01T09:00")
    with database.write() as connection:
        return live_sessions.add(
            connection, published, module_id="F1", starts=starts, zoom_meeting_id=MEETING, actor="cli", now=now
        )


def keep(
    database: Database, session_id: int, rows: list[dict[str, Any]], minutes: int, source: str = "report", **given: Any
) -> bool:
    at = AFTER + timedelta(minutes=minutes)
    with database.write() as connection:
        return reports.keep(connection, session_id, given.pop("uuid", UUID), source, rows, at, **given)


def latest(database: Database, session_id: int) -> dict[str, reports.StoredReport]:
    with database.read() as connection:
        return reports.latest(connection, session_id)


def count(database: Database, table: Any) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(table))


def test_the_same_rows_in_another_order_are_the_same_report_kept_once(database: Database, session_id: int) -> None:
    assert keep(database, session_id, ROWS, 5) is False
    assert keep(database, session_id, ROWS[::-1], 15) is True
    assert (count(database, zoom_reports), count(database, zoom_report_fetches)) == (1, 2)
    found = latest(database, session_id)[UUID]
    assert sorted(row["user_id"] for row in found.rows) == ["1", "2"]
    assert (found.settled, found.source, found.fetched_at) == (True, "report", AFTER + timedelta(minutes=15))


def test_the_rows_come_back_as_they_came(database: Database, session_id: int) -> None:
    keep(database, session_id, [{"a": [1, {"b": None}], "c": True, "d": 1.5}], 5)
    assert latest(database, session_id)[UUID].rows == [{"a": [1, {"b": None}], "c": True, "d": 1.5}]
    with database.read() as connection:
        assert zlib.decompress(connection.scalar(select(zoom_reports.c.body))).startswith(b'[{"a"')


def test_the_same_row_twice_is_another_report_than_once(database: Database, session_id: int) -> None:
    keep(database, session_id, ROWS, 5)
    assert keep(database, session_id, [*ROWS, ROWS[0]], 15) is False


def test_what_grew_and_what_shrank_is_settled_when_it_stays(database: Database, session_id: int) -> None:
    answers = (ROWS[:1], ROWS, ROWS, ROWS[:1], ROWS[:1])
    settled = [keep(database, session_id, rows, 10 * number) for number, rows in enumerate(answers)]
    assert settled == [False, False, True, False, True]
    assert len(latest(database, session_id)[UUID].rows) == 1
    assert count(database, zoom_reports) == 2


def test_what_has_settled_holds_until_something_else_does(database: Database, session_id: int) -> None:
    held = []
    for number, rows in enumerate((ROWS, ROWS, ROWS[:1], [], ROWS[:1], ROWS[:1])):
        keep(database, session_id, rows, 10 * number)
        found = latest(database, session_id)[UUID]
        held.append((len(found.rows), found.settled))
    assert held == [(2, False), (2, True), (2, True), (2, True), (2, True), (1, True)]


def test_a_failure_between_two_equal_answers_is_no_answer(database: Database, session_id: int) -> None:
    keep(database, session_id, ROWS, 5)
    with database.write() as connection:
        reports.keep_failure(connection, session_id, UUID, "report", "zoom_not_found", AFTER + timedelta(minutes=15))
    assert latest(database, session_id)[UUID].settled is False
    assert keep(database, session_id, ROWS, 30) is True


def test_equal_answers_too_close_to_each_other_are_one(database: Database, session_id: int) -> None:
    five = timedelta(minutes=5)
    assert keep(database, session_id, ROWS, 5, apart=five) is False
    assert keep(database, session_id, ROWS, 6, apart=five) is False
    assert keep(database, session_id, ROWS, 10, apart=five) is True
    assert keep(database, session_id, ROWS, 11, apart=five) is True


@pytest.mark.parametrize(
    ("asked_after", "answered_after", "apart", "settles"),
    [(6, 18, 0, False), (12, 18, 0, True), (16, 18, 5, False), (17, 18, 5, True)],
    ids=["asked while the first was open", "asked after it", "asked too soon after it", "asked long enough after it"],
)
def test_equal_answers_agree_only_if_the_second_was_asked_for_after_the_first_came(
    database: Database, session_id: int, asked_after: int, answered_after: int, apart: int, settles: bool
) -> None:
    keep(database, session_id, ROWS, 12, asked_at=AFTER)
    second = {"asked_at": AFTER + timedelta(minutes=asked_after), "apart": timedelta(minutes=apart)}
    assert keep(database, session_id, ROWS, answered_after, **second) is settles


def test_an_empty_report_of_an_instance_nobody_was_in_settles(database: Database, session_id: int) -> None:
    assert [keep(database, session_id, [], minutes) for minutes in (5, 15)] == [False, True]


def test_an_empty_report_settles_nothing_where_webhooks_saw_people(database: Database, session_id: int) -> None:
    day = whole_day(*people_of("late"))
    inbox = Inbox(database)
    for event in day.events():
        inbox.append(Delivery(read_event(encode(event)), encode(event), {}, 0, AFTER))
    inbox.close()
    assert [keep(database, session_id, [], minutes, uuid=day.uuid) for minutes in (5, 15, 30)] == [False] * 3


def test_a_report_that_becomes_empty_settles_nothing(database: Database, session_id: int) -> None:
    answers = enumerate((ROWS, [], []))
    assert [keep(database, session_id, rows, 10 * number) for number, rows in answers] == [False] * 3


def test_the_list_of_past_participants_stands_in_for_a_report_without_rows(database: Database, session_id: int) -> None:
    keep(database, session_id, ROWS[:1], 1, source="past")
    assert latest(database, session_id)[UUID].source == "past"
    keep(database, session_id, [], 2)
    assert latest(database, session_id)[UUID].source == "past"
    keep(database, session_id, ROWS, 3)
    assert (latest(database, session_id)[UUID].source, len(latest(database, session_id)[UUID].rows)) == ("report", 2)


def test_polls_are_no_report_of_who_was_there(database: Database, session_id: int) -> None:
    keep(database, session_id, ROWS, 5, source="polls")
    assert latest(database, session_id) == {}


def test_each_instance_and_source_settles_by_itself(database: Database, session_id: int) -> None:
    assert keep(database, session_id, ROWS, 5, uuid="/one//") is False
    assert keep(database, session_id, ROWS, 15, uuid="two+") is False
    assert keep(database, session_id, ROWS, 30, uuid="/one//", source="past") is False
    assert keep(database, session_id, ROWS, 60, uuid="/one//") is True
    assert {uuid: each.settled for uuid, each in latest(database, session_id).items()} == {
        "/one//": True,
        "two+": False,
    }


def test_every_asking_is_told_in_order(database: Database, session_id: int) -> None:
    keep(database, session_id, ROWS, 5)
    with database.write() as connection:
        reports.keep_failure(connection, session_id, UUID, "past", "zoom_scope_missing", AFTER)
        shown = [(each.source, each.rows, each.code) for each in reports.history(connection, session_id)]
    assert shown == [("report", 2, None), ("past", None, "zoom_scope_missing")]
