"""Rosters as staff see them: who belongs to a course, how fresh that is, and who is missing in a class."""

import gzip
from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from lti_tool.tables.courses import enrolments, placements, roster_members, rosters
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.operations import audit_log, tasks
from lti_tool.tables.people import trainees
from tests.statements import listening
from tests.training_day import FIVE, add_trainee

COURSE = "/desk/rosters/course?platform={}&course=course-1"


@pytest.fixture
def listed(database, happened, now):
    """The roster of the course: everybody of the day, somebody who never launched, one who left, and the teacher, who
    is enrolled as a learner too."""
    key = {"registration_id": happened.platform, "context_id": "course-1"}
    with database.write() as connection:
        never, gone = add_trainee(connection, 6, now), add_trainee(connection, 7, now)
        connection.execute(update(placements).values(memberships_url="https://lms.example.org/members"))
        read = {"memberships_url": "https://lms.example.org/members", "code": "", "members": 6}
        at = now - timedelta(minutes=40)
        connection.execute(
            insert(rosters).values(**key, **read, read_at=at, tried_at=at, next_at=now + timedelta(hours=5))
        )
        people = [happened.whole, happened.half, happened.elsewhere, happened.new, happened.staff, never, gone]
        for each in people:
            role = "staff" if each == happened.staff else "trainee"
            row = {
                "user_id": f"user-{each}",
                "trainee_id": each,
                "role": role,
                "groups": ["Night owls"] if each == never else [],
            }
            seen = {"first_seen_at": at, "last_seen_at": at, "left_at": at if each == gone else None}
            connection.execute(insert(roster_members).values(**key, **row, **seen))
    return never, gone


def test_courses_are_listed_with_how_fresh_their_roster_is(browse, happened, listed) -> None:
    page = browse(happened.staff).open("/desk/rosters")
    assert "Foundations https://lms.example.org 6 40 minutes ago Read now" in page.text
    assert COURSE.format(happened.platform) in page.links


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("above_response_limit", "larger than the platform's limit; people are known from launches only"),
        ("roster_refused", "Is Names and Roles still on for the unit?"),
        ("pages_endless", "The platform's roster could not be read."),
    ],
)
def test_trouble_is_told_in_words_beside_the_age_of_what_is_shown(
    browse, happened, listed, database, code: str, words: str
) -> None:
    with database.write() as connection:
        connection.execute(update(rosters).values(code=code))
    text = browse(happened.staff).open("/desk/rosters").text
    assert words in text
    assert "This list was read 40 minutes ago." in text


@pytest.mark.parametrize("code", ["roster_refused", "no_answer"])
def test_a_roster_that_cannot_be_read_waits_at_the_desk(browse, happened, listed, database, code: str) -> None:
    desk = browse(happened.staff)
    assert "Rosters that cannot be read" not in desk.open("/desk").text
    with database.write() as connection:
        connection.execute(update(rosters).values(code=code))
    assert "Rosters that cannot be read: 1" in desk.open("/desk").text


def test_a_roster_that_nobody_can_mend_or_need_mend_does_not_wait(browse, happened, listed, database) -> None:
    desk = browse(happened.staff)
    with database.write() as connection:
        connection.execute(update(rosters).values(code="roster_shrank"))
    assert "Rosters that cannot be read" not in desk.open("/desk").text
    with database.write() as connection:
        connection.execute(update(rosters).values(code="roster_refused"))
        connection.execute(update(placements).values(memberships_url=None))
    assert "Rosters that cannot be read" not in desk.open("/desk").text


def test_without_any_roster_the_page_says_how_to_get_one(browse, happened) -> None:
    assert "No course offers its roster yet" in browse(happened.staff).open("/desk/rosters").text


def test_a_course_shows_who_never_launched_who_left_and_groups(browse, happened, listed) -> None:
    page = browse(happened.staff).open(COURSE.format(happened.platform))
    assert page.heading == "Foundations"
    assert "Trainee 1 trainee1@example.org Learner Just now none" in page.text
    assert "Trainee 6 trainee6@example.org Learner Never Night owls" in page.text
    assert "Trainee 7 Left not listed since 1 Dec 2026" in page.text
    assert "Trainee 5 trainee5@example.org Staff" in page.text
    assert "Learners 5" in page.text


