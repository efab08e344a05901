"""The way into a class when Zoom registers people: the own link, a moment's patience, and what to do without one."""

import re
from dataclasses import replace
from html import unescape

import pytest
from icalendar import Calendar
from sqlalchemy import select, update

from lti_tool.app import close_app, create_app
from lti_tool.context import build_context
from lti_tool.gates import completions
from lti_tool.tables.gates import decisions
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.people import trainees
from lti_tool.tables.presence import zoom_places
from lti_tool.web.trainee.join import PATIENCE
from tests.unit.web.browser import BASE, Page
from tests.unit.web.conftest import NEXT_JOIN_URL, SECOND_JOIN_URL
from tests.zoom_registrants import with_credentials
from zoom_adapter import places

NEXT_MEETING, SECOND_MEETING = "85300000002", "85300000003"
OWN_LINK = "https://zoom.example.org/w/85300000002?tk=own"


@pytest.fixture
def settings(settings):
    """The tool has the credentials of a Zoom app."""
    return with_credentials(settings)


def join_link(page):
    (found,) = [each for each in page.links if "/join?" in each]
    return found


def at(client, address):
    return Page(client.get(address, base_url=BASE))


def change(database, trainee_id, **values):
    with database.write() as connection:
        mine = zoom_places.c.trainee_id == trainee_id
        connection.execute(update(zoom_places).where(mine).values(**values))


def place(database, trainee_id, now, **values):
    with database.write() as connection:
        places.want(connection, [trainee_id], NEXT_MEETING, "meeting", now)
    if values:
        change(database, trainee_id, **values)


def of(database, trainee_id, meeting=NEXT_MEETING):
    with database.read() as connection:
        return places.of(connection, trainee_id, meeting)


def forget_general_links(database):
    with database.write() as connection:
        connection.execute(update(live_sessions).values(join_url=None))


REGISTERED = {"state": "registered", "registrant_id": "rg-1", "join_url": OWN_LINK, "due_at": None}


def test_a_registered_person_is_sent_to_the_own_link_which_is_in_no_page(browse, happened, client, database, now):
    place(database, happened.new, now, **REGISTERED)
    page = browse(happened.new).open("/modules/F1")
    assert "You are registered" in page.text
    assert ("zoom.example.org" in page.html, page.status) == (False, 200)
    answer = at(client, join_link(page))
    assert (answer.status, answer.sent_to) == (303, OWN_LINK)


def test_who_is_not_registered_yet_waits_a_moment_and_goes_on_by_itself(browse, happened, client, database, now):
    page = at(client, join_link(browse(happened.new).open("/modules/F1")))
    assert (page.status, page.heading) == (200, "One moment, please")
    seconds, _, address = page.response.headers["Refresh"].partition("; url=")
    assert (seconds, unescape(address) in page.links) == ("1", True)
    assert (of(database, happened.new).asked_at, of(database, happened.new).due_at) == (now, now)
    change(database, happened.new, **REGISTERED)
    assert at(client, address).sent_to == OWN_LINK


def test_waiting_ends_with_the_general_link_and_what_is_weaker_about_it(browse, happened, client, database):
    address, pages = join_link(browse(happened.new).open("/modules/F1")), []
    while address:
        pages.append(at(client, address))
        address = pages[-1].response.headers.get("Refresh", "").partition("; url=")[2]
    assert len(pages) == PATIENCE + 1
    last = pages[-1]
    assert last.heading == "Join with the general link"
    assert "Please note:" in last.text
    assert NEXT_JOIN_URL not in last.html
    (general,) = [each for each in last.links if "general=1" in each]
    assert at(client, general).sent_to == NEXT_JOIN_URL


def test_the_pages_of_joining_name_nobodys_address(browse, happened, client):
    address = join_link(browse(happened.new).open("/modules/F1"))
    for page in (at(client, address), at(client, f"{address}&waited=8")):
        assert "trainee4@example.org" not in page.html


def test_only_the_entry_itself_is_kept_as_a_decision(browse, happened, client, database, now):
    address = join_link(browse(happened.new).open("/modules/F1"))
    at(client, address)
    at(client, address)
    change(database, happened.new, **REGISTERED)
    at(client, address)
    with database.read() as connection:
        routes = connection.scalars(select(decisions.c.route).where(decisions.c.trainee_id == happened.new)).all()
    assert sorted(routes) == ["join", "module"]


