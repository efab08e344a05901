"""Who may call which view: every route, by every role, in the own course, in another course, on another platform."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from lti_tool import rights
from lti_tool.rights import COURSE_STAFF, RIGHTS, ROLES, Right
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.web.session import COOKIE
from tests.browser_session import start
from tests.training_day import add_place, add_platform, enrol
from tests.unit.web.browser import BASE, Browser

pytestmark = pytest.mark.databases("sqlite")

PUBLIC, TRAINEE = "public", "trainee"
# Whoever launched as teacher, by where.
COURSES = ("own course", "other course", "other platform")
IN_COURSE = {"session_id", "attendance_id", "trainee_id", "module_id", "unit_id"}


@dataclass(frozen=True)
class Route:
    """One way to call a view: with ids of the own course in its address."""

    method: str
    path: str
    level: str | Right
    named: frozenset[str]

    @property
    def is_read(self) -> bool:
        return self.method == "GET"


def routes(app: Flask, happened: Any) -> Iterator[Route]:
    """Every route with a right, with a value for each part of its address."""
    values = {
        "session_id": happened.day,
        "attendance_id": 1,
        "trainee_id": happened.whole,
        "module_id": "F1",
        "unit_id": happened.place,
    }
    for rule in app.url_map.iter_rules():
        level = getattr(app.view_functions[rule.endpoint], "access", None)
        if isinstance(level, Right):
            path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(values.get(found[1], 1)), rule.rule)
            for method in sorted((rule.methods or set()) & {"GET", "POST"}):
                yield Route(method, path, level, frozenset(rule.arguments))


@pytest.fixture
def places(happened, database, now) -> dict[str, dict[str, Any]]:
    """Where each of the teachers launched; nothing of the own course is in the other two."""
    with database.write() as connection:
        elsewhere = add_platform(connection, now, issuer="https://other.example.org")
        enrol(connection, happened.platform, happened.staff, now, role="staff")
        far = add_place(connection, elsewhere, now, resource_link_id="far", content="", module_id=None)
    own = {"registration_id": happened.platform, "context_id": "course-1", "placement_id": happened.place}
    return {
        "own course": own,
        "other course": own | {"context_id": "course-2", "placement_id": None},
        "other platform": {"registration_id": elsewhere, "context_id": "course-1", "placement_id": far},
    }


@pytest.fixture
def sign_in(app: Flask, database, happened, now):
    def browser(where: dict[str, Any], role: str, *granted: str) -> Browser:
        who = happened.staff if role == "staff" or granted else happened.new
        with database.write() as connection:
            token = start(connection, trainee_id=who, role=role, granted=granted, now=now, **where)
        client = app.test_client()
        client.set_cookie(COOKIE, token, domain="localhost", secure=True)
        return Browser(client)

    return browser


def is_let_in(reader: Browser, route: Route) -> bool:
    """A form without the session's token is refused too, but only after the right was found."""
    answer = reader.client.open(route.path, method=route.method, base_url=BASE, headers={"Accept": "application/json"})
    code = answer.get_json()["error"] if answer.status_code == 403 and answer.is_json else ""
    return code not in ("right_missing", "role_not_allowed", "session_missing")


def wrongly(reader: Browser, app: Flask, happened: Any, expected: Any) -> list[str]:
    return [
        f"{route.method} {route.path}: {'refused' if expected(route) else 'let in'}"
        for route in routes(app, happened)
        if is_let_in(reader, route) != expected(route)
    ]


def may_read(route: Route) -> bool:
    return route.is_read or route.path == "/desk/search"


def test_every_view_says_whose_it_is(app: Flask) -> None:
    levels = {name: getattr(view, "access", None) for name, view in app.view_functions.items()}
    assert [name for name, level in levels.items() if not (level in (PUBLIC, TRAINEE) or level in RIGHTS)] == []


@pytest.mark.parametrize("role", ROLES)
def test_a_role_opens_what_its_rights_say_whatever_the_course(role, sign_in, places, app, happened) -> None:
    reader = sign_in(places["other platform"], "trainee", role)

    def expected(route: Route) -> bool:
        assert isinstance(route.level, Right)
        return route.level.is_held({role}, reads=may_read(route))

    assert wrongly(reader, app, happened, expected) == []


