"""One's own day, minute by minute, as picture and as table."""

import re


def test_every_stretch_says_whether_it_counted_and_why_not(browse, happened) -> None:
    text = browse(happened.half).open(f"/sessions/{happened.day}").text
    assert "9:00 am – 9:14 am Opening" in text or "9:00 am – 9:14 am First part" in text
    assert "Before you arrived." in text
    assert "10:00 am – 10:12:30 am" in text
    assert "After you had left." in text
    assert "leaving costs nothing" in text


def test_the_page_says_how_many_minutes_are_missing(browse, happened) -> None:
    text = browse(happened.half).open(f"/sessions/{happened.day}").text
    assert "173 min 30 s are missing." in text
    assert "138 of 390 teaching minutes · 312 needed to complete" in text


def test_what_rests_on_webhooks_alone_is_called_provisional(browse, happened) -> None:
    assert "Provisional" in browse(happened.whole).open(f"/sessions/{happened.day}").text


def test_the_picture_has_a_name_and_a_description(browse, happened) -> None:
    html = browse(happened.whole).open(f"/sessions/{happened.day}").html
    assert re.search(r'<svg[^>]*role="img"[^>]*aria-labelledby="day-title day-text"', html)
    assert "390 min of 390 min of teaching counted" in html


def test_the_credit_checklist_stands_under_the_day(browse, happened) -> None:
    assert "APA credit Awarded: 6.5 credits" in browse(happened.whole).open(f"/sessions/{happened.day}").text
    assert "No licence of yours is recorded." in browse(happened.half).open(f"/sessions/{happened.day}").text


def test_somebody_without_a_record_is_told_whom_to_write_to(browse, happened) -> None:
    page = browse(happened.new).open(f"/sessions/{happened.day}")
    assert "We have no record of you in this session." in page.text


def test_a_session_to_come_says_so(browse, happened) -> None:
    page = browse(happened.new).open(f"/sessions/{happened.next_day}")
    assert "After the session you will see here" in page.text


def test_nobody_sees_anybody_elses_day(browse, happened) -> None:
    text = browse(happened.half).open(f"/sessions/{happened.day}").text
    assert "A guest" not in text
    assert "Trainee 1" not in text
