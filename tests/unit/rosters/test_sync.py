"""Rosters over the wire: who becomes known, who left, and what a roster that fails leaves as it was."""

import json
import re
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from lti_tool import people
from lti_tool.lti import registration
from lti_tool.lti.nrps import Member
from lti_tool.rosters import schedule
from lti_tool.rosters.reading import Reading, RosterReader, has_shrunk, record
from lti_tool.tables.courses import enrolments, placements, rosters
from lti_tool.tables.people import trainees
from lti_tool.tables.platforms import registrations
from tests.clock import TestClock
from tests.platform import LEARNER
from tests.roster import MEMBERS_URL, TEACHER, RosterCourse, person
from tests.training_day import add_trainee, enrol

NEXT = f'<{MEMBERS_URL}/page-2>; rel="next"'
GROUPS_URL = "https://lms.example.org/groups"


def enrolled(course: RosterCourse) -> dict[str, tuple]:
    with course.database.read() as connection:
        columns = (enrolments.c.user_id, enrolments.c.role, enrolments.c.last_launch_at, enrolments.c.listed_at)
        return {row.user_id: tuple(row)[1:] for row in connection.execute(select(*columns))}


def known(course: RosterCourse) -> dict[str, str | None]:
    with course.database.read() as connection:
        return {row.name: row.email for row in connection.execute(select(trainees.c.name, trainees.c.email))}


def test_who_never_launched_becomes_known_with_name_address_and_role(course: RosterCourse) -> None:
    course.answer(person(1), TEACHER)
    stands = course.read()
    assert (stands.members, stands.code, stands.trouble, stands.read_at) == (2, "", "", course.clock())
    assert known(course) == {"Trainee 1": "trainee1@example.org", "Trainee 9": "trainee9@example.org"}
    assert [(each.user_id, each.role, each.last_launch_at) for each in course.people()] == [
        ("user-1", "trainee", None),
        ("user-9", "staff", None),
    ]


def test_members_count_as_enrolled_without_a_launch(course: RosterCourse) -> None:
    course.answer(person(1), TEACHER)
    course.read()
    assert enrolled(course) == {
        "user-1": ("trainee", None, course.clock()),
        "user-9": ("staff", None, course.clock()),
    }


def test_a_role_that_changes_on_the_platform_changes_here_until_a_launch_says_otherwise(course: RosterCourse) -> None:
    course.answer(person(1), TEACHER)
    course.read()
    with course.database.write() as connection:
        launched = {"role": "staff", "last_launch_at": course.clock()}
        connection.execute(update(enrolments).where(enrolments.c.user_id == "user-9").values(launched))
    course.answer(person(1, *TEACHER["roles"]), person(9))
    course.read_later()
    assert {user: role for user, (role, *_) in enrolled(course).items()} == {"user-1": "staff", "user-9": "staff"}
    assert {each.user_id: each.role for each in course.people()} == {"user-1": "staff", "user-9": "staff"}


def test_all_pages_are_read(course: RosterCourse) -> None:
    course.answer(person(1), link=NEXT)
    course.wire.get(f"{MEMBERS_URL}/page-2", json={"members": [person(2)]})
    assert course.read().members == 2


def test_a_roster_that_breaks_off_changes_nothing_and_says_why(course: RosterCourse) -> None:
    course.answer(person(1), person(2))
    before = course.read().read_at
    course.answer(person(1), person(3), link=NEXT)
    course.wire.get(f"{MEMBERS_URL}/page-2", status=500)
    stands = course.read_later()
    assert (stands.code, stands.members, stands.read_at) == ("roster_refused", 2, before)
    assert stands.trouble
    assert course.present() == ["user-1", "user-2"]
    assert "Trainee 3" not in known(course)


def test_who_is_no_longer_listed_has_left_and_may_come_back(course: RosterCourse) -> None:
    course.answer(person(1), person(2))
    course.read()
    course.answer(person(1))
    assert course.read_later().members == 1
    assert (course.present(), course.left()) == (["user-1"], ["user-2"])
    assert set(enrolled(course)) == {"user-1", "user-2"}
    course.answer(person(1), person(2))
    assert course.read_later().members == 2
    assert course.left() == []


def test_who_is_inactive_does_not_belong_to_the_course(course: RosterCourse) -> None:
    course.answer(person(1), person(2, status="Inactive"))
    course.read()
    assert course.present() == ["user-1"]
    assert "Trainee 2" not in known(course)


def test_who_is_listed_once_for_each_role_holds_them_all(course: RosterCourse) -> None:
    course.answer(person(9, *TEACHER["roles"]), person(9, name=None, email=None), link=NEXT)
    course.wire.get(f"{MEMBERS_URL}/page-2", json={"members": [person(9, status="Inactive")]})
    assert course.read().members == 1
    assert [(each.user_id, each.role, each.email) for each in course.people()] == [
        ("user-9", "staff", "trainee9@example.org")
    ]


