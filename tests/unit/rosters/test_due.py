"""Which rosters there are, and when each is read."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, insert, select, update

from lti_tool.attendance import live_sessions
from lti_tool.errors import NotFound
from lti_tool.lti import registration
from lti_tool.programme.versions import Published
from lti_tool.rosters import schedule
from lti_tool.rosters.schedule import CourseKey
from lti_tool.tables.courses import placements, rosters
from tests.roster import MEMBERS_URL, RosterCourse, person
from tests.training_day import FIVE, NINE, add_session

HOURS = timedelta(hours=1)


def kept(course: RosterCourse) -> int:
    with course.database.read() as connection:
        return connection.scalar(select(func.count()).select_from(rosters)) or 0


def next_at(course: RosterCourse) -> datetime:
    with course.database.read() as connection:
        return connection.execute(select(rosters.c.next_at)).scalar_one()


def test_a_course_has_a_roster_once_one_of_its_units_was_offered_it(course: RosterCourse) -> None:
    with course.database.write() as connection:
        connection.execute(update(placements).values(memberships_url=None))
    schedule.plan(course.database, course.clock())
    assert kept(course) == 0
    course.offer(resource_link_id="unit-2")
    course.offer(resource_link_id="unit-3")
    course.offer(resource_link_id="unit-4", context_id="course-2")
    course.offer(resource_link_id="unit-5", context_id=None)
    for _ in range(2):
        schedule.plan(course.database, course.clock())
    assert kept(course) == 3


def test_it_is_read_every_few_hours(course: RosterCourse) -> None:
    asked = course.answer(person(1))
    course.read()
    course.read_later(hours=5, minutes=59)
    assert asked.call_count == 1
    course.read_later(minutes=1)
    assert asked.call_count == 2


def test_a_roster_that_is_no_longer_offered_is_not_read(course: RosterCourse) -> None:
    asked = course.answer(person(1))
    course.read()
    with course.database.write() as connection:
        connection.execute(update(placements).values(memberships_url=None))
    stands = course.read_later()
    assert (asked.call_count, stands.is_offered, stands.members) == (1, False, 1)
    assert "no longer offer" in stands.trouble


def test_a_disabled_platform_is_left_alone(course: RosterCourse) -> None:
    asked = course.answer(person(1))
    with course.database.write() as connection:
        platform_id = course.platform.registration_id
        registration.set_status(connection, platform_id, "disabled", actor="cli", now=course.clock())
    course.read()
    assert asked.call_count == 0


def test_staff_may_ask_for_a_roster_now(course: RosterCourse) -> None:
    asked = course.answer(person(1))
    course.read()
    with course.database.write() as connection:
        schedule.ask_now(connection, course.key, course.clock())
    course.read()
    assert asked.call_count == 2


def test_nobody_can_ask_for_a_roster_that_is_not_kept(course: RosterCourse) -> None:
    with course.database.write() as connection, pytest.raises(NotFound) as refusal:
        schedule.ask_now(connection, CourseKey(course.platform.registration_id, "course-7"), course.clock())
    assert refusal.value.code == "roster_unknown"


class TestAroundClass:
    """Close to a live session a roster is at most a quarter of an hour old."""

    @pytest.fixture(autouse=True)
    def _scheduled(self, course: RosterCourse, published: Published) -> None:
        """The roster was read two hours before class."""
        course.clock.at = NINE - 2 * HOURS
        with course.database.write() as connection:
            add_session(connection, published, course.clock())
        course.answer(person(1))
        course.read()

    def wanted(self, course: RosterCourse, at: datetime) -> bool:
        course.clock.at = at
        schedule.plan(course.database, at)
        return next_at(course) <= at

    @pytest.mark.parametrize(
        ("after_nine", "wanted"), [(-31, False), (-30, True), (0, True), (240, True), (480, True), (481, False)]
    )
    def test_it_is_read_from_half_an_hour_before_to_the_end(
        self, course: RosterCourse, after_nine: int, wanted: bool
    ) -> None:
        with course.database.write() as connection:
            connection.execute(update(rosters).values(next_at=FIVE + 5 * HOURS))
        assert self.wanted(course, NINE + timedelta(minutes=after_nine)) is wanted

    def test_it_is_read_again_after_a_quarter_of_an_hour(self, course: RosterCourse) -> None:
        course.clock.at = NINE
        course.read()
        assert not self.wanted(course, NINE + timedelta(minutes=14))
        assert self.wanted(course, NINE + timedelta(minutes=15))

    def test_another_modules_class_does_not_matter(self, course: RosterCourse) -> None:
        with course.database.write() as connection:
            connection.execute(update(placements).values(module_id="F2"))
        assert not self.wanted(course, NINE)

    def test_a_cancelled_class_does_not_matter(self, course: RosterCourse) -> None:
        with course.database.write() as connection:
            live_sessions.cancel(connection, 1, reason="Snow.", actor="cli", now=course.clock())
        assert not self.wanted(course, NINE)

    def test_no_class_makes_a_course_smaller(self, course: RosterCourse) -> None:
        with course.database.write() as connection:
            connection.execute(update(rosters).values(code="above_response_limit"))
        assert not self.wanted(course, NINE)


def test_a_launch_without_a_course_has_a_roster_of_its_own(course: RosterCourse) -> None:
    with course.database.write() as connection:
        connection.execute(update(placements).values(context_id=None))
    course.answer(person(1))
    schedule.plan(course.database, course.clock())
    course.reader.read_all()
    with course.database.read() as connection:
        row = connection.execute(select(rosters)).one()
    assert (row.context_id, row.members, row.memberships_url) == ("", 1, MEMBERS_URL)


def test_of_several_that_are_due_the_one_that_waited_longest_comes_first(course: RosterCourse) -> None:
    with course.database.write() as connection:
        for name, hours in (("course-1", 1), ("course-2", 2)):
            row = {"registration_id": course.platform.registration_id, "context_id": name, "code": ""}
            at = course.clock() - hours * HOURS
            connection.execute(insert(rosters).values(**row, memberships_url=MEMBERS_URL, next_at=at))
    course.offer(resource_link_id="unit-2", context_id="course-2")
    taken = [schedule.claim(course.database, course.clock()) for _ in range(3)]
    assert [each and each.key.context_id for each in taken] == ["course-2", "course-1", None]
