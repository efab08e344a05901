"""The home page while a class is running: the minutes so far, the presence check, and an honest outlook."""

import re
from datetime import timedelta
from decimal import Decimal
from zlib import compress

import pytest
from sqlalchemy import insert, select

from lti_tool.attendance.live_board import LivePerson, so_far
from lti_tool.programme.model import CompletionPolicy
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.presence import presence_checks
from sandbox.zoom.behaviours import Visit
from tests.statements import listening
from tests.training_day import add_session, at
from tests.unit.web.conftest import JOIN_URL
from tests.unit.web.test_day_picture import DAY
from tests.unit.web.test_live_pages import HOURS, MEETING, STARTS, THERE, attendee, tell

MAX_STATEMENTS = 14
MAX_PAGE = 12 * 1024


@pytest.fixture
def running(database, published, now, happened) -> int:
    """A class of module 1 that began an hour ago."""
    with database.write() as connection:
        return add_session(connection, published, now, starts=STARTS, zoom_meeting_id=MEETING, join_url=JOIN_URL)


def ask(database, session_id: int, now) -> int:
    check = {"live_session_id": session_id, "opens_at": now, "closes_at": now + timedelta(minutes=5), "opened_by": "x"}
    with database.write() as connection:
        return connection.scalar(insert(presence_checks).values(check).returning(presence_checks.c.id))


def test_who_is_there_sees_the_minutes_and_is_on_track(browse, happened, running, database, now) -> None:
    tell(database, attendee("trainee4@example.org", Visit(420, 8 * HOURS)), until=now)
    page = browse(happened.new).open("/")
    assert page.heading == "Module 1: Introduction to Ketamine-Assisted Psychotherapy"
    assert "In class now First part, until 10:30 am Pacific" in page.text
    assert "53 of 312 minutes needed" in page.text
    assert "259 to go · 330 still to come 390 in all" in page.text
    assert "On track You joined at 9:07 am Pacific and have missed 7 minutes." in page.text
    assert "For CE credit at most 15 may be missed." in page.text
    assert 'role="img" aria-label="Your class day so far. You were present for 53 of 390 teaching minutes' in page.html
    assert page.html.count("btn pri") == 1
    assert "Are you there? Join again (new tab)" in page.text
    assert "Until 5:00 pm Pacific" in page.text


def test_who_has_not_come_is_led_into_the_class(browse, happened, running) -> None:
    page = browse(happened.new).open("/")
    assert "Zoom hasn’t shown you in this class yet." in page.text
    assert [each for each in page.links if "/join?" in each]
    assert page.html.count("btn pri") == 1


def test_who_can_no_longer_complete_it_is_told_so(browse, happened, running, database, clock) -> None:
    tell(database, attendee("trainee4@example.org", THERE), until=clock())
    clock.advance(hours=4)
    tell(database, attendee("trainee4@example.org", Visit(0, HOURS)), until=clock())
    text = browse(happened.new, clock()).open("/").text
    assert "Zoom shows that you have left the class." in text
    assert "Can no longer complete" in text
    assert "Fewer minutes are left than you need." in text


def test_a_presence_check_is_answered_in_place(browse, happened, running, database, now) -> None:
    tell(database, attendee("trainee4@example.org", THERE), until=now)
    reader = browse(happened.new)
    check = ask(database, running, now)
    page = reader.open("/")
    assert "Are you there? Please answer by 10:05 am Pacific." in page.text
    assert page.html.count("btn pri") == 1
    assert reader.send(page, f"/presence/{check}", to="home").sent_to == "/?done=presence_answered"
    assert "You answered at 10:00 am" in reader.open("/").text


def without_tokens(html: str) -> str:
    return re.sub(r' name="csrf" value="[^"]*"|ticket=[^"&]*', "", html)


def test_the_part_that_is_renewed_is_the_one_on_the_page(browse, happened, running, database, now) -> None:
    tell(database, attendee("trainee4@example.org", THERE), until=now)
    reader = browse(happened.new)
    page, part = reader.open("/").html, reader.open(f"/now?session={running}").html
    assert f'data-renew="/now?session={running}" data-every="10"' in page
    assert without_tokens(part.strip()) in without_tokens(page)


def test_after_the_class_the_renewed_part_says_so(browse, happened, running, clock) -> None:
    reader = browse(happened.new)
    clock.advance(hours=8)
    part = reader.open(f"/now?session={running}").html
    assert "The class is over" in part
    assert "data-over" in part
    assert reader.open("/now?session=nothing").status == 404


