"""The plan of live sessions on the desk: list, calendar, add, edit, move, cancel, duplicate."""

import gzip
import re

import pytest
from sqlalchemy import select

from lti_tool.attendance import live_sessions
from lti_tool.tables.live_sessions import live_sessions as table
from tests.statements import listening
from tests.training_day import add_session
from tests.unit.web.conftest import NEXT_JOIN_URL

SESSIONS = "/desk/sessions"
ADD = f"{SESSIONS}/add"
NEW = {"module": "F1", "starts": "2027-01-12T09:00", "meeting": "853 0000 7777", "kind": "meeting", "join_url": ""}


@pytest.fixture
def staff(browse, happened):
    return browse(happened.staff)


def add(staff, **changed):
    return staff.send(staff.open(f"{ADD}?module=F1"), ADD, **{**NEW, **changed})


def shown(database, session_id):
    with database.read() as connection:
        return live_sessions.show(connection, session_id)


def count(database) -> int:
    with database.read() as connection:
        return len(connection.execute(select(table.c.id)).all())


def test_a_session_is_added_with_the_agenda_in_sight(staff, happened) -> None:
    assert "390 min of teaching" in staff.open(f"{ADD}?module=F1").text
    sent = add(staff, note="Evening group")
    assert (sent.status, sent.sent_to.endswith("?done=session_added")) == (303, True)
    page = staff.open(sent.sent_to.replace("?", "/settings?"))
    assert "Evening group" in page.text
    assert "85300007777" in page.text


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"starts": "tomorrow"}, "Give a date and a time"),
        ({"starts": "2026-11-10T16:30Z"}, "Give a date and a time"),
        ({"starts": "9999-12-31T23:59"}, "Give a date and a time"),
        ({"starts": "2026-06-01T09:00"}, "This time is in the past."),
        ({"starts": "2027-03-14T02:30"}, "the clocks in America/Los_Angeles skip this time"),
        ({"starts": "2027-11-07T01:30"}, "the clocks in America/Los_Angeles show this time twice"),
        ({"starts": "2026-12-15T10:00", "meeting": "85300000002"}, "uses the same Zoom meeting at that time"),
        ({"meeting": "abc"}, "A Zoom meeting id is a number."),
        ({"join_url": "javascript:alert(1)"}, "The join link is not a web address."),
    ],
    ids=["no time", "an offset", "a far year", "past", "skipped", "twice", "overlap", "meeting", "link"],
)
def test_what_is_refused_stands_above_the_form_with_all_that_was_entered(staff, database, changed, words) -> None:
    before = count(database)
    page = add(staff, note="Evening group", **changed)
    assert page.status in (409, 422)
    assert "Nothing has been saved yet." in page.text
    assert words in page.text
    assert 'value="Evening group"' in page.html
    assert count(database) == before


def test_a_session_of_the_past_is_added_when_staff_say_so(staff) -> None:
    assert add(staff, starts="2026-06-01T09:00", past="yes").status == 303


def test_several_dates_are_shown_before_they_are_added(staff, database, happened) -> None:
    before = count(database)
    more = "2027-01-19\n2027-01-26T13:00"
    page = add(staff, more=more)
    assert page.heading == "Add 3 sessions?"
    assert "Tue 26 Jan 2027 · 1:00–9:00 pm Pacific" in page.text
    assert count(database) == before
    sent = staff.send(page, ADD, **NEW, more=more, confirmed="yes")
    assert sent.sent_to == "/desk/sessions?done=sessions_added"
    assert count(database) == before + 3


def test_one_bad_date_of_several_adds_none(staff, database, happened) -> None:
    before = count(database)
    page = add(staff, more="2027-01-12T10:00\nsoon", confirmed="yes")
    assert (page.status, count(database)) == (422, before)
    assert "2 of 3 dates cannot be added." in page.text


def test_a_duplicate_begins_with_the_same_values_and_keeps_the_secret_join_link(staff, database, happened) -> None:
    page = staff.open(f"{ADD}?like={happened.next_day}")
    assert 'value="85300000002"' in page.html
    assert NEXT_JOIN_URL not in page.html
    sent = staff.send(page, ADD, **{**NEW, "meeting": "85300000002"}, like=str(happened.next_day))
    new = int(re.search(r"/(\d+)\?", sent.sent_to)[1])
    assert shown(database, new).join_url == NEXT_JOIN_URL


def test_a_session_is_edited_and_an_empty_join_link_keeps_the_saved_one(staff, database, happened) -> None:
    place = f"{SESSIONS}/{happened.next_day}"
    page = staff.open(f"{place}/edit")
    assert NEXT_JOIN_URL not in page.html
    given = {"sequence": "0", "meeting": "853 0000 0009", "kind": "meeting", "join_url": "", "note": "Evening group"}
    assert staff.send(page, f"{place}/edit", **given).sent_to == f"{place}/settings?done=session_edited"
    session = shown(database, happened.next_day)
    assert (session.zoom_meeting_id, session.join_url) == ("85300000009", NEXT_JOIN_URL)
    staff.send(page, f"{place}/edit", **{**given, "sequence": "1", "forget_link": "yes"})
    assert shown(database, happened.next_day).join_url is None