def test_the_gate_is_asked_again_before_the_own_link(browse, happened, client, database, now):
    page = browse(happened.new).open(f"/modules/F2/join?session={happened.second_module}")
    assert "Complete Module 1 first." in page.text
    assert of(database, happened.new, SECOND_MEETING) is None


def test_the_gate_is_asked_again_before_the_general_link_too(browse, happened):
    page = browse(happened.new).open(f"/modules/F2/join?session={happened.second_module}&general=1")
    assert ("Complete Module 1 first." in page.text, SECOND_JOIN_URL in page.html) == (True, False)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"state": "refused", "due_at": None, "last_code": "zoom_host_cannot_register"}, "You are a host"),
        ({"last_code": "zoom_registrants_full"}, "takes no more registrations"),
        ({"last_code": "no_answer"}, "has not made your personal join link in time"),
    ],
)
def test_whom_waiting_would_not_help_is_told_at_once(browse, happened, client, database, now, clock, values, says):
    place(database, happened.new, clock.advance(minutes=10), **values)
    clock.advance(minutes=-5)
    page = at(client, join_link(browse(happened.new).open("/modules/F1")))
    assert ("Refresh" in page.response.headers, says in page.text) == (False, True)


def test_without_an_address_there_is_no_own_link_and_staff_see_it(browse, happened, client, database):
    with database.write() as connection:
        connection.execute(update(trainees).where(trainees.c.id == happened.new).values(email=None))
    page = browse(happened.new).open("/modules/F1")
    assert "Your attendance cannot be recognised automatically" in page.text
    answer = at(client, join_link(page))
    assert "We don't have your e-mail address" in answer.text
    desk = browse(happened.staff).open(f"/desk/sessions/{happened.next_day}/zoom")
    assert "No address" in desk.text


def test_a_session_without_a_general_link_can_be_joined_by_the_own_one(browse, happened, client, database, now):
    forget_general_links(database)
    place(database, happened.new, now, **REGISTERED)
    assert at(client, join_link(browse(happened.new).open("/modules/F1"))).sent_to == OWN_LINK


def calendar_of(browser, client):
    """The address of the person's feed, and the join links in it."""
    (address,) = set(re.findall(r"/calendar/[\w-]+\.ics", browser.open("/calendar").html))
    feed = Calendar.from_ical(client.get(address).data)
    return address, [str(each["URL"]) for each in feed.walk("VEVENT") if "URL" in each]


def test_the_link_in_the_calendar_asks_the_gate_and_leads_to_the_own_link(browse, happened, client, database, now):
    place(database, happened.new, now, **REGISTERED)
    address, (link,) = calendar_of(browse(happened.new), client)
    feed = client.get(address).get_data(as_text=True).replace("\r\n ", "")
    assert "zoom.example.org" not in feed
    assert link.startswith("https://gatehouse.example.org/modules/F1/join?")
    assert at(client, link.removeprefix("https://gatehouse.example.org")).sent_to == OWN_LINK
    change(database, happened.new, wanted=False, state="cancelled", join_url=None)
    later = client.get(link.removeprefix("https://gatehouse.example.org"), base_url=BASE)
    assert (later.status_code, "Location" in later.headers) == (200, False), "the waiting page"


def test_the_link_in_a_calendar_is_shut_with_the_gate(browse, happened, client, database, clock):
    _, links = calendar_of(browse(happened.whole), client)
    (link,) = [each.removeprefix("https://gatehouse.example.org") for each in links if "/F2/" in each]
    assert at(client, link).status == 200, "the waiting page"
    with database.write() as connection:
        mine = completions.of_trainee(connection, happened.whole)
        for each in mine:
            completions.end_completion(connection, each.id, reason="A mistake.", actor="cli", now=clock())
    shut = at(client, link)
    assert (shut.status, "zoom.example.org" in shut.html) == (200, False)
    assert "first." in shut.text


def test_a_new_calendar_address_ends_the_old_one_and_its_links(browse, happened, client, database):
    reader = browse(happened.new)
    old, (link,) = calendar_of(reader, client)
    answer = reader.send(reader.open("/calendar"), "/calendar/renew")
    assert (answer.status, answer.sent_to) == (303, "/calendar?done=calendar_renewed")
    new, (new_link,) = calendar_of(reader, client)
    assert (client.get(old).status_code, client.get(new).status_code, old != new) == (404, 200, True)
    stopped = at(client, link.removeprefix("https://gatehouse.example.org"))
    assert (stopped.status, "join_link_expired" in stopped.html) == (403, True)
    assert at(client, new_link.removeprefix("https://gatehouse.example.org")).status == 200