class TestWhatLaunchesSaid:
    """Of one person, launch and roster may say different things."""

    def launched(self, course: RosterCourse, **said) -> int:
        with course.database.write() as connection:
            values = {"name": "Ada Launched", "email": "ada@example.org", **said}
            trainee_id = people.find_or_add(connection, course.platform.issuer, "user-1", **values, now=course.clock())
            enrol(connection, course.platform.registration_id, trainee_id, course.clock(), user_id="user-1")
        return trainee_id

    def test_is_not_replaced_by_a_roster(self, course: RosterCourse) -> None:
        self.launched(course)
        course.answer(person(1))
        course.read()
        assert known(course) == {"Ada Launched": "ada@example.org"}

    def test_is_completed_by_a_roster(self, course: RosterCourse) -> None:
        self.launched(course, email=None)
        course.answer(person(1))
        course.read()
        assert known(course) == {"Ada Launched": "trainee1@example.org"}

    def test_is_one_person_in_two_registrations_of_one_issuer(self, course: RosterCourse) -> None:
        trainee_id = self.launched(course)
        course.answer(person(1))
        course.read()
        assert [each.trainee_id for each in course.people()] == [trainee_id]


def test_a_new_address_reaches_who_never_launched(course: RosterCourse) -> None:
    course.answer(person(1))
    course.read()
    course.answer(person(1, email="new@example.org"))
    course.read_later()
    assert known(course) == {"Trainee 1": "new@example.org"}


def test_a_roster_without_names_takes_none_away(course: RosterCourse) -> None:
    course.answer(person(1))
    course.read()
    course.answer(person(1, name=None, email=None))
    course.read_later()
    assert known(course) == {"Trainee 1": "trainee1@example.org"}


def test_more_people_than_one_query_asks_about_are_recorded(course: RosterCourse) -> None:
    for email in ("first@example.org", "later@example.org"):
        course.answer(*(person(number, email=f"{number}{email}") for number in range(1100)))
        assert course.read_later().members == 1100
        with course.database.read() as connection:
            assert len(connection.execute(select(trainees.c.id).where(trainees.c.email.endswith(email))).all()) == 1100


class TestDifferences:
    """Where the platform offers what has changed since the last read."""

    SINCE = "https://lms.example.org/members/since/1"
    LATER = "https://lms.example.org/members/since/2"

    @pytest.fixture(autouse=True)
    def _read_once(self, course: RosterCourse) -> None:
        course.answer(person(1), person(2), link=f'<{self.SINCE}>; rel="differences"')
        course.read()

    def test_only_those_are_read(self, course: RosterCourse) -> None:
        changes = course.answer(
            person(2, status="Deleted"), person(3), url=self.SINCE, link=f'<{self.LATER}>; rel="differences"'
        )
        course.answer(status=500)
        stands = course.read_later()
        assert (changes.call_count, stands.code, stands.members, stands.read_at) == (1, "", 2, course.clock())
        assert (course.present(), course.left()) == (["user-1", "user-3"], ["user-2"])
        again = course.answer(url=self.LATER)
        course.read_later()
        assert (again.call_count, course.present()) == (1, ["user-1", "user-3"])

    def test_the_whole_is_read_once_a_day_all_the_same(self, course: RosterCourse) -> None:
        course.answer(url=self.SINCE, link=f'<{self.SINCE}>; rel="differences"')
        whole = course.answer(person(1))
        for _ in range(4):
            course.read_later()
        assert whole.call_count == 1
        assert course.present() == ["user-1"]

    def test_an_address_that_is_forgotten_leads_to_a_whole_read(self, course: RosterCourse) -> None:
        course.answer(url=self.SINCE, status=404)
        course.answer(person(1), person(3))
        stands = course.read_later()
        assert (stands.code, course.present()) == ("", ["user-1", "user-3"])