def test_the_second_of_two_editors_sees_both_values_and_decides(staff, database, happened) -> None:
    place = f"{SESSIONS}/{happened.next_day}"
    page = staff.open(f"{place}/edit")
    given = {"sequence": "0", "meeting": "85300000002", "kind": "meeting", "join_url": ""}
    staff.send(page, f"{place}/edit", **given, note="Evening group")
    second = staff.send(page, f"{place}/edit", **given, note="Morning group")
    assert second.status == 409
    assert "Someone else has changed this session since you opened this page." in second.text
    assert "Note Evening group Morning group" in second.text
    assert shown(database, happened.next_day).note == "Evening group"
    again = {**given, "sequence": re.search(r'name="sequence" value="(\d+)"', second.html)[1]}
    assert staff.send(second, f"{place}/edit", **again, note="Morning group").status == 303
    assert shown(database, happened.next_day).note == "Morning group"


def test_a_moved_session_is_seen_at_its_new_time_by_everyone(staff, browse, database, happened) -> None:
    place = f"{SESSIONS}/{happened.next_day}"
    page = staff.open(f"{place}/move")
    given = {"sequence": "0", "starts": "2026-12-16T10:00", "reason": ""}
    refused = staff.send(page, f"{place}/move", **given)
    assert (refused.status, "Say why the session is moved." in refused.text) == (422, True)
    given["reason"] = "The teacher is away."
    assert staff.send(page, f"{place}/move", **given).sent_to == f"{place}/settings?done=session_moved"
    assert "Wed 16 Dec" in browse(happened.new).open("/modules/F1").text


def test_a_session_that_has_begun_is_not_moved(staff, happened) -> None:
    place = f"{SESSIONS}/{happened.day}"
    assert "can no longer be moved" in staff.open(f"{place}/move").text
    page = staff.open(f"{SESSIONS}/{happened.next_day}/move")
    given = {"sequence": "0", "starts": "2027-01-12T09:00", "reason": "The teacher is away."}
    assert staff.send(page, f"{place}/move", **given).status == 409
    assert f"{place}/move" not in staff.open(f"{place}/settings").links


def test_before_a_session_is_cancelled_staff_see_whom_it_concerns(staff, database, happened) -> None:
    place = f"{SESSIONS}/{happened.next_day}"
    page = staff.open(f"{place}/cancel")
    assert "enrolled in its courses 4" in page.text
    assert staff.send(page, f"{place}/cancel", sequence="0", reason=" ").status == 422
    assert shown(database, happened.next_day).state == "scheduled"
    sent = staff.send(page, f"{place}/cancel", sequence="0", reason="The teacher is ill.")
    assert sent.sent_to == f"{place}/settings?done=session_cancelled"
    assert "The teacher is ill." in staff.open(f"{place}/settings").text


@pytest.mark.parametrize("act", ["edit", "move", "cancel"])
def test_learners_change_no_plan(browse, happened, act: str) -> None:
    learner = browse(happened.new)
    page = learner.open("/equivalency/F1")
    assert learner.send(page, f"{SESSIONS}/{happened.next_day}/{act}", sequence="0").status == 403


def test_the_list_shows_what_comes_first_and_below_it_the_past(staff, happened) -> None:
    page = staff.open(SESSIONS)
    assert page.text.index("To come") < page.text.index("15 Dec") < page.text.index("16 Dec")
    assert page.text.index("16 Dec") < page.text.index("Past") < page.text.index("10 Nov")


def test_filters_stay_in_the_address(staff, happened) -> None:
    page = staff.open(f"{SESSIONS}?module=F2&state=coming")
    assert "16 Dec" in page.text
    assert "15 Dec" not in page.text
    assert f"{SESSIONS}?module=F2&state=coming&month=2026-12" in page.links
    assert staff.open(f"{SESSIONS}?module=nothing&state=odd&month=13&page=-1").status == 200
    assert "No session is in this selection." in staff.open(f"{SESSIONS}?state=cancelled").text


def test_the_calendar_shows_one_month_and_leads_to_its_neighbours(staff, happened) -> None:
    page = staff.open(f"{SESSIONS}?month=2026-12")
    assert page.heading == "Sessions"
    assert "December 2026" in page.text
    assert f"{SESSIONS}/{happened.next_day}" in page.links
    assert {f"{SESSIONS}?month=2026-11", f"{SESSIONS}?month=2027-01"} <= set(page.links)


def test_the_list_runs_as_many_statements_for_many_sessions_as_for_few(
    staff, database, published, happened, now
) -> None:
    staff.open(SESSIONS)
    with listening(database) as few:
        staff.open(SESSIONS)
    with database.write() as connection:
        for number in range(60):
            add_session(connection, published, now, zoom_meeting_id=str(86000000000 + number))
    with listening(database) as many:
        page = staff.open(SESSIONS)
    assert len(many) == len(few)
    assert "1–50 of 63" in page.text
    assert "51–63 of 63" in staff.open(f"{SESSIONS}?page=2").text
    assert len(gzip.compress(page.response.get_data())) < 12_000
