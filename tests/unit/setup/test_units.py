"""The set-up doctor on records: what launches, services and the ledger left behind becomes findings."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection, insert, update

from lti_tool.db import Database
from lti_tool.setup.units import Examined, examine_units
from lti_tool.tables.platforms import registrations, service_answers
from lti_tool.tables.scores import line_items
from tests.training_day import add_place, add_platform, add_session


@pytest.fixture
def platform(database: Database, now: datetime) -> int:
    with database.write() as connection:
        return add_platform(connection, now)


def codes(connection: Connection) -> dict[str, list[str]]:
    return {each.title: [finding.code for finding in each.findings] for each in examine_units(connection)}


def add_column(connection: Connection, registration_id: int, place: int, now: datetime, **given) -> None:
    row = {
        "registration_id": registration_id,
        "placement_id": place,
        "meaning": "completion",
        "url": f"https://lms.example.org/lineitems/{place}",
        "origin": "given",
        "made_at": now,
        **given,
    }
    connection.execute(insert(line_items).values(row))


def test_a_unit_that_lacks_everything_says_what_it_lacks(database: Database, platform: int, now: datetime) -> None:
    with database.write() as connection:
        add_place(connection, platform, now, content="", module_id=None, line_item_url=None, ags_scopes=[])
        add_place(connection, platform, now, resource_link_id="unit-2", ags_scopes=[], shares_email=False)
        assert codes(connection) == {
            "unit-1": ["module_missing", "roster_off"],
            "unit-2": ["grades_off", "roster_off", "email_not_shared"],
        }


def test_the_latest_answer_of_a_service_counts(database: Database, platform: int, now: datetime) -> None:
    with database.write() as connection:
        add_place(connection, platform, now, memberships_url="https://lms.example.org/members")
        for subject, code, at in (("a", "roster_refused", now - timedelta(hours=1)), ("b", "", now)):
            row = {"registration_id": platform, "service": "roster", "subject": subject, "status": 0}
            connection.execute(insert(service_answers).values(**row, code=code, answered_at=at))
        assert codes(connection) == {"unit-1": []}
        connection.execute(update(service_answers).values(code="above_response_limit"))
        assert codes(connection) == {"unit-1": ["roster_too_large"]}


def test_a_due_date_before_the_session_is_over_is_noticed(
    database: Database, published, platform: int, now: datetime
) -> None:
    with database.write() as connection:
        place = add_place(connection, platform, now, memberships_url="https://lms.example.org/members")
        add_session(connection, published, now)
        add_column(connection, platform, place, now, is_bound=True, due_at=now - timedelta(days=400))
        assert codes(connection) == {"unit-1": ["past_due"]}


def test_a_unit_whose_column_another_module_took_says_so(database: Database, platform: int, now: datetime) -> None:
    with database.write() as connection:
        place = add_place(connection, platform, now, memberships_url="https://lms.example.org/members")
        add_column(connection, platform, place, now, retired_at=now, retired_because="taken_over")
        assert codes(connection) == {"unit-1": ["grade_shared"]}


def test_a_unit_that_moved_to_another_client_is_told_under_the_old_one(
    database: Database, platform: int, now: datetime
) -> None:
    with database.write() as connection:
        newer = add_platform(connection, now, client_id="client-2")
        for each, at in ((platform, now - timedelta(days=3)), (newer, now)):
            add_place(connection, each, at, memberships_url="https://lms.example.org/members")
        found: list[Examined] = examine_units(connection)
        assert {each.registration_id: [code.code for code in each.findings] for each in found} == {
            platform: ["client_replaced"],
            newer: [],
        }


def test_units_of_a_disabled_platform_are_left_out(database: Database, platform: int, now: datetime) -> None:
    with database.write() as connection:
        add_place(connection, platform, now)
        connection.execute(update(registrations).values(status="disabled"))
        assert examine_units(connection) == []
