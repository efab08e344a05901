"""The dashboard, the own sessions and the calendar."""

from icalendar import Calendar

from tests.unit.web.browser import calendar_address
from tests.unit.web.conftest import NEXT_JOIN_URL


def test_every_module_says_in_words_whether_it_is_open(browse, happened) -> None:
    text = browse(happened.new).open("/").text
    assert "Module 1: Introduction to Ketamine-Assisted Psychotherapy Ketamine 101" in text
    assert "Locked until you have taken Module 1" in text
    assert text.index("Foundational Series") < text.index("Advanced Series") < text.index("Special Topics Series")


def test_a_pending_request_shows_in_the_list(browse, happened) -> None:
    assert "Locked, waiting for an answer" in browse(happened.elsewhere).open("/").text


def test_a_completed_module_shows_its_day(browse, happened) -> None:
    assert "Completed 10 Nov 2026" in browse(happened.whole).open("/").text


def test_the_next_step_of_somebody_new_is_the_next_session(browse, happened) -> None:
    text = browse(happened.new).open("/").text
    assert "Your next live session: Module 1: Introduction" in text
    assert "Module 1 opens further modules" in text


def test_somebody_who_was_there_too_briefly_is_led_to_the_day(browse, happened) -> None:
    page = browse(happened.half).open("/")
    assert "is not completed: see what is missing" in page.text
    assert f"/sessions/{happened.day}" in page.links


def test_staff_are_led_to_the_desk(browse, happened) -> None:
    page = browse(happened.staff).open("/")
    assert (page.status, page.sent_to) == (303, "/desk")


def test_sessions_of_locked_modules_are_not_among_the_own_ones(browse, happened) -> None:
    assert "16 Dec 2026" not in browse(happened.new).open("/sessions").text
    assert "16 Dec 2026" in browse(happened.whole).open("/sessions").text


def test_the_calendar_page_gives_an_address_to_subscribe_to(browse, happened) -> None:
    reader = browse(happened.new)
    page = reader.send(reader.open("/calendar"), "/calendar")
    (webcal,) = [each for each in page.links if each.startswith("webcal://gatehouse.example.org/calendar/")]
    assert webcal.endswith(".ics")
    assert webcal.replace("webcal", "https") in page.text


def test_the_feed_needs_no_session_and_holds_no_link_past_a_shut_gate(browse, happened, client) -> None:
    answer = client.get(calendar_address(browse(happened.new)))
    assert answer.content_type.startswith("text/calendar")
    unfolded = answer.data.replace(b"\r\n ", b"")
    assert b"https://gatehouse.example.org/modules/F1/join?" in unfolded
    assert b"/modules/F2/join?" not in unfolded
    assert NEXT_JOIN_URL.encode() not in unfolded
    assert len(Calendar.from_ical(answer.data).walk("VEVENT")) >= 2


def test_an_unknown_calendar_is_a_page_that_says_so(client, happened) -> None:
    answer = client.get("/calendar/nobody.ics", base_url="https://localhost")
    assert (answer.status_code, "calendar_unknown" in answer.get_data(as_text=True)) == (404, True)