@pytest.mark.parametrize("where", COURSES)
def test_a_teacher_without_a_role_reaches_the_own_course_only(where, sign_in, places, app, happened) -> None:
    reader = sign_in(places[where], "staff")

    def expected(route: Route) -> bool:
        assert isinstance(route.level, Right)
        named = route.named if route.level.is_confined else frozenset()
        reaches = named <= IN_COURSE if where == "own course" else not named
        return COURSE_STAFF in route.level.roles and reaches

    assert wrongly(reader, app, happened, expected) == []


def test_a_trainee_opens_nothing_of_the_desk(sign_in, places, app, happened) -> None:
    assert wrongly(sign_in(places["own course"], "trainee"), app, happened, lambda _route: False) == []


def test_a_refusal_names_the_right_and_who_grants_it_and_not_what_exists(sign_in, places, happened) -> None:
    reader = sign_in(places["other course"], "staff")
    there, nowhere = (reader.open(f"/desk/sessions/{number}") for number in (happened.day, 99_999))
    assert there.status == nowhere.status == 403
    assert there.text == nowhere.text
    assert "Your role does not let you see classes and their attendance outside your own course." in there.text
    assert "A programme admin grants roles under Settings, Roles." in there.text


class TestWhatATeacherSees:
    """Lists hold what belongs to the own course."""

    def test_sessions_of_its_modules(self, sign_in, places) -> None:
        page = sign_in(places["own course"], "staff").open("/desk/sessions")
        assert "Module 1: Introduction" in page.text
        assert "Module 2" not in page.text
        assert "Add a session" not in page.text
        assert "Module 2" in sign_in(places["own course"], "staff", rights.COORDINATOR).open("/desk/sessions").text

    def test_nothing_elsewhere(self, sign_in, places) -> None:
        reader = sign_in(places["other platform"], "staff")
        assert "Module 1: Introduction" not in reader.open("/desk/sessions").text
        assert "Trainee 1" not in reader.open("/desk/people").text
        assert "Module 1" not in reader.open("/desk").text

    def test_people_of_the_course_without_licence_credit_and_log(
        self, sign_in, places, happened, database, now
    ) -> None:
        reader = sign_in(places["own course"], "staff")
        person = reader.open(f"/desk/people/{happened.whole}")
        assert person.heading == "Trainee 1"
        for hidden in ("Licence", "Credit and grades", "Log", "Module 2", "Make an exception"):
            assert hidden not in person.text, hidden
        found = reader.send(reader.open("/desk/people"), "/desk/search", q="Trainee")
        assert "Trainee 1" in found.text

    def test_the_roster_of_another_course_is_refused(self, sign_in, places, happened) -> None:
        reader = sign_in(places["other course"], "staff")
        own = f"/desk/rosters/course?platform={happened.platform}&course=course-1"
        assert reader.open(own).status == 403


def test_a_grant_and_its_end_count_from_the_next_request_on(sign_in, places, happened, database, clock) -> None:
    reader = sign_in(places["own course"], "staff")
    assert reader.open("/desk/unmatched").status == 403
    with database.write() as connection:
        rights.grant(connection, happened.staff, rights.REGISTRAR, reason="Keeps it.", actor="cli", now=clock())
    assert reader.open("/desk/unmatched").status == 200
    with database.write() as connection:
        (grant,) = rights.grants(connection)
        rights.end(connection, grant.id, reason="Left.", actor="cli", now=clock())
    assert reader.open("/desk/unmatched").status == 403


def test_a_coordinator_who_opens_the_course_as_a_learner_still_has_the_desk(sign_in, places) -> None:
    reader = sign_in(places["own course"], "trainee", rights.COORDINATOR)
    assert reader.open("/desk/sessions").status == 200
    assert reader.open("/desk/settings/roles").status == 403


def test_only_who_grants_roles_joins_an_account_that_holds_one(sign_in, places, happened, database, now) -> None:
    with database.write() as connection:
        rights.grant(connection, happened.half, rights.REGISTRAR, reason="Keeps it.", actor="cli", now=now)
    given = {"kept": str(happened.half), "joined": str(happened.new), "reason": "The same person."}
    for role, status in ((rights.COORDINATOR, 403), (rights.PROGRAMME_ADMIN, 303)):
        reader = sign_in(places["own course"], "staff", role)
        assert reader.send(reader.open("/desk/joins"), "/desk/joins", **given).status == status


