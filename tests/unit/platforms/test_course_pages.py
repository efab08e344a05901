"""The desk's page of courses, through launches: what staff choose is what learners get."""

from collections.abc import Iterator

import pytest
import responses
from flask import Flask
from flask.testing import FlaskClient

from lti_tool import people
from lti_tool.db import Database
from lti_tool.programme.versions import Published
from tests.browser_session import ADMINS, grant
from tests.clock import TestClock
from tests.platform import INSTRUCTOR, Platform
from tests.unit.web.browser import Browser, Page


@pytest.fixture
def platform(database: Database, clock: TestClock, published: Published) -> Iterator[Platform]:
    platform = Platform().register(database, clock())
    with responses.RequestsMock(assert_all_requests_are_fired=False) as wire:
        platform.serve_keys(wire)
        yield platform


@pytest.fixture
def staff(app: Flask, platform: Platform, clock: TestClock, database: Database) -> Browser:
    """Someone who holds every role and came through the unit of Module 1."""
    client = app.test_client()
    platform.launch(client, clock(), user="teacher-1", roles=[INSTRUCTOR], name="Ida Example")
    with database.write() as connection:
        (user,) = people.of_identities(connection, platform.issuer, ["teacher-1"]).values()
        grant(connection, user.id, ADMINS, clock())
    return Browser(client)


def learner(app: Flask, platform: Platform, clock: TestClock, **changed: object) -> str:
    """Where a learner's launch of a unit leads."""
    client: FlaskClient = app.test_client()
    return platform.launch(client, clock(), **changed).headers["Location"]


def courses(staff: Browser) -> Page:
    page = staff.open("/desk/courses")
    assert page.status == 200
    return page


def test_the_page_names_units_what_they_open_and_what_waits(
    app: Flask, platform: Platform, staff: Browser, clock: TestClock
) -> None:
    learner(app, platform, clock, resource_link={"id": "unit-2", "title": "Retreats here"}, custom={"page": "retreats"})
    learner(app, platform, clock, resource_link={"id": "unit-3"}, custom={"retreat_id": "RT_EXP"})
    text = courses(staff).text
    assert "A course" in text
    assert "3 units to confirm" in text
    assert "Retreats here" in text
    assert "All retreats" in text
    assert "Experiential KAP Training Retreat" in text
    assert "Introduction to Ketamine-Assisted Psychotherapy" in text


def test_confirming_clears_the_desk_until_something_new_comes(
    app: Flask, platform: Platform, staff: Browser, clock: TestClock
) -> None:
    assert "Courses with unconfirmed units: 1" in staff.open("/desk").text
    page = courses(staff)
    done = staff.send(page, "/desk/courses/confirm", platform="1", course="course-1", unit="1")
    assert (done.status, done.sent_to) == (303, "/desk/courses?done=course_confirmed")
    assert "Ida Example" in courses(staff).text
    assert "to confirm" not in courses(staff).text
    assert "Courses with unconfirmed units" not in staff.open("/desk").text
    learner(app, platform, clock, custom={"module_id": "F2"})
    assert "1 unit to confirm" in courses(staff).text
    assert "Only one of them can have the unit's grade" in courses(staff).text


def test_what_staff_choose_is_what_a_learner_gets_until_it_is_taken_back(
    app: Flask, platform: Platform, staff: Browser, clock: TestClock
) -> None:
    nameless = {"resource_link": {"id": "unit-2"}, "custom": {}}
    assert learner(app, platform, clock, **nameless) == "/"
    done = staff.send(courses(staff), "/desk/courses/units/2/assign", module="F2")
    assert done.sent_to == "/desk/courses?done=unit_assigned"
    assert learner(app, platform, clock, **nameless) == "/modules/F2"
    assert "(chosen here)" in courses(staff).text
    undone = staff.send(courses(staff), "/desk/courses/units/2/unassign")
    assert undone.sent_to == "/desk/courses?done=unit_unassigned"
    assert learner(app, platform, clock, **nameless) == "/"


def test_a_course_that_is_run_again_finds_its_content_by_custom(
    app: Flask, platform: Platform, staff: Browser, clock: TestClock
) -> None:
    again = {"context": {"id": "course-2", "title": "A course, again"}, "resource_link": {"id": "unit-99"}}
    assert learner(app, platform, clock, **again) == "/modules/F1"
    assert "A course, again" in courses(staff).text


@pytest.mark.parametrize(
    ("path", "fields", "status", "code"),
    [
        ("/desk/courses/confirm", {}, 422, "course_form_wrong"),
        ("/desk/courses/confirm", {"platform": "x", "unit": "1"}, 422, "course_form_wrong"),
        ("/desk/courses/confirm", {"platform": "1", "unit": "9" * 30}, 422, "course_form_wrong"),
        ("/desk/courses/confirm", {"platform": "1", "course": "c" * 256, "unit": "1"}, 422, "course_form_wrong"),
        ("/desk/courses/units/1/assign", {}, 422, "course_form_wrong"),
        ("/desk/courses/units/1/assign", {"module": "F2"}, 409, "unit_names_content"),
        ("/desk/courses/units/7/assign", {"module": "F2"}, 404, "unit_unknown"),
        ("/desk/courses/units/7/unassign", {}, 404, "unit_unknown"),
    ],
)
def test_forms_that_do_not_fit_change_nothing(
    path: str, fields: dict[str, str], status: int, code: str, staff: Browser
) -> None:
    page = staff.send(courses(staff), path, **fields)
    assert (page.status, f"<code>{code}</code>" in page.html) == (status, True)
    assert "1 unit to confirm" in courses(staff).text


def test_markup_in_titles_stays_text(app: Flask, platform: Platform, staff: Browser, clock: TestClock) -> None:
    nasty = "<script>alert(1)</script>"
    link = {"id": "u<b>9", "title": nasty}
    learner(app, platform, clock, resource_link=link, context={"id": "<i>c", "title": nasty}, custom={})
    html = courses(staff).html
    assert nasty not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_the_page_is_for_staff(app: Flask, platform: Platform, clock: TestClock) -> None:
    client = app.test_client()
    platform.launch(client, clock())
    assert Browser(client).open("/desk/courses").status == 403
