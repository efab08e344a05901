"""The home page, the record, help and the calendar."""

from datetime import UTC, datetime

from icalendar import Calendar

from lti_tool.gates import equivalency
from tests.unit.web.browser import calendar_address
from tests.unit.web.conftest import NEXT_JOIN_URL


def test_every_module_says_in_words_whether_it_is_open(browse, happened) -> None:
    text = browse(happened.new).open("/").text
    assert "Next Module 1: Introduction to Ketamine-Assisted Psychotherapy Your next class. Tue 15 Dec" in text
    assert (
        "Locked Module 2: Intermediate Workshop I on Ketamine-Assisted Psychotherapy Locked. Complete Module 1" in text
    )
    assert "Open. Module 1 first is recommended, not required." in text
    assert text.index("Foundational Series") < text.index("Advanced Series") < text.index("Special Topics Series")


def test_a_pending_request_shows_in_the_list(browse, happened) -> None:
    page = browse(happened.elsewhere).open("/")
    assert "Your training elsewhere is being reviewed" in page.text
    assert "Waiting Module 2: Intermediate Workshop I on Ketamine-Assisted Psychotherapy Your request is" in page.text
    assert "Training elsewhere: PRATI Sent Sun 29 Nov" in page.text
    assert page.html.count("btn pri") == 1


def test_a_completed_module_shows_its_day(browse, happened) -> None:
    page = browse(happened.whole).open("/")
    assert "Completed Tue 10 Nov 2026 · 6.5 APA credits Done" in page.text
    assert "Foundational 1 of 6" in page.text
    assert "6.5 APA" in page.text


def test_the_next_step_of_somebody_new_is_the_next_session(browse, happened) -> None:
    page = browse(happened.new).open("/")
    assert page.heading == "Module 1 starts in 14 days"
    assert "Tue 15 Dec · 9:00 am–5:00 pm Pacific" in page.text
    assert "Attend 312 of 390 teaching minutes to complete." in page.text
    assert page.html.count("btn pri") == 1


def test_somebody_who_was_there_too_briefly_is_led_to_the_day(browse, happened) -> None:
    page = browse(happened.half).open("/")
    assert "Not completed on Tue 10 Nov: 173 min 30 s missing." in page.text
    assert f"/sessions/{happened.day}" in page.links


def test_training_elsewhere_that_was_accepted_leaves_nothing_to_take(
    browse, happened, database, published, now
) -> None:
    with database.write() as connection:
        request = equivalency.submit(
            connection, published.programme, trainee_id=happened.new, target="F1", provider_id="prati",
            course_title="KAP", evidence_note="Letter", as_full_review=True, actor="cli", now=now,
        )  # fmt: skip
        equivalency.approve(connection, request, actor="cli", now=now)
    page = browse(happened.new).open("/")
    assert "Accepted: training elsewhere" in page.text
    assert not page.heading.startswith("Module 1")
    with database.write() as connection:
        equivalency.propose_revocation(connection, request, reason="Wrong person", actor="staff:998", now=now)
        equivalency.confirm_revocation(connection, request, proposed_at=now, actor="staff:999", now=now)
    assert browse(happened.new).open("/").heading == "Module 1 starts in 14 days"


def test_staff_are_led_to_the_desk(browse, happened) -> None:
    page = browse(happened.staff).open("/")
    assert (page.status, page.sent_to) == (303, "/desk")


def test_a_class_within_the_day_is_joined_from_the_home_page(browse, happened, clock) -> None:
    reader = browse(happened.new)
    assert not [each for each in reader.open("/").links if "/join?" in each]
    clock.at = datetime(2026, 12, 15, 16, 40, tzinfo=UTC)
    page = browse(happened.new, clock.at).open("/")
    assert page.heading == "Module 1 starts in 20 minutes"
    assert [each for each in page.links if "/join?" in each]


def test_the_record_adds_up_what_each_body_gave(browse, happened) -> None:
    page = browse(happened.whole).open("/record")
    assert "6.5 APA credits since 2026" in page.text
    assert "10 Nov 2026 390 of 390 Completed" in page.text
    assert "LMFT, CA No. MFT 12345 · until 31 Dec 2027" in page.text


def test_an_empty_record_says_what_will_stand_there(browse, happened) -> None:
    text = browse(happened.new).open("/record").text
    assert "No credits yet" in text
    assert "No licence on record" in text
    assert "After a live session you see here, minute by minute, what counted." in text


def test_help_has_every_contact_with_its_purpose(browse, happened) -> None:
    page = browse(happened.new).open("/help")
    assert {"mailto:training@larkspur-hill.example", "mailto:ce@larkspur-hill.example"} <= set(page.links)
    assert "https://larkspur-hill.example/group-registration" in page.links
    assert "CE credits ce@larkspur-hill.example" in page.text


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