def test_staff_can_be_hidden(browse, happened, listed) -> None:
    desk = browse(happened.staff)
    hiding = next(each for each in desk.open(COURSE.format(happened.platform)).links if "staff=hide" in each)
    page = desk.open(hiding.partition("#")[0])
    assert "Trainee 1" in page.text
    assert "Trainee 5" not in page.text
    assert COURSE.format(happened.platform) in [each.partition("#")[0] for each in page.links]


def test_the_role_of_a_launch_holds_against_the_rosters(browse, happened, listed, database) -> None:
    with database.write() as connection:
        connection.execute(update(enrolments).where(enrolments.c.trainee_id == happened.new).values(role="staff"))
    page = browse(happened.staff).open(COURSE.format(happened.platform))
    assert "Learners 4" in page.text


def test_a_course_shows_its_sessions_with_how_many_were_there(browse, happened, listed) -> None:
    page = browse(happened.staff).open(COURSE.format(happened.platform))
    assert "How many of the 5 learners were present" in page.text
    assert "Provisional 2 3" in page.text
    assert f"/desk/rosters/missing/{happened.day}" in page.links
    assert f"/desk/rosters/missing/{happened.next_day}" not in page.links


def test_who_is_missing_is_told_by_name(browse, happened, listed) -> None:
    page = browse(happened.staff).open(f"/desk/rosters/missing/{happened.day}")
    assert "2 of 5 learners have been here." in page.text
    assert "Missing in this session: 3" in page.text
    for name in ("Trainee 3", "Trainee 4", "Trainee 6"):
        assert name in page.text
    for name in ("Trainee 1", "Trainee 2", "Trainee 5", "Trainee 7"):
        assert name not in page.text
    assert "1 person in this session could not be matched to a trainee and may be among the missing." in page.text


@pytest.fixture
def crowd(happened, listed, database, now) -> None:
    """The course has 450 people more, of whom nobody came: "Zoe 000" to "Zoe 449"."""
    numbers = range(450)
    people = [{"id": 1000 + each, "name": f"Zoe {each:03}"} for each in numbers]
    key = {"registration_id": happened.platform, "context_id": "course-1", "role": "trainee", "groups": []}
    seen = {"first_seen_at": now, "last_seen_at": now}
    members = [{**key, **seen, "user_id": f"zoe-{each}", "trainee_id": 1000 + each} for each in numbers]
    with database.write() as connection:
        connection.execute(insert(trainees), [{**each, "created_at": now} for each in people])
        connection.execute(insert(roster_members), members)


@pytest.mark.databases("sqlite")
def test_a_long_roster_comes_in_parts(browse, happened, crowd) -> None:
    desk = browse(happened.staff)
    first = desk.open(COURSE.format(happened.platform))
    assert "1–100 of 457" in first.text
    assert ("Trainee 1" in first.text, "Zoe 099" in first.text) == (True, False)
    assert len(gzip.compress(first.html.encode())) <= 12 * 1024
    assert "Learners 455" in first.text
    second = desk.open(next(each for each in first.links if "&page=2" in each).partition("#")[0])
    assert "101–200 of 457" in second.text
    last = desk.open(COURSE.format(happened.platform) + "&page=5")
    assert ("Zoe 449" in last.text, "Trainee 7 Left" in last.text, "Zoe 300" in last.text) == (True, True, False)
    assert desk.open(COURSE.format(happened.platform) + "&page=99").text == last.text


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("place", ["course?platform={platform}&course=course-1", "missing/{day}"])
def test_no_page_reads_more_rows_than_it_shows(browse, happened, crowd, database, place: str) -> None:
    """457 people are listed; a page shows 100 of them."""
    desk = browse(happened.staff)
    with listening(database) as asked:
        desk.open(f"/desk/rosters/{place.format(platform=happened.platform, day=happened.day)}")
    with database.read() as connection:
        read = [len(connection.exec_driver_sql(*each).all()) for each in asked if each[0].startswith("SELECT")]
    assert max(read) <= 100


