"""Gaps as records: brought in line with what was found, and told in words."""

from datetime import datetime, timedelta

from sqlalchemy import insert

from lti_tool.attendance import evidence_gaps
from lti_tool.attendance.evidence_gaps import GAPS, Gap, counts, dated, on_record, record
from lti_tool.db import Database
from lti_tool.tables.zoom import zoom_gaps
from tests.source import ROOT

LATER = timedelta(hours=3)


def test_what_was_found_is_recorded_and_what_was_not_is_gone(database: Database, now: datetime) -> None:
    quiet, late = evidence_gaps.of_session("quiet", 7, now, 1, {"minutes": 25}), Gap("challenge_late", since=now)
    with database.write() as connection:
        record(connection, [late, quiet], now)
        assert on_record(connection) == [quiet, late], "what loses presence comes first"
        record(connection, [late], now + LATER)
        assert on_record(connection) == [late]
        record(connection, [], now + LATER)
        assert on_record(connection) == []


def test_a_gap_without_a_date_is_known_since_it_was_first_seen(database: Database, now: datetime) -> None:
    with database.write() as connection:
        record(connection, [Gap("signatures_wrong", count=1)], now)
        record(connection, [Gap("signatures_wrong", count=5)], now + LATER)
        assert on_record(connection) == [Gap("signatures_wrong", since=now, count=5)]
        assert dated(connection, [Gap("signatures_wrong"), Gap("never_heard")], now + LATER) == [
            Gap("signatures_wrong", since=now),
            Gap("never_heard", since=now + LATER),
        ]


def test_a_gap_of_another_release_hinders_nobody(database: Database, now: datetime) -> None:
    row = {"code": "of_the_future", "subject": "webhook", "since": now, "count": 1, "details": {}, "seen_at": now}
    with database.write() as connection:
        connection.execute(insert(zoom_gaps).values(row))
        assert on_record(connection) == []
        record(connection, [], now)
        assert counts(connection) == dict.fromkeys(GAPS, 0)


def test_a_gap_knows_its_session_and_where_to_look() -> None:
    gap = evidence_gaps.of_session("no_deliveries", 12)
    assert (gap.session_id, gap.where) == (12, "/desk/sessions/12")
    assert (Gap("never_heard").session_id, Gap("never_heard").where) == (None, "/desk/settings/zoom")


def test_every_kind_of_gap_is_in_the_operations_guide() -> None:
    guide = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert [code for code in GAPS if f"`{code}`" not in guide] == []
