"""Whatever a platform sends in names, titles and parameters is text on every page, never markup."""

import pytest
import responses
from flask import Flask

from lti_tool import people
from lti_tool.context import AppContext
from lti_tool.db import Database
from lti_tool.rosters.reading import RosterReader
from tests.browser_session import ADMINS, grant
from tests.clock import TestClock
from tests.platform import INSTRUCTOR, Platform
from tests.roster import RosterCourse, person
from tests.unit.web.browser import Browser

MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
SENT = {
    "name": MARKUP,
    "email": f"{MARKUP}@example.org",
    "context": {"id": MARKUP, "title": MARKUP},
    "resource_link": {"id": MARKUP, "title": MARKUP},
    "custom": {"module_id": "F1", "page": MARKUP, MARKUP: MARKUP},
}
OF_LEARNERS = ("/", "/modules/F1", "/modules/F2", "/record", "/equivalency", "/retreats", "/calendar")
OF_STAFF = (
    "/desk", "/desk/people/1", "/desk/setup", "/desk/courses", "/desk/platforms", "/desk/rosters", "/desk/scores",
    "/desk/review/F1/1",
)  # fmt: skip

pytestmark = [pytest.mark.databases("sqlite"), pytest.mark.usefixtures("published")]


def assert_text(html: str) -> None:
    assert "<script>alert" not in html
    assert "<img src=x" not in html


def enter(app: Flask, platform: Platform, clock: TestClock, database: Database, **changed) -> Browser:
    """Whoever launches as teacher may do everything."""
    client = app.test_client()
    assert platform.launch(client, clock(), **{**SENT, **changed}).status_code == 303
    if "roles" in changed:
        with database.write() as connection:
            (user,) = people.of_identities(connection, platform.issuer, [changed.get("user", "user-1")]).values()
            grant(connection, user.id, ADMINS, clock())
    return Browser(client)


def test_what_a_launch_carries_is_text_on_every_page(
    app: Flask, platform: Platform, clock: TestClock, database: Database
) -> None:
    learner = enter(app, platform, clock, database)
    staff = enter(app, platform, clock, database, user="user-2", roles=[INSTRUCTOR])
    pages = [learner.open(path) for path in OF_LEARNERS] + [staff.open(path) for path in OF_STAFF]
    for page in pages:
        assert page.status == 200
        assert_text(page.html)
    shown = [path for path in OF_STAFF if "&lt;script&gt;" in staff.open(path).html]
    assert {"/desk/people/1", "/desk/setup", "/desk/courses", "/desk/review/F1/1"} <= set(shown)


def test_what_a_roster_carries_is_text_on_the_pages_of_rosters(
    app: Flask, context: AppContext, platform: Platform, clock: TestClock, wire: responses.RequestsMock
) -> None:
    staff = enter(app, platform, clock, context.database, roles=[INSTRUCTOR])
    reader = RosterReader(context.database, context.platform_api, clock, context.settings.roster_every)
    course = RosterCourse(context.database, platform, clock, reader, wire)
    course.offer(context_title=MARKUP)
    course.serve_token()
    course.answer(person(1, name=MARKUP, given_name=MARKUP, email=f"{MARKUP}@example.org"))
    assert course.read().code == ""
    (address,) = [link for link in staff.open("/desk/rosters").links if "course=course-1" in link]
    for path in ("/desk/rosters", address):
        assert_text(staff.open(path).html)
    assert "&lt;script&gt;" in staff.open(address).html


def test_what_a_deep_linking_request_carries_is_text_in_the_picker(
    app: Flask, platform: Platform, clock: TestClock
) -> None:
    client = app.test_client()
    settings = {"settings_title": MARKUP, "settings_text": MARKUP}
    answer = platform.launch(
        client, clock(), message=platform.deep_linking_claims, roles=[INSTRUCTOR], context=SENT["context"], **settings
    )
    assert answer.status_code == 303
    assert_text(Browser(client).open(answer.headers["Location"]).html)