@pytest.mark.databases("sqlite")
def test_many_missing_people_come_in_parts(browse, happened, crowd) -> None:
    desk = browse(happened.staff)
    first = desk.open(f"/desk/rosters/missing/{happened.day}")
    assert "Missing in this session: 453" in first.text
    assert "Zoe 449" not in first.text
    assert "Zoe 449" in desk.open(f"/desk/rosters/missing/{happened.day}?page=5").text


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("number", ["0", "-1", "x", "9" * 400, ""])
def test_what_is_no_part_is_the_first_or_the_last(browse, happened, listed, number: str) -> None:
    page = browse(happened.staff).open(COURSE.format(happened.platform) + f"&page={number}")
    assert (page.status, "Trainee 1" in page.text) == (200, True)


def test_the_page_of_a_session_leads_there(browse, happened) -> None:
    page = browse(happened.staff).open(f"/desk/sessions/{happened.day}")
    assert f"/desk/rosters/missing/{happened.day}" in page.links


def test_who_has_completed_the_module_elsewhere_is_told_apart(browse, happened, listed, database) -> None:
    """Attendance of the day is gone for whoever completed it: their record stands."""
    with database.write() as connection:
        seen = attendances.c.trainee_id == happened.whole
        connection.execute(update(attendances).where(seen).values(flags=["evidence_withdrawn"]))
    text = browse(happened.staff).open(f"/desk/rosters/missing/{happened.day}").text
    assert "Missing, but the module is completed: 1" in text
    assert "1 of 5 learners have been here." in text


def test_without_a_roster_nobody_can_be_missed(browse, happened) -> None:
    text = browse(happened.staff).open(f"/desk/rosters/missing/{happened.second_module}").text
    assert "missing people cannot be listed" in text


def test_read_now_lets_the_worker_read_it(browse, happened, listed, database, now) -> None:
    desk = browse(happened.staff)
    page = desk.open("/desk/rosters")
    sent = desk.send(page, "/desk/rosters/read", platform=str(happened.platform), course="course-1")
    assert sent.sent_to == f"{COURSE.format(happened.platform)}&done=roster_asked"
    with database.read() as connection:
        assert connection.scalar(select(rosters.c.next_at)) == now
    assert "The roster is being read." in desk.open(sent.sent_to).text


@pytest.mark.parametrize(
    "query",
    [
        *(f"platform={platform}&course=course-1" for platform in ("", "x", "-1", "9" * 30, "999")),
        "platform=1&course=%00",
        "platform=1&course=course-1%00",
        "platform=1&course=" + "x" * 3000,
    ],
    ids=lambda query: query[:40],
)
def test_a_roster_that_is_not_kept_is_refused(browse, happened, listed, query: str) -> None:
    page = browse(happened.staff).open(f"/desk/rosters/course?{query}")
    assert (page.status, "roster_unknown" in page.text) == (404, True)


def test_looking_again_settles_the_session_and_is_noted(browse, happened, listed, database) -> None:
    desk = browse(happened.staff)
    page = desk.open(f"/desk/rosters/missing/{happened.day}")
    sent = desk.send(page, f"/desk/rosters/missing/{happened.day}/look")
    assert sent.sent_to == f"/desk/rosters/missing/{happened.day}?done=attendance_asked"
    with database.read() as connection:
        assert f"session:{happened.day}" in set(connection.scalars(select(tasks.c.key)))
        assert list(connection.scalars(select(audit_log.c.actor).where(audit_log.c.act == "attendance_asked")))


def test_a_locked_session_is_not_looked_at_again(browse, happened, listed, database) -> None:
    desk = browse(happened.staff)
    page = desk.open("/desk/rosters")
    with database.write() as connection:
        connection.execute(update(live_sessions).values(state="locked", ended_at=FIVE))
    assert "Reload now" not in desk.open(f"/desk/rosters/missing/{happened.day}").text
    assert desk.send(page, f"/desk/rosters/missing/{happened.day}/look").status == 409


@pytest.mark.parametrize("place", ["", "/course?platform=1&course=course-1", "/missing/1"])
def test_rosters_are_closed_to_learners(browse, happened, place: str) -> None:
    page = browse(happened.new).open(f"/desk/rosters{place}")
    assert (page.status, "role_not_allowed" in page.text) == (403, True)
