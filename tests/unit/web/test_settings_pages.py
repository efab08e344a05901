"""Settings: how every connection is doing, Zoom's messages, and the background jobs that failed."""

import pytest
from sqlalchemy import insert, update

from lti_tool.tables.courses import placements
from lti_tool.tables.operations import tasks
from lti_tool.tables.platforms import registrations
from lti_tool.tables.scores import scores
from lti_tool.tables.zoom import zoom_gaps
from tests.statements import listening
from tests.training_day import add_place, add_platform

SETTINGS = "/desk/settings"


@pytest.fixture
def staff(browse, happened):
    return browse(happened.staff)


def test_each_connection_stands_with_its_state_and_leads_to_its_page(staff) -> None:
    page = staff.open(SETTINGS)
    assert "Which learning platforms may open Gatehouse 1 active" in page.text
    assert "Which module each unit of a course opens 1 course · 1 unconfirmed" in page.text
    assert "What was sent to the gradebooks 0 of 2 delivered" in page.text
    assert "Messages about who is in a class No message yet" in page.text
    addresses = ("platforms", "courses", "rosters", "scores", "settings/zoom", "settings/jobs", "setup")
    assert {f"/desk/{each}" for each in addresses} <= set(page.links)


def test_what_needs_staff_is_in_the_state(staff, happened, database, now) -> None:
    with database.write() as connection:
        add_platform(connection, now, "moodle", status="pending")
        connection.execute(update(placements).values(confirmed_at=now, confirmed_by="staff:5"))
        connection.execute(update(scores).values(status="parked", attempts=1, last_answer="404 gone"))
        row = {"kind": "settle", "key": "session:1", "payload": {"session_id": 1}, "state": "parked", "attempts": 8}
        connection.execute(insert(tasks).values(**row, run_at=now, created_at=now, last_error="no_answer"))
    text = staff.open(SETTINGS).text
    assert "1 active · 1 to approve" in text
    assert "Which module each unit of a course opens 1 course Rosters" in text
    assert "0 of 2 delivered · 2 refused" in text
    assert "1 failed" in text


def test_a_failed_job_is_told_in_words_with_its_details_folded(staff, happened, database, now) -> None:
    with database.write() as connection:
        row = {"kind": "settle", "key": "session:1", "payload": {"session_id": 1}, "state": "parked", "attempts": 8}
        connection.execute(insert(tasks).values(**row, run_at=now, created_at=now, last_error="no_answer"))
    page = staff.open(f"{SETTINGS}/jobs")
    assert "Calculate the attendance of a session Open the session · tried 8 times" in page.text
    assert "Technical details settle session:1: no_answer" in page.text
    assert "/desk/sessions/1" in page.links


def test_without_a_failed_job_the_page_says_what_would_appear(staff) -> None:
    assert "No job has failed" in staff.open(f"{SETTINGS}/jobs").text


def test_a_possible_gap_is_told_with_what_to_do(staff, database, now) -> None:
    assert "Zoom has sent nothing yet" in staff.open(f"{SETTINGS}/zoom").text
    with database.write() as connection:
        gap = {"code": "never_heard", "subject": "webhook", "since": now, "count": 1, "details": {}, "seen_at": now}
        connection.execute(insert(zoom_gaps).values(gap))
    text = staff.open(f"{SETTINGS}/zoom").text
    assert "A session is near, and Zoom has never sent a message." in text
    assert "In the Zoom app, set the event subscription" in text
    assert "1 possible gap" in staff.open(SETTINGS).text


def test_the_page_runs_as_many_statements_for_many_courses_as_for_few(staff, happened, database, now) -> None:
    staff.open(SETTINGS)
    with listening(database) as few:
        staff.open(SETTINGS)
    with database.write() as connection:
        for number in range(100, 130):
            place = {"resource_link_id": f"unit-{number}", "context_id": f"course-{number}"}
            add_place(connection, happened.platform, now, **place, line_item_url=None, deployment_id="2")
        connection.execute(update(registrations).values(profile="moodle"))
    with listening(database) as many:
        page = staff.open(SETTINGS)
    assert len(many) == len(few)
    assert "31 courses" in page.text


@pytest.mark.parametrize("page", ["", "/zoom", "/jobs"], ids=["hub", "zoom", "jobs"])
def test_settings_are_closed_to_learners(browse, happened, page: str) -> None:
    assert browse(happened.new).open(f"{SETTINGS}{page}").status == 403
