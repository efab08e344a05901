"""The set-up doctor on records: what launches, services and the ledger left behind becomes findings."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection, insert, update

from lti_tool.db import Database
from lti_tool.diagnostics.units import Examined, examine_units
from lti_tool.lti import service_log
from lti_tool.tables.courses import placements, rosters
from lti_tool.tables.platforms import registrations
from lti_tool.tables.scores import line_items
from tests.training_day import add_place, add_platform, add_session


@pytest.fixture
def platform(database: Database, now: datetime) -> int:
    with database.write() as connection:
        return add_platform(connection, now)


def codes(connection: Connection, now: datetime) -> dict[str, list[str]]:
    return {
        each.title or each.link_id: [finding.code for finding in each.findings]
        for each in examine_units(connection, now)
    }


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
        assert codes(connection, now) == {
            "unit-1": ["module_missing", "roster_off"],
            "unit-2": ["grades_off", "roster_off", "email_not_shared"],
        }


def answer(connection: Connection, registration_id: int, service: str, subject: str, code: str, at: datetime) -> None:
    service_log.record(connection, registration_id, service, subject, 403 if code else 200, code, at)


def test_of_tokens_the_latest_answer_counts_whatever_it_was_for(
    database: Database, platform: int, now: datetime
) -> None:
    with database.write() as connection:
        add_place(connection, platform, now, memberships_url="https://lms.example.org/members")
        answer(connection, platform, "token", "scope-a", "tool_keys_unreadable", now)
        assert codes(connection, now) == {"unit-1": ["keys_unreadable"]}
        answer(connection, platform, "token", "scope-b", "", now + timedelta(hours=1))
        assert codes(connection, now) == {"unit-1": []}


def test_what_a_service_refuses_one_unit_says_nothing_of_another(
    database: Database, platform: int, now: datetime
) -> None:
    members = {"memberships_url": "https://lms.example.org/members"}
    with database.write() as connection:
        add_place(connection, platform, now, **members)
        other = "https://lms.example.org/lineitems/2"
        add_place(connection, platform, now, resource_link_id="unit-2", line_item_url=other, **members)
        answer(connection, platform, "line_items", other, "line_items_refused", now)
        answer(connection, platform, "line_items", "https://lms.example.org/lineitems/1", "", now + timedelta(hours=1))
        assert codes(connection, now) == {"unit-1": [], "unit-2": ["grades_refused"]}


def test_a_roster_is_the_courses_own(database: Database, platform: int, now: datetime) -> None:
    members = {"memberships_url": "https://lms.example.org/members"}
    with database.write() as connection:
        for course in ("course-1", "course-2"):
            add_place(connection, platform, now, context_id=course, resource_link_id=course, **members)
        add_place(connection, platform, now, resource_link_id="off")
        row = {"registration_id": platform, "context_id": "course-1", "code": "above_response_limit", "next_at": now}
        connection.execute(insert(rosters).values(**row, **members))
        assert codes(connection, now) == {"course-1": ["roster_too_large"], "off": ["roster_off"], "course-2": []}


def test_a_due_date_before_the_session_is_over_is_noticed(
    database: Database, published, platform: int, now: datetime
) -> None:
    with database.write() as connection:
        place = add_place(connection, platform, now, memberships_url="https://lms.example.org/members")
        add_session(connection, published, now)
        add_column(connection, platform, place, now, is_bound=True, due_at=now - timedelta(days=400))
        assert codes(connection, now) == {"unit-1": ["past_due"]}


def test_a_unit_whose_column_another_module_took_says_so(database: Database, platform: int, now: datetime) -> None:
    with database.write() as connection:
        place = add_place(connection, platform, now, memberships_url="https://lms.example.org/members")
        add_column(connection, platform, place, now, retired_at=now, retired_because="taken_over")
        assert codes(connection, now) == {"unit-1": ["grade_shared"]}


def test_a_unit_that_moved_to_another_client_is_told_under_the_old_one(
    database: Database, platform: int, now: datetime
) -> None:
    with database.write() as connection:
        newer = add_platform(connection, now, client_id="client-2")
        for each, at in ((platform, now - timedelta(days=3)), (newer, now)):
            add_place(connection, each, at, memberships_url="https://lms.example.org/members")
        found: list[Examined] = examine_units(connection, now)
        assert {each.registration_id: [code.code for code in each.findings] for each in found} == {
            platform: ["client_replaced"],
            newer: [],
        }


@pytest.mark.parametrize(
    ("profile", "course"),
    [("canvas", "course-1"), ("generic", "course-1"), ("openedx", "course-2")],
    ids=["a school of its own", "a registration for tests", "another course"],
)
def test_two_registrations_may_launch_what_looks_like_one_unit(
    profile: str, course: str, database: Database, now: datetime
) -> None:
    members = {"memberships_url": "https://lms.example.org/members"}
    with database.write() as connection:
        for client, at, context in (("a", now, "course-1"), ("b", now + timedelta(days=3), course)):
            registration = add_platform(connection, now, profile, client_id=client)
            add_place(connection, registration, at, context_id=context, **members)
        assert [each.findings for each in examine_units(connection, now)] == [(), ()]


def test_a_unit_that_went_back_to_its_former_client_is_well(database: Database, platform: int, now: datetime) -> None:
    with database.write() as connection:
        newer = add_platform(connection, now, client_id="client-2")
        for each, at in ((platform, now - timedelta(days=3)), (newer, now - timedelta(days=2))):
            add_place(connection, each, at, memberships_url="https://lms.example.org/members")
        of_first = update(placements).where(placements.c.registration_id == platform)
        connection.execute(of_first.values(launched_at=now))
        found = {each.registration_id: [code.code for code in each.findings] for each in examine_units(connection, now)}
        assert found == {platform: [], newer: ["client_replaced"]}


def test_a_content_whose_link_another_one_holds_from_the_start_says_so(
    database: Database, platform: int, now: datetime
) -> None:
    members = {"memberships_url": "https://lms.example.org/members"}
    with database.write() as connection:
        add_place(connection, platform, now, resource_link_title="first", **members)
        title = {"resource_link_title": "second", "content": "module:F2", "module_id": "F2"}
        second = add_place(connection, platform, now, **title, **members)
        add_column(connection, platform, second, now, url="https://lms.example.org/lineitems/1")
        assert codes(connection, now) == {"first": ["grade_shared"], "second": []}


def test_a_column_that_was_removed_on_the_platform_is_missed(database: Database, platform: int, now: datetime) -> None:
    with database.write() as connection:
        members = "https://lms.example.org/members"
        place = add_place(connection, platform, now, line_item_url=None, memberships_url=members)
        add_column(connection, platform, place, now, retired_at=now, retired_because="gone")
        assert codes(connection, now) == {"unit-1": ["line_item_gone"]}


def test_what_a_unit_opened_before_it_was_changed_is_left_out(database: Database, platform: int, now: datetime) -> None:
    with database.write() as connection:
        add_place(connection, platform, now - timedelta(days=20))
        new = add_place(connection, platform, now, content="module:F2", module_id="F2")
        assert [each.unit.placement_id for each in examine_units(connection, now)] == [new]


def test_units_of_a_disabled_platform_are_left_out(database: Database, platform: int, now: datetime) -> None:
    with database.write() as connection:
        add_place(connection, platform, now)
        connection.execute(update(registrations).values(status="disabled"))
        assert examine_units(connection, now) == []