def test_nobody_reads_a_class_of_a_module_that_is_locked(browse, happened, database, published, now) -> None:
    with database.write() as connection:
        session = add_session(connection, published, now, module_id="F2", starts=STARTS, zoom_meeting_id=MEETING)
    assert browse(happened.new).open(f"/now?session={session}").status == 404


def test_nobody_reads_a_class_that_has_not_begun(browse, happened, database, published, now) -> None:
    with database.write() as connection:
        starts = STARTS + timedelta(minutes=61)
        session = add_session(connection, published, now, starts=starts, zoom_meeting_id=MEETING)
    assert browse(happened.new).open(f"/now?session={session}").status == 404


def test_a_page_costs_the_same_with_few_and_with_many_sessions(browse, happened, database, published, now) -> None:
    reader = browse(happened.whole)

    def counted() -> list[int]:
        counts = []
        for path in ("/", "/record", "/modules/F1", "/modules/F3"):
            with listening(database) as run:
                assert reader.open(path).status == 200
            counts.append(len(run))
        return counts

    counted()  # the process has read the programme now
    few = counted()
    with database.write() as connection:
        for number in range(30):
            start, meeting = STARTS + timedelta(days=20 + number), f"8530000{number:04}"
            add_session(connection, published, now, starts=start, zoom_meeting_id=meeting)
    assert counted() == few
    assert max(few) <= MAX_STATEMENTS, few


@pytest.fixture
def many_days(happened, database, published, now) -> None:
    """The person who was there all day has attended forty more sessions like it."""
    mine = (attendances.c.live_session_id == happened.day) & (attendances.c.trainee_id == happened.whole)
    with database.write() as connection:
        day = dict(connection.execute(select(attendances).where(mine)).one()._mapping)
        day.pop("id")
        for number in range(40):
            start = STARTS - timedelta(days=300 - number)
            session = add_session(connection, published, now, starts=start, zoom_meeting_id=f"8540000{number:04}")
            connection.execute(insert(attendances).values({**day, "live_session_id": session}))


@pytest.mark.parametrize("path", ["/", "/record", "/modules/F2", "/sessions/1"])
def test_a_page_with_many_rows_stays_small(browse, happened, many_days, path: str) -> None:
    html = browse(happened.whole).open(path).html
    assert len(compress(html.encode())) < MAX_PAGE


def test_a_module_taken_many_times_shows_the_latest_days(browse, happened, many_days) -> None:
    page = browse(happened.whole).open("/modules/F1")
    assert page.html.count('id="attendance-') <= 3
    assert len(compress(page.html.encode())) < MAX_PAGE


POLICY = CompletionPolicy(share=Decimal("0.8"))


def person(*stays) -> LivePerson:
    return LivePerson("p", 1, "", "here", at(0), "", False, False, stays)


def test_somebody_who_came_late_is_measured_by_what_is_left() -> None:
    mine = so_far(person((at(40), at(999))), DAY, POLICY, at(60))
    assert (mine.day.seconds_present, mine.missed_seconds, mine.seconds_to_come) == (1200, 2400, 6300)
    assert (mine.can_complete, mine.has_enough) == (False, False)
    assert mine.joined_at == at(40)


def test_breaks_are_neither_missed_nor_attended() -> None:
    mine = so_far(person((at(0), at(90))), DAY, POLICY, at(100))
    assert (mine.day.seconds_present, mine.missed_seconds, mine.can_complete) == (5400, 0, True)


def test_nobody_has_missed_anything_before_the_class() -> None:
    mine = so_far(None, DAY, POLICY, at(-10))
    assert (mine.missed_seconds, mine.can_complete, mine.joined_at) == (0, True, None)


def test_the_page_of_the_module_shows_the_same_part(browse, happened, running, database, now) -> None:
    tell(database, attendee("trainee4@example.org", THERE), until=now)
    reader = browse(happened.new)
    page = reader.open("/modules/F1")
    part = reader.open(f"/now?session={running}&on=module").html
    assert without_tokens(part.strip()) in without_tokens(page.html)
    assert page.html.count("btn pri") == 1
    assert page.html.count("<h1") == 1
    assert page.text.count("In class now") == 1
    assert "of 312 minutes needed" in page.text
