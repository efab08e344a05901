"""The calendar of all sessions, for those who teach."""

import re

import pytest
from sqlalchemy import update

from lti_tool.tables.people import role_grants
from lti_tool.tables.platforms import registrations
from tests.training_day import enrol
from tests.unit.web.browser import BASE
from tests.unit.web.conftest import JOIN_URL, NEXT_JOIN_URL, SECOND_JOIN_URL


@pytest.fixture
def address(browse, happened, database, now) -> str:
    """The path that the page of a teacher names."""
    with database.write() as connection:
        enrol(connection, happened.platform, happened.staff, now, role="staff")
    return address_for(browse(happened.staff), "/calendar/staff/")


def address_for(reader, folder: str) -> str:
    """The path of a new calendar address of this reader."""
    page = reader.send(reader.open("/calendar"), "/calendar")
    found = re.search(rf"({folder}[^<]+\.ics)</code>", page.html)
    assert found
    return found[1]


def test_the_list_of_sessions_leads_to_the_calendar(browse, happened) -> None:
    assert "/calendar" in browse(happened.staff).open("/desk/sessions").links


def test_a_teacher_subscribes_to_every_session(client, address, happened) -> None:
    feed = client.get(address, base_url=BASE).get_data(as_text=True).replace("\r\n ", "")
    assert feed.count("BEGIN:VEVENT") == 3
    assert f"URL:https://gatehouse.example.org/desk/sessions/{happened.next_day}" in feed
    assert not any(link in feed for link in (JOIN_URL, NEXT_JOIN_URL, SECOND_JOIN_URL))


def test_a_trainee_has_no_way_to_it(browse, happened, client, address) -> None:
    own = address_for(browse(happened.whole), "/calendar/")
    assert "/staff/" not in own
    assert client.get(own.replace("/calendar/", "/calendar/staff/"), base_url=BASE).status_code == 404


def end_roles(database) -> None:
    with database.write() as connection:
        connection.execute(update(role_grants).values(ended_at=role_grants.c.granted_at))


def test_a_teacher_without_a_role_gets_the_sessions_of_the_own_courses(client, address, database, happened) -> None:
    assert "Module 2" in client.get(address, base_url=BASE).text
    end_roles(database)
    own = client.get(address, base_url=BASE).text
    assert "Module 1" in own
    assert "Module 2" not in own


def test_it_ends_with_the_last_course_that_the_person_teaches(client, address, database) -> None:
    end_roles(database)
    with database.write() as connection:
        connection.execute(update(registrations).values(status="disabled"))
    assert client.get(address, base_url=BASE).status_code == 404


def test_a_new_address_replaces_the_old_one(client, browse, happened, address) -> None:
    address_for(browse(happened.staff), "/calendar/staff/")
    assert client.get(address, base_url=BASE).status_code == 404