class TestAModuleOfTwoCourses:
    """A teacher on another platform, whose course shows the module too, sees nobody of this one."""

    @pytest.fixture
    def elsewhere(self, sign_in, places, database, now) -> Browser:
        where = places["other platform"]
        with database.write() as connection:
            add_place(connection, where["registration_id"], now, resource_link_id="theirs")
        return sign_in(where, "staff")

    def test_of_its_session_no_person(self, elsewhere, happened, database) -> None:
        session = f"/desk/sessions/{happened.day}"
        for path in (
            session,
            f"{session}/attendance.csv",
            f"{session}/live",
            f"{session}/live/now",
            "/desk",
            "/desk/now",
        ):
            page = elsewhere.open(path)
            assert page.status == 200, path
            for name in ("Trainee 1", "Trainee 2", "example.org", "A guest"):
                assert name not in page.html.replace("larkspur-hill.example", ""), (path, name)
        with database.read() as connection:
            (attendance,) = connection.scalars(
                select(attendances.c.id).where(attendances.c.trainee_id == happened.whole, attendances.c.is_current)
            )
        assert elsewhere.open(f"{session}/people/{attendance}").status == 403
        assert elsewhere.open(f"/desk/review/F1/{happened.whole}").status == 403

    def test_while_the_own_teacher_sees_them(self, sign_in, places, happened) -> None:
        session = sign_in(places["own course"], "staff").open(f"/desk/sessions/{happened.day}")
        assert "Trainee 1" in session.text
        assert "A guest" not in session.text

    def test_units_of_one_platform_are_one_course(self, sign_in, places, database, happened, now) -> None:
        with database.write() as connection:
            second = add_platform(connection, now, client_id="another-unit")
        reader = sign_in({**places["own course"], "registration_id": second, "placement_id": None}, "staff")
        assert "Trainee 1" in reader.open(f"/desk/sessions/{happened.day}").text


@pytest.mark.parametrize("role", [rights.SCREENER, rights.RETREAT_COORDINATOR, rights.PLATFORM_ADMIN])
def test_who_may_not_see_classes_sees_none_on_today_and_in_the_programme(role, sign_in, places) -> None:
    reader = sign_in(places["own course"], "trainee", role)
    for path in ("/desk", "/desk/now", "/desk/programme/F1"):
        page = reader.open(path)
        assert page.status == 200
        assert "/desk/sessions" not in page.html


def test_an_auditor_finds_people_of_every_course(sign_in, places) -> None:
    reader = sign_in(places["other platform"], "trainee", rights.AUDITOR)
    assert "Trainee 2" in reader.send(reader.open("/desk/people"), "/desk/search", q="Trainee").text


def test_a_teacher_reads_no_exception_and_no_licence(sign_in, places, happened, browse) -> None:
    admin = browse(happened.half, granted=[rights.PROGRAMME_ADMIN])
    person = f"/desk/people/{happened.whole}"
    made = {"offering": "F2", "until": "2026-12-20", "reason": "She was ill in May."}
    assert admin.send(admin.open(person), f"{person}/exceptions", **made).status == 303
    reader = sign_in(places["own course"], "staff")
    assert "ill in May" not in reader.open(person).text
    assert "No licence" not in reader.open("/desk/people").text


def test_a_registrar_locks_a_session_on_its_settings(sign_in, places, happened, database) -> None:
    with database.write() as connection:
        connection.execute(update(live_sessions).where(live_sessions.c.id == happened.day).values(state="reconciled"))
    reader = sign_in(places["own course"], "trainee", rights.REGISTRAR)
    settings = f"/desk/sessions/{happened.day}/settings"
    page = reader.open(settings)
    assert "Cancel the session" not in page.text
    locked = reader.send(page, f"/desk/sessions/{happened.day}/lock", reason="All is settled.")
    assert locked.status in (303, 409)
    assert reader.open(settings).status == 200
