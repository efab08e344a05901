"""The presence check: staff ask, a person in the frame taps once."""

import re
from datetime import datetime, timedelta

import pytest
from sqlalchemy import insert, select, update

from lti_tool.attendance.live_sessions import cancel
from lti_tool.attendance.settlement import settle
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.presence import presence_check_answers, presence_checks
from tests.training_day import FIVE, WHOLE_DAY, at, present, stay


@pytest.fixture
def running(database, happened, now: datetime) -> str:
    """The checks of a class that is going on."""
    with database.write() as connection:
        here = live_sessions.c.id == happened.next_day
        times = {"starts_at": now - timedelta(hours=1), "ends_at": now + timedelta(hours=5)}
        connection.execute(update(live_sessions).where(here).values(times))
    return f"/desk/sessions/{happened.next_day}/checks"


def ask(staff, checks: str, seconds: str = "120"):
    return staff.send(staff.open(checks), checks, seconds=seconds)


def test_while_a_question_is_open_no_other_is_offered(browse, happened, running, clock) -> None:
    staff = browse(happened.staff)
    before = staff.open(running)
    assert ask(staff, running).status == 303
    assert "Ask now" not in staff.open(running).text
    assert staff.send(before, running, seconds="120").status == 409
    clock.advance(seconds=120)
    assert "Ask now" in staff.open(f"{running}/now").html


def test_a_class_that_is_called_off_asks_nothing_any_more(browse, happened, running, database, now) -> None:
    staff, whole = browse(happened.staff), browse(happened.whole)
    assert ask(staff, running).status == 303
    assert "open now" in staff.open(f"{running}/now").html
    with database.write() as connection:
        cancel(connection, happened.next_day, reason="ill", actor="cli", now=now)
    page = staff.open(f"{running}/now").html
    assert ("open now" in page, "Please open" in page, "Ask now" in page) == (False, False, False)
    assert "No question right now" in whole.open("/presence").text


def test_staff_ask_and_see_how_many_are_there(browse, happened, running, clock) -> None:
    staff, whole = browse(happened.staff), browse(happened.whole)
    assert "No question right now" in whole.open("/presence").text
    assert ask(staff, running).status == 303
    shown = whole.open("/presence")
    assert "Yes, I am here" in shown.text
    assert whole.send(shown, "/presence/1").sent_to == "/presence?done=presence_answered"
    assert "Answered at" in whole.open("/presence").text
    assert "Yes, I am here" not in whole.open("/presence/now").html
    assert re.search(r"open now 1\b", staff.open(running).text)
    assert "open now" in staff.open(f"{running}/now").html
    clock.advance(seconds=121)
    assert "No question right now" in whole.open("/presence").text


def test_a_tap_that_comes_too_late_is_told_so(browse, happened, running, clock) -> None:
    staff, whole = browse(happened.staff), browse(happened.whole)
    ask(staff, running, "60")
    shown = whole.open("/presence")
    clock.advance(seconds=61)
    late = whole.send(shown, "/presence/1")
    assert (late.status, "The time for this answer is over." in late.text) == (409, True)


def test_outside_of_class_there_is_nothing_to_ask(browse, happened, running) -> None:
    staff, over = browse(happened.staff), f"/desk/sessions/{happened.day}/checks"
    page = staff.open(over)
    assert "The session is not running" in page.text
    assert staff.send(staff.open(running), over, seconds="120").status == 409


@pytest.mark.parametrize(("seconds", "status"), [("", 303), ("soon", 303), ("1", 422), ("99999", 422)])
def test_a_length_that_is_none_is_the_usual_one_or_refused(browse, happened, running, seconds, status) -> None:
    assert ask(browse(happened.staff), running, seconds).status == status


def test_a_trainee_does_not_ask(browse, happened, running) -> None:
    whole = browse(happened.whole)
    assert (whole.open(running).status, whole.open(f"{running}/now").status) == (403, 403)
    assert whole.send(whole.open("/equivalency/F1"), running, seconds="120").status == 403


def test_while_a_class_goes_on_every_page_of_it_leads_to_the_question(browse, happened, running) -> None:
    new = browse(happened.new)
    pages = ("/", "/modules/F1", f"/sessions/{happened.next_day}")
    assert all("/presence" in new.open(each).links for each in pages)
    assert running in browse(happened.staff).open(f"/desk/sessions/{happened.next_day}").links
    assert running in browse(happened.staff).open(f"/desk/sessions/{happened.next_day}/live").links


def test_before_a_class_nothing_leads_there(browse, happened) -> None:
    whole = browse(happened.whole)
    assert not any("/presence" in whole.open(each).links for each in ("/", "/modules/F1"))


def test_the_part_that_is_renewed_is_the_one_on_the_page(browse, happened, running) -> None:
    whole = browse(happened.whole)
    ask(browse(happened.staff), running)
    page, part = whole.open("/presence").html, whole.open("/presence/now").html
    assert 'data-renew="/presence/now" data-every="5"' in page
    assert without_tokens(part.strip()) in without_tokens(page)


def without_tokens(html: str) -> str:
    """The page without the tokens of its forms, which are new each time."""
    return re.sub(r' name="csrf" value="[^"]*"', "", html)


@pytest.fixture
def asked(database, happened, now) -> int:
    """The day that is over, settled again with two checks: one in class, one at lunch. `whole` answered both, `half`
    was not there for any, and somebody unknown was."""
    with database.write() as connection:
        for opens, closes in ((120, 122), (182, 184)):
            check = {"live_session_id": happened.day, "opens_at": at(opens), "closes_at": at(closes), "opened_by": "x"}
            check_id = connection.scalar(insert(presence_checks).values(check).returning(presence_checks.c.id))
            mine = {"check_id": check_id, "trainee_id": happened.whole, "answered_at": at(opens + 1)}
            connection.execute(insert(presence_check_answers).values(mine))
    people = [present(happened.whole, *WHOLE_DAY), present(happened.half, stay(14, 60))]
    settle(database, happened.day, people, FIVE, now, lambda *_: None)
    return happened.day


def test_the_own_day_tells_what_was_asked_and_what_counts(browse, happened, asked) -> None:
    text = browse(happened.whole).open(f"/sessions/{asked}").text
    assert "1 of 1 answered." in text
    assert "11:00 am – 11:02 am Presence check Answered at 11:01 am" in text
    assert "12:02 pm – 12:04 pm Presence check Does not count answered at 12:03 pm" in text
    assert "None was put to you." in browse(happened.half).open(f"/sessions/{asked}").text


def test_staff_see_the_same_of_a_persons_day(browse, happened, asked, database) -> None:
    mine = (attendances.c.trainee_id == happened.whole) & attendances.c.is_current
    with database.read() as connection:
        row = connection.scalar(select(attendances.c.id).where(mine, attendances.c.live_session_id == asked))
    text = browse(happened.staff).open(f"/desk/sessions/{asked}/people/{row}").text
    assert "A question counts only if this person was in the session" in text
    assert "Presence check Answered at 11:01 am" in text