def test_no_token_of_a_calendar_is_stored(browse, happened, client, database):
    address, _ = calendar_of(browse(happened.new), client)
    token = address.removeprefix("/calendar/").removesuffix(".ics")
    with database.read() as connection:
        row = connection.execute(select(trainees).where(trainees.c.id == happened.new)).one()
    assert not [each for each in row if isinstance(each, str) and each in token]


@pytest.mark.parametrize("change_token", [lambda it: it[:-1], lambda it: "9" + it, lambda it: it.partition("-")[0]])
def test_a_changed_token_opens_no_calendar(browse, happened, client, change_token):
    address, _ = calendar_of(browse(happened.new), client)
    token = address.removeprefix("/calendar/").removesuffix(".ics")
    assert client.get(f"/calendar/{change_token(token)}.ics").status_code == 404


def test_without_any_link_the_page_says_so_and_offers_another_try(browse, happened, client, database, now):
    forget_general_links(database)
    address = join_link(browse(happened.new).open("/modules/F1"))
    page = at(client, f"{address}&waited=8")
    assert page.heading == "You cannot join right now"
    assert unescape(address) in page.links


def test_staff_are_never_registered_and_use_the_general_link(browse, happened, client, database):
    teacher = browse(happened.staff)
    assert teacher.open(join_link(teacher.open("/modules/F1"))).sent_to == NEXT_JOIN_URL
    assert of(database, happened.staff) is None
    forget_general_links(database)
    assert [each for each in teacher.open("/modules/F1").links if "/join?" in each] == []
    assert teacher.open(f"/modules/F1/join?session={happened.next_day}").status == 404


def test_a_number_of_waits_that_is_none_is_the_first(browse, happened, client):
    address = join_link(browse(happened.new).open("/modules/F1"))
    for odd in ("-1", "x", "9" * 400, ""):
        assert at(client, f"{address}&waited={odd}").heading == "One moment, please"


@pytest.mark.databases("sqlite")
def test_without_credentials_the_page_says_by_what_people_are_known(settings, database, clock, browse, happened):
    plain = replace(settings, zoom_client_secret=None)
    app = create_app(plain, context=build_context(plain, clock, database=database))
    borrowed = browse(happened.new).client
    client = app.test_client()
    client._cookies.update(borrowed._cookies)
    page = Page(client.get("/modules/F1", base_url=BASE))
    assert "Join Zoom with the address trainee4@example.org." in page.text
    assert at(client, join_link(page)).sent_to == NEXT_JOIN_URL
    close_app(app)


class TestTheDesk:
    def open(self, browse, happened):
        return browse(happened.staff).open(f"/desk/sessions/{happened.next_day}/zoom")

    def test_staff_see_who_is_registered_and_what_is_in_the_way(self, browse, happened, database, now):
        place(database, happened.new, now, **REGISTERED)
        place(database, happened.half, now)
        change(database, happened.half, state="refused", due_at=None, last_code="zoom_host_cannot_register")
        page = self.open(browse, happened)
        assert "1 without problems" in page.text
        assert "Zoom does not register the host or an alternative host." in page.text

    def test_a_refused_place_can_be_tried_again(self, browse, happened, database, now):
        place(database, happened.half, now, state="refused", due_at=None, last_code="address_shared")
        teacher = browse(happened.staff)
        page = teacher.open(f"/desk/sessions/{happened.next_day}/zoom")
        (action,) = re.findall(r'action="([^"]+/places/\d+)"', page.html)
        assert "done=place_again" in teacher.send(page, action).sent_to
        assert (of(database, happened.half).state, of(database, happened.half).due_at) == ("none", now)

    def test_the_settings_can_be_read_again_while_the_class_is_to_come(self, browse, happened, database):
        teacher = browse(happened.staff)
        page = teacher.open(f"/desk/sessions/{happened.next_day}/zoom")
        sent = teacher.send(page, f"/desk/sessions/{happened.next_day}/zoom/settings")
        assert "done=settings_again" in sent.sent_to
        over = teacher.send(page, f"/desk/sessions/{happened.day}/zoom/settings")
        assert (over.status, "settings_not_read" in over.text) == (409, True)

    def test_trainees_do_not_get_there(self, browse, happened):
        assert browse(happened.new).open(f"/desk/sessions/{happened.next_day}/zoom").status == 403

    def test_the_session_page_leads_there(self, browse, happened):
        page = browse(happened.staff).open(f"/desk/sessions/{happened.next_day}")
        assert f"/desk/sessions/{happened.next_day}/zoom" in page.links