class TestTroubles:
    def test_a_course_above_the_platforms_limit_is_told_and_rests_for_a_day(self, course: RosterCourse) -> None:
        asked = course.answer(status=403, body='{"error": "above_response_limit"}')
        stands = course.read()
        assert stands.code == "above_response_limit"
        assert "larger than the platform's limit; people are known from launches only" in stands.trouble
        assert asked.call_count == 1, "a new token makes no course smaller"
        course.read_later(hours=23)
        assert asked.call_count == 1
        course.read_later(hours=1)
        assert asked.call_count == 2

    def test_a_platform_that_never_comes_to_an_end_is_left(self, course: RosterCourse) -> None:
        def slowly(request):
            course.clock.advance(minutes=4)
            number = int(request.url.rpartition("-")[2]) if "page-" in request.url else 0
            link = f'<{MEMBERS_URL}/page-{number + 1}>; rel="next"'
            return 200, {"Link": link}, json.dumps({"members": [person(number)]})

        course.wire.add_callback("GET", re.compile(f"{MEMBERS_URL}.*"), callback=slowly)
        assert course.read().code == "roster_too_slow"
        assert (course.people(), len(course.wire.calls)) == ([], 1 + 3)

    def test_a_roster_that_was_switched_off_is_refused(self, course: RosterCourse) -> None:
        asked = course.answer(status=403)
        assert course.read().code == "roster_refused"
        assert asked.call_count == 2, "a 403 may mean an expired token (TK-6)"
        course.read_later(hours=5)
        assert asked.call_count == 2

    def test_a_silent_platform_is_asked_again_soon(self, course: RosterCourse) -> None:
        assert course.read().code == "no_answer"
        course.answer(person(1))
        assert course.read_later(minutes=15).code == ""

    def test_after_a_refusal_another_unit_of_the_course_is_asked(self, course: RosterCourse) -> None:
        other = "https://lms.example.org/members/other"
        course.offer(resource_link_id="unit-2", memberships_url=other)
        course.answer(status=403)
        course.answer(person(1), url=other)
        course.read()
        assert course.read_later().code == ""
        assert course.present() == ["user-1"]

    def test_pages_that_go_on_elsewhere_are_not_followed(self, course: RosterCourse) -> None:
        course.answer(person(1), link='<https://evil.example/members?page=2>; rel="next"')
        assert course.read().code == "next_link_foreign"
        assert course.people() == []

    def test_what_is_no_roster_is_told(self, course: RosterCourse) -> None:
        course.answer(body="<html>")
        assert course.read().code == "roster_unreadable"

    def test_an_address_that_may_not_be_called_is_told(self, course: RosterCourse) -> None:
        with course.database.write() as connection:
            connection.execute(update(registrations).values(token_url="https://127.0.0.1/token"))
        assert course.read().code == "address_refused"

    def test_a_fault_of_ours_is_told_and_rests(self, course: RosterCourse) -> None:
        course.reader = RosterReader(course.database, None, course.clock, timedelta(hours=6))
        stands = course.read()
        assert (stands.code, stands.is_due) == ("roster_not_read", False)

    def test_a_roster_that_suddenly_halves_is_believed_the_second_time(self, course: RosterCourse) -> None:
        course.answer(*(person(number) for number in range(12)))
        course.read()
        course.answer(*(person(number) for number in range(5)))
        stands = course.read_later()
        assert (stands.code, stands.members) == ("roster_shrank", 12)
        stands = course.read_later(minutes=15)
        assert (stands.code, stands.members, len(course.left())) == ("", 5, 7)

    @pytest.mark.databases("sqlite")
    @pytest.mark.parametrize(
        ("before", "after", "shrank"), [(10, 4, False), (3, 0, True), (0, 0, False), (12, 6, False)]
    )
    def test_a_small_course_may_change_as_it_likes_but_not_vanish(
        self, course: RosterCourse, before: int, after: int, shrank: bool
    ) -> None:
        course.answer(*(person(number) for number in range(before)))
        course.read()
        course.answer(*(person(number) for number in range(after)))
        assert (course.read_later().code == "roster_shrank") is shrank


class TestMoodle:
    """Names that teachers decide about come only with `rlid` (moodle.md §6)."""

    @pytest.fixture(autouse=True)
    def _is_moodle(self, course: RosterCourse) -> None:
        with course.database.write() as connection:
            change = {"profile": "moodle"}
            registration.change(
                connection, course.platform.registration_id, change, [], actor="cli", now=course.clock()
            )

    def answer(self, course: RosterCourse) -> None:
        def of_link(request):
            listed = [person(1)] if "rlid=unit-1" in request.url else [bare(1), bare(2)]
            return 200, {}, json.dumps({"members": listed})

        def bare(number):
            return person(number, "Learner", name=None, email=None)

        course.wire.add_callback("GET", MEMBERS_URL, callback=of_link)

    def test_names_come_from_one_activity_and_members_from_the_course(self, course: RosterCourse) -> None:
        self.answer(course)
        assert course.read().members == 2
        assert known(course) == {"Trainee 1": "trainee1@example.org", None: None}
        with course.database.read() as connection:
            assert connection.scalar(select(rosters.c.resource_link_id)) == "unit-1"

    def test_others_are_not_asked_twice(self, course: RosterCourse) -> None:
        with course.database.write() as connection:
            change = {"profile": "openedx"}
            registration.change(
                connection, course.platform.registration_id, change, [], actor="cli", now=course.clock()
            )
        asked = course.answer(person(1, name=None, email=None))
        course.read()
        assert asked.call_count == 1


