"""The live board: who is in the class right now, who of the enrolled is missing, how old the last message is."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import insert, update

from lti_tool.tables.courses import enrolments, roster_members, rosters
from sandbox.zoom.behaviours import Visit
from sandbox.zoom.training_day import Attendee, TrainingDay, encode, registrant_id
from tests.training_day import add_place, add_session, enrol
from tests.zoom_inbox import keep
from zoom_adapter.events import read_event
from zoom_adapter.registrants import record_registrations

MEETING = "85300009999"
# The clock of the tests stands an hour after the beginning.
OPENS = datetime.fromisoformat("2026-12-01T17:00:00Z")
STARTS = datetime.fromisoformat("2026-12-01T09:00")
HOURS = 3600


@pytest.fixture
def running(database, published, now, happened) -> int:
    """A class of module 1 that began an hour ago."""
    with database.write() as connection:
        return add_session(connection, published, now, starts=STARTS, zoom_meeting_id=MEETING)


def attendee(email: str, *visits: Visit, name: str = "") -> Attendee:
    return Attendee(name or email, email, registrant_id(MEETING, email), "all_day", visits)


def tell(database, *attendees: Attendee, until) -> None:
    """The inbox gets what Zoom told until then, and the worker has kept who registered."""
    day = TrainingDay(MEETING, OPENS, OPENS + timedelta(hours=8), attendees)
    keep(database, day, OPENS - timedelta(days=1), until)
    with database.write() as connection:
        for each in day.registrations():
            record_registrations(connection, [read_event(encode(each))], until)


def list_learners(database, happened, now, *trainee_ids: int) -> None:
    """The course's roster names these learners."""
    course = {"registration_id": happened.platform, "context_id": "course-1"}
    seen = {"first_seen_at": now, "last_seen_at": now, "groups": [], "role": "trainee"}
    with database.write() as connection:
        address = "https://lms.example.org/members"
        connection.execute(insert(rosters).values(**course, memberships_url=address, code="", next_at=now))
        for each in trainee_ids:
            member = {"user_id": f"user-{each}", "trainee_id": each}
            connection.execute(insert(roster_members).values(**course, **seen, **member))


def board(browse, happened, session_id: int, query: str = ""):
    return browse(happened.staff).open(f"/desk/sessions/{session_id}/live{query}")


THERE = Visit(0, 8 * HOURS)


