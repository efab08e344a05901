"""Recording a roster: all of it at one moment, whoever else writes about the same people meanwhile."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import event, func, select

from lti_tool import people
from lti_tool.lti.nrps import Member
from lti_tool.rosters import reading as records
from lti_tool.rosters import schedule
from lti_tool.rosters.reading import Reading
from lti_tool.rosters.schedule import DueRoster
from lti_tool.tables.people import identities, trainees
from tests.roster import RosterCourse, person
from tests.statements import listening
from tests.training_day import enrol
from tests.waiting import until_somebody_waits

SOON = timedelta(hours=6)


def whole(*numbers: int, **said: str | None) -> Reading:
    """A whole roster of the people with these numbers, in this order."""
    listed = [
        Member(
            **{
                "user_id": f"user-{number}",
                "roles": ("Learner",),
                "status": "Active",
                "name": f"Trainee {number}",
                "email": f"trainee{number}@example.org",
                **said,
            }
        )
        for number in numbers
    ]
    return Reading({each.user_id: each for each in listed}, is_whole=True)


def claim(course: RosterCourse) -> DueRoster:
    schedule.plan(course.database, course.clock())
    taken = schedule.claim(course.database, course.clock())
    assert taken is not None
    return taken


def record(course: RosterCourse, taken: DueRoster, reading: Reading) -> bool:
    return records.record(course.database, taken, reading, course.clock(), course.clock() + SOON)


def people_known(course: RosterCourse) -> int:
    with course.database.read() as connection:
        return connection.scalar(select(func.count()).select_from(trainees)) or 0


def kept_of(course: RosterCourse, sub: str) -> tuple[str | None, str | None]:
    with course.database.read() as connection:
        row = people.of_identities(connection, course.platform.issuer, [sub])[sub]
        return row.name, row.email


@contextmanager
def seen_at_each_commit(course: RosterCourse) -> Iterator[list[int]]:
    """How many people others saw whenever something was committed."""
    seen: list[int] = []

    def look(connection) -> None:
        if not connection.info.get("looks"):
            with course.database.engine.connect() as other:
                other.info["looks"] = True
                seen.append(other.scalar(select(func.count()).select_from(trainees)) or 0)
                other.rollback()
                other.info.pop("looks")

    event.listen(course.database.engine, "commit", look)
    try:
        yield seen
    finally:
        event.remove(course.database.engine, "commit", look)


def test_nobody_sees_half_of_a_roster(course: RosterCourse) -> None:
    """An address that two members share would match whichever of them is known first."""
    taken = claim(course)
    with seen_at_each_commit(course) as seen:
        record(course, taken, whole(*range(120)))
    assert (set(seen), people_known(course)) == ({0}, 120)


def test_a_reader_that_lost_its_lease_makes_nobody_known(course: RosterCourse) -> None:
    late = claim(course)
    course.clock.advance(minutes=16)
    claim(course)
    assert record(course, late, whole(1, 2)) is False
    assert people_known(course) == 0


@pytest.mark.databases("postgresql")
def test_two_rosters_that_name_the_same_people_in_another_order_do_not_block_each_other(course: RosterCourse) -> None:
    course.offer(resource_link_id="unit-2", context_id="course-2")
    both = [claim(course), claim(course)]
    start = Barrier(2)

    def write(taken: DueRoster, numbers: range) -> bool:
        start.wait()
        return record(course, taken, whole(*numbers))

    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(write, *each) for each in zip(both, (range(200), range(199, -1, -1)), strict=True)]
        assert [each.result() for each in done] == [True, True]
    assert people_known(course) == 200
    with course.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(identities)) == 200


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("is_known", [True, False])
def test_a_launch_while_a_roster_is_recorded_keeps_its_word(course: RosterCourse, is_known: bool) -> None:
    if is_known:
        record(course, claim(course), whole(1))
        course.clock.advance(hours=7)
    taken = claim(course)
    with ThreadPoolExecutor(1) as pool, course.database.write() as connection:
        said = {"name": "Ada Launched", "email": "ada@example.org"}
        trainee_id = people.find_or_add(connection, course.platform.issuer, "user-1", **said, now=course.clock())
        recording = pool.submit(record, course, taken, whole(1, 2, email="told@example.org"))
        until_somebody_waits(connection)
        place = {"context_id": "course-9", "user_id": "user-1"}
        enrol(connection, course.platform.registration_id, trainee_id, course.clock(), **place)
        connection.commit()
        assert recording.result() is True
    assert kept_of(course, "user-1") == ("Ada Launched", "ada@example.org")
    assert people_known(course) == 2


def test_an_address_in_other_letters_is_no_news(course: RosterCourse) -> None:
    record(course, claim(course), whole(1))
    course.clock.advance(hours=7)
    taken = claim(course)
    with listening(course.database) as statements:
        record(course, taken, whole(1, email="Trainee1@Example.org"))
    written = [statement for statement, _ in statements]
    assert not [each for each in written if each.startswith(("UPDATE trainees", "INSERT INTO trainees"))]
    assert [each for each in written if each.startswith("UPDATE rosters")]


@pytest.mark.parametrize("odd", [{"user_id": None}, {"user_id": ["a"]}, {"roles": "Learner"}])
def test_a_member_who_cannot_be_told_from_others_is_skipped_and_reported(course: RosterCourse, odd) -> None:
    course.answer(person(1), person(2, **odd), person(3))
    stands = course.read()
    assert (stands.code, stands.members, stands.skipped) == ("", 2, 1)
    assert course.present() == ["user-1", "user-3"]
    course.answer(person(1), person(3))
    assert course.read_later().skipped == 0
