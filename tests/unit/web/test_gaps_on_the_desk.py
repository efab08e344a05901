"""Possible gaps in attendance data on the desk: what is missing, since when, and what to do about it."""

from datetime import timedelta

from lti_tool.attendance import evidence_gaps
from lti_tool.attendance.evidence_gaps import GAPS, Gap, of_session


def test_without_a_gap_the_desk_says_so(browse, happened) -> None:
    text = browse(happened.staff).open("/desk/settings/zoom").text
    assert "No gap in attendance data is known." in text


def test_every_gap_is_told_with_its_age_and_the_next_step_the_gravest_first(browse, happened, database, now) -> None:
    found = [
        of_session("people_differ", happened.day, None, 3),
        Gap("challenge_overdue", since=now - timedelta(days=2)),
    ]
    with database.write() as connection:
        evidence_gaps.record(connection, found, now - timedelta(minutes=5))
    text = browse(happened.staff).open("/desk").text
    said = GAPS["challenge_overdue"].says
    assert f"Possible gaps in attendance data: 2 {said} · oldest Sun 29 Nov, 2 days ago" in text
    assert text.index("Possible gaps") < text.index("“A guest”")
    page = browse(happened.staff).open("/desk/settings/zoom")
    overdue, differ = GAPS["challenge_overdue"], GAPS["people_differ"]
    assert page.text.index(overdue.says) < page.text.index(differ.says)
    assert f"{differ.says} (3)" in page.text
    assert overdue.next_step in page.text
    assert differ.next_step in page.text
    assert f'href="/desk/sessions/{happened.day}"' in page.html


def test_every_kind_of_gap_can_be_shown(browse, happened, database, now) -> None:
    found = [of_session(code, happened.day, now) if "{session}" in GAPS[code].where else Gap(code) for code in GAPS]
    with database.write() as connection:
        evidence_gaps.record(connection, found, now)
    text = browse(happened.staff).open("/desk/settings/zoom").text
    assert [code for code, words in GAPS.items() if words.says not in text] == []