class TestGroups:
    @pytest.fixture(autouse=True)
    def _offers_groups(self, course: RosterCourse) -> None:
        with course.database.write() as connection:
            connection.execute(update(placements).values(groups_url=GROUPS_URL))

    def groups(self, course: RosterCourse) -> list[list[str]]:
        return [list(each.groups) for each in course.people()]

    def test_are_kept_by_name(self, course: RosterCourse) -> None:
        listed = [{"id": "7", "name": "Thursday circle"}, {"id": "8", "name": "Night owls"}]
        course.wire.get(GROUPS_URL, json={"groups": listed})
        course.answer(person(1, group_enrollments=[{"group_id": "8"}, {"group_id": "7"}, {"group_id": "unknown"}]))
        course.read()
        assert self.groups(course) == [["Night owls", "Thursday circle"]]
        course.wire.replace("GET", GROUPS_URL, status=500)
        assert course.read_later().code == ""
        assert self.groups(course) == [["Night owls", "Thursday circle"]]

    def test_are_no_condition(self, course: RosterCourse) -> None:
        course.wire.get(GROUPS_URL, status=403)
        course.answer(person(1))
        assert course.read().code == ""
        assert self.groups(course) == [[]]


def test_two_readers_never_read_one_course_at_once(course: RosterCourse) -> None:
    schedule.plan(course.database, course.clock())
    first = schedule.claim(course.database, course.clock())
    assert first is not None
    assert first.key == course.key
    assert schedule.claim(course.database, course.clock()) is None
    course.clock.advance(minutes=16)
    second = schedule.claim(course.database, course.clock())
    assert second is not None
    assert second.lease.owner != first.lease.owner


def test_a_reader_that_lost_its_lease_writes_nothing(course: RosterCourse) -> None:
    schedule.plan(course.database, course.clock())
    late = schedule.claim(course.database, course.clock())
    assert late is not None
    course.answer(person(1))
    course.clock.advance(minutes=16)
    course.read()
    empty = Reading(members={}, is_whole=True)
    assert record(course.database, late, empty, course.clock(), course.clock() + timedelta(hours=6)) is False
    assert course.present() == ["user-1"]
    assert has_shrunk(late, empty) is False


def test_the_log_names_nobody(course: RosterCourse, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    course.answer(person(1))
    course.read()
    logged = " ".join(str(vars(record)) for record in caplog.records)
    assert "roster read" in logged
    assert [word for word in ("Trainee 1", "example.org/members", "trainee1", "token-1") if word in logged] == []


def test_a_person_of_the_same_number_on_another_platform_is_somebody_else(course: RosterCourse) -> None:
    with course.database.write() as connection:
        other = people.find_or_add(
            connection, "https://other.example.org", "user-1", name=None, email=None, now=course.clock()
        )
    course.answer(person(1, LEARNER))
    course.read()
    assert other not in {each.trainee_id for each in course.people()}


def test_a_trainee_known_from_a_launch_is_not_made_twice(course: RosterCourse) -> None:
    with course.database.write() as connection:
        trainee_id = add_trainee(connection, 1, course.clock())
    course.answer(person(1))
    course.read()
    assert [each.trainee_id for each in course.people()] == [trainee_id]


def test_who_asks_for_a_reading_gets_that_reading_though_another_reader_is_at_an_older_one(
    course: RosterCourse, clock: TestClock
) -> None:
    course.answer(person(1))
    course.read()
    clock.advance(minutes=1)
    with course.database.write() as connection:
        schedule.ask_now(connection, course.key, clock())
    older = schedule.claim(course.database, clock())
    assert older is not None
    before = Reading({"user-1": Member("user-1", (LEARNER,), "Active")}, is_whole=True)
    course.answer(person(1), person(2))
    waited: list[float] = []

    def other_reader_finishes(seconds: float) -> None:
        """What the server's reader does while the command waits."""
        waited.append(seconds)
        clock.advance(seconds=1)
        record(course.database, older, before, clock(), clock() + timedelta(hours=6))

    clock.advance(seconds=1)
    course.reader.read_now([course.key], wait=other_reader_finishes)
    assert len(waited) == 1
    assert course.stands().members == 2


def test_a_roster_that_is_no_longer_offered_is_not_waited_for(course: RosterCourse, clock: TestClock) -> None:
    course.answer(person(1))
    course.read()
    with course.database.write() as connection:
        connection.execute(update(placements).values(memberships_url=None))
    course.reader.read_now([course.key], wait=lambda _seconds: pytest.fail("it waits"))
    assert course.stands().members == 1