def test_the_board_says_who_is_here_who_waits_who_left_and_who_is_missing(
    browse, happened, running, database, now
) -> None:
    list_learners(database, happened, now, happened.whole, happened.half, happened.elsewhere, happened.new)
    tell(
        database,
        attendee("trainee1@example.org", THERE),
        attendee("trainee2@example.org", Visit(0, HOURS // 2)),
        attendee("guest@example.org", THERE, name="A guest from elsewhere"),
        attendee("trainee3@example.org", Visit(HOURS + 60, 8 * HOURS, waits=600)),
        until=now,
    )
    text = board(browse, happened, running).text
    assert "enrolled, in Zoom now 1 of 4 in the waiting room 1 left 1 not joined 1 more to match 1" in text
    assert "Not matched to a trainee" in text
    assert "A guest from elsewhere here since 9:00 am" in text
    assert "In the waiting room 1 Trainee 3 in Zoom: trainee3@example.org since 9:51 am" in text
    assert "Left 1 Trainee 2 in Zoom: trainee2@example.org since 9:30 am" in text
    missing = text.rpartition("Not joined")[2]
    assert "Trainee 4 trainee4@example.org" in missing


LISTS = ("In the waiting room", "Not matched to a trainee", "Not joined", "Left", "Here now")


def lists_with(page, name: str) -> list[str]:
    """The headings of the lists in which this name stands."""
    parts = page.html.split('<h2 id="')[1:]
    headings = [part.partition(">")[2].partition("<")[0] for part in parts]
    return [heading for heading, part in zip(headings, parts, strict=True) if f">{name}<" in part]


def test_a_person_is_in_one_list_from_the_first_moment_on(browse, happened, running, database, clock) -> None:
    """Within the seconds for which rosters and names are kept, too."""
    list_learners(database, happened, clock(), happened.whole, happened.half, happened.new)
    cast = (
        attendee("trainee1@example.org", THERE),
        attendee("trainee2@example.org", Visit(HOURS + 1, HOURS + 3)),
        attendee("trainee4@example.org", Visit(HOURS + 602, 8 * HOURS, waits=600)),
    )
    tell(database, *cast, until=clock())
    page = board(browse, happened, running)
    not_come = ["Not joined"]
    assert [lists_with(page, f"Trainee {each}") for each in (1, 2, 4)] == [["Here now"], not_come, not_come]
    tell(database, *cast, until=clock.advance(seconds=5))
    page = board(browse, happened, running)
    where = [["Here now"], ["Left"], ["In the waiting room"]]
    assert [lists_with(page, f"Trainee {each}") for each in (1, 2, 4)] == where


def test_a_matched_person_has_the_own_name_on_the_board_and_the_one_in_zoom_beside_it(
    browse, happened, running, database, clock
) -> None:
    late = attendee("trainee2@example.org", Visit(HOURS + 1, 8 * HOURS), name="iPad")
    cast = (attendee("trainee1@example.org", THERE, name="iPhone"), late)
    tell(database, *cast, until=clock())
    assert "Trainee 1 in Zoom: iPhone since 9:00 am" in board(browse, happened, running).text
    tell(database, *cast, until=clock.advance(seconds=5))
    assert "Trainee 2 in Zoom: iPad since 10:00 am" in board(browse, happened, running).text


def test_staff_are_in_no_list_and_in_no_number(browse, happened, running, database, now) -> None:
    list_learners(database, happened, now, happened.whole)
    with database.write() as connection:
        enrol(connection, happened.platform, happened.staff, now, role="staff")
    runs_it = Visit(0, 8 * HOURS, roles=((1, "co-host"),))
    host = Attendee("The trainer's laptop", "", "", "all_day", (runs_it,))
    tell(database, attendee("trainee5@example.org", THERE), host, until=now)
    page = board(browse, happened, running)
    assert 'data-says="0 here of 4 enrolled, 0 waiting, 0 not matched, 0 with a shut gate."' in page.html
    assert lists_with(page, "Trainee 5") == []
    assert "laptop" not in page.text


def test_an_unmatched_person_is_counted_whether_here_or_gone(browse, happened, running, database, now) -> None:
    gone = attendee("guest@example.org", Visit(0, HOURS // 2), name="A guest from elsewhere")
    tell(database, gone, attendee("other@example.org", THERE, name="Another guest"), until=now)
    page = board(browse, happened, running)
    assert 'data-says="0 here of 4 enrolled, 0 waiting, 2 not matched, 0 with a shut gate."' in page.html
    assert "A guest from elsewhere left at 9:30 am" in page.text


def test_somebody_here_with_a_shut_gate_is_named_with_what_is_missing(
    browse, happened, database, published, now
) -> None:
    with database.write() as connection:
        second = add_session(connection, published, now, module_id="F2", starts=STARTS, zoom_meeting_id=MEETING)
    here = (attendee("trainee1@example.org", THERE), attendee("trainee2@example.org", THERE))
    tell(database, *here, attendee("trainee5@example.org", THERE), until=now)
    text = board(browse, happened, second).text
    shut = text.partition("Here with a shut gate")[2].partition("Here now")[0]
    assert "Trainee 2" in shut
    assert "No completion of Module 1 is recorded." in shut
    assert "you" not in shut.partition("counts.")[2]
    assert "Trainee 1" not in shut


def test_a_breakout_room_is_counted_under_the_name_that_staff_gave_it(browse, happened, running, database, now) -> None:
    moved = Visit(0, 8 * HOURS, (1800, 2 * HOURS))
    tell(database, attendee("trainee1@example.org", moved), attendee("trainee2@example.org", THERE), until=now)
    page = board(browse, happened, running)
    assert "Where people are now Room People Main room 1 Room" in page.text


def test_quiet_is_told_when_it_lasts(browse, happened, running, database, clock) -> None:
    tell(database, attendee("trainee1@example.org", THERE), until=clock())
    assert "Nothing has come from Zoom" in board(browse, happened, running).text
    tell(database, attendee("trainee2@example.org", Visit(3590, 8 * HOURS)), until=clock())
    clock.advance(seconds=5)
    assert "The last message came 14 seconds ago." in browse(happened.staff).open(f"/desk/sessions/{running}/live").text


def test_nothing_told_yet_is_said_plainly(browse, happened, running) -> None:
    assert "Zoom has sent nothing about this session yet." in board(browse, happened, running).text
    assert "Not started" in board(browse, happened, happened.next_day).text


def test_without_a_roster_those_who_opened_the_course_are_expected(browse, happened, running, database, now) -> None:
    tell(database, attendee("trainee1@example.org", THERE), until=now)
    missing = board(browse, happened, running).text.rpartition("Not joined")[2]
    assert "only people who have opened the course are listed" in missing
    assert "Trainee 4 trainee4@example.org" in missing


def test_the_day_so_far_is_a_curve_with_the_same_in_numbers(browse, happened, running, database, now) -> None:
    list_learners(database, happened, now, happened.whole, happened.half)
    tell(database, attendee("trainee1@example.org", THERE), until=now)
    page = board(browse, happened, running)
    assert '<polyline class="s-brand" points="0.0,120.0' in page.html
    assert "4 enrolled" in page.text
    assert "The same in numbers" in page.text


def test_the_middle_part_comes_alone_for_the_script_that_renews_it(browse, happened, running, database, now) -> None:
    tell(database, attendee("trainee1@example.org", THERE), until=now)
    part = browse(happened.staff).open(f"/desk/sessions/{running}/live/now")
    assert part.status == 200
    assert "<html" not in part.html
    assert 'data-says="1 here of 4 enrolled, 0 waiting, 0 not matched, 0 with a shut gate."' in part.html
    whole = board(browse, happened, running).html
    assert f'data-renew="/desk/sessions/{running}/live/now"' in whole
    assert "data-renew" in whole


def test_a_long_list_is_cut_and_shown_whole_when_asked(browse, happened, running, database, now) -> None:
    tell(database, *(attendee(f"guest{number}@example.org", THERE) for number in range(60)), until=now)
    short = board(browse, happened, running)
    assert f"/desk/sessions/{running}/live?all=unmatched#unmatched" in short.links
    whole = board(browse, happened, running, "?all=unmatched")
    assert (short.html.count("guest"), whole.html.count("guest")) == (50 + 50, 60 + 50)


@pytest.mark.parametrize("place", ["live", "live/now"])
def test_the_board_is_for_staff(browse, happened, running, place: str) -> None:
    page = browse(happened.whole).open(f"/desk/sessions/{running}/{place}")
    assert (page.status, "role_not_allowed" in page.text) == (403, True)


def test_a_session_that_is_not_there_has_no_board(browse, happened) -> None:
    assert board(browse, happened, 99).status == 404


def test_assistants_and_people_with_a_shut_gate_are_not_expected_on_any_page(
    browse, happened, database, published, now
) -> None:
    with database.write() as connection:
        second = add_session(connection, published, now, module_id="F2", starts=STARTS, zoom_meeting_id=MEETING)
        add_place(connection, happened.platform, now, module_id="F2", content="module:F2", resource_link_id="unit-2")
        helps = (enrolments.c.trainee_id == happened.new, enrolments.c.role == "trainee")
        connection.execute(update(enrolments).where(*helps).values(role="other"))
    list_learners(database, happened, now, happened.whole, happened.half, happened.elsewhere)
    tell(database, attendee("trainee4@example.org", THERE), until=now)
    page = board(browse, happened, second)
    assert 'data-says="0 here of 3 enrolled, 0 waiting, 0 not matched, 0 with a shut gate."' in page.html
    assert "Not joined 1 " in page.text
    assert "2 more have a shut gate and are not expected." in page.text
    assert lists_with(page, "Trainee 2") == lists_with(page, "Trainee 4") == []
    today = browse(happened.staff).open("/desk").text
    assert "in Zoom now 0 of 3 not joined 1 gate shut 2" in today
    assert "Trainee 2" not in today.partition("gate shut 2")[2].partition("Needs your attention")[0]


def test_while_the_class_is_on_only_the_board_has_numbers(browse, happened, running, database, clock) -> None:
    list_learners(database, happened, clock(), happened.whole, happened.half)
    tell(database, attendee("trainee1@example.org", THERE), until=clock())
    staff = browse(happened.staff)
    places = (f"/desk/sessions/{running}", f"/desk/rosters/missing/{running}")
    for place, list_there in zip(places, ("", "#missing"), strict=True):
        page = staff.open(place)
        assert "The class is running" in page.text
        assert f"/desk/sessions/{running}/live{list_there}" in page.links
        assert "Trainee 2" not in page.text
    listed = staff.open("/desk/sessions").text
    assert "Live 4 – –" in listed
    assert listed.index("Live now") < listed.rindex("To come")
    clock.advance(seconds=8 * HOURS)
    assert "data-renew" in board(browse, happened, running).html
    clock.advance(seconds=2 * HOURS)
    assert "data-renew" not in board(browse, happened, running).html
    assert "Attendance is not calculated yet" in staff.open(places[1]).text
    assert "Over, being calculated 4 – –" in staff.open("/desk/sessions").text
