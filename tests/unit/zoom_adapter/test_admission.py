"""Who is to have a place at Zoom: the gate, enrolment, cancelled classes, series, and how soon a change is followed."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import insert, update

from lti_tool.attendance import live_sessions
from lti_tool.gates.completions import complete
from lti_tool.tables.courses import enrolments, roster_members
from lti_tool.tables.gates import completions
from lti_tool.tables.platforms import registrations
from lti_tool.tables.presence import zoom_places
from tests.training_day import add_place, add_platform, add_trainee, enrol
from zoom_adapter import admission, places
from zoom_adapter.admission import PlacePlan, plan

FREE, GATED = "85300000001", "85300000002"


@pytest.fixture
def course(database, published, now):
    """Four trainees in one course that shows modules 1 (free) and 2 (after module 1); a class of each is to come."""
    with database.write() as connection:
        platform = add_platform(connection, now)
        add_place(connection, platform, now)
        add_place(connection, platform, now, resource_link_id="unit-2", content="module:F2", module_id="F2")
        people = [add_trainee(connection, number, now) for number in range(1, 5)]
        for each in people:
            enrol(connection, platform, each, now)
        for module, meeting in (("F1", FREE), ("F2", GATED)):
            live_sessions.add(
                connection,
                published,
                module_id=module,
                starts=date(2026, 12, 15),
                zoom_meeting_id=meeting,
                actor="cli",
                now=now - timedelta(hours=1),
            )
    return platform, people


def pass_module_1(database, trainee_id, now):
    with database.write() as connection:
        complete(connection, trainee_id, "F1", date(2026, 11, 1), "staff", actor="staff:9", now=now)


def wanted(database, meeting):
    with database.read() as connection:
        return set(places.wanted(connection, meeting))


def plan_all(database, now):
    plan(database, FREE, now)
    plan(database, GATED, now)


def test_everybody_enrolled_whose_gate_is_open_is_wanted(database, course, now):
    people = course[1]
    pass_module_1(database, people[0], now)
    plan_all(database, now)
    assert (wanted(database, FREE), wanted(database, GATED)) == (set(people), {people[0]})


def test_a_gate_that_shuts_again_drops_the_place(database, course, now):
    pass_module_1(database, course[1][0], now)
    plan_all(database, now)
    with database.write() as connection:
        connection.execute(update(completions).values(ended_at=now, ended_reason="It was somebody else's."))
    plan_all(database, now + timedelta(minutes=1))
    assert wanted(database, GATED) == set()


def test_staff_and_people_of_other_courses_are_not_registered(database, course, now):
    platform = course[0]
    with database.write() as connection:
        teacher, other = add_trainee(connection, 8, now), add_trainee(connection, 9, now)
        enrol(connection, platform, teacher, now, role="staff")
        enrol(connection, platform, other, now, context_id="course-2")
    plan_all(database, now)
    assert {teacher, other} & wanted(database, FREE) == set()


def test_who_left_the_course_is_dropped_and_who_launches_again_is_back(database, course, now):
    platform, people = course
    plan_all(database, now)
    left = {"trainee_id": people[0], "user_id": f"user-{people[0]}", "role": "trainee", "groups": []}
    times = {"first_seen_at": now, "last_seen_at": now, "left_at": now + timedelta(hours=1)}
    with database.write() as connection:
        row = {"registration_id": platform, "context_id": "course-1", **left, **times}
        connection.execute(insert(roster_members).values(row))
    plan_all(database, now + timedelta(hours=1))
    assert wanted(database, FREE) == set(people[1:])
    with database.write() as connection:
        mine = enrolments.c.trainee_id == people[0]
        connection.execute(update(enrolments).where(mine).values(last_launch_at=now + timedelta(hours=2)))
    plan_all(database, now + timedelta(hours=2))
    assert wanted(database, FREE) == set(people)


def test_a_platform_that_is_switched_off_registers_nobody(database, course, now):
    plan_all(database, now)
    with database.write() as connection:
        connection.execute(update(registrations).values(status="disabled"))
    plan_all(database, now)
    assert wanted(database, FREE) == set()


def session_of(database, meeting):
    with database.read() as connection:
        return live_sessions.of_meeting(connection, meeting)[0]


def test_a_class_that_is_called_off_drops_its_places(database, course, now):
    plan_all(database, now)
    with database.write() as connection:
        live_sessions.cancel(connection, session_of(database, FREE).id, reason="Illness.", actor="cli", now=now)
    with database.read() as connection:
        assert FREE in admission.meetings(connection, now)
    plan_all(database, now)
    assert wanted(database, FREE) == set()
    with database.read() as connection:
        assert FREE not in admission.meetings(connection, now)


def test_in_a_series_a_place_is_wanted_as_long_as_any_class_to_come_wants_it(database, published, course, now):
    with database.write() as connection:
        second = live_sessions.add(
            connection,
            published,
            module_id="F1",
            starts=date(2026, 12, 22),
            zoom_meeting_id=FREE,
            actor="cli",
            now=now,
        )
    plan_all(database, now)
    with database.write() as connection:
        live_sessions.cancel(connection, session_of(database, FREE).id, reason="Illness.", actor="cli", now=now)
    plan_all(database, now)
    assert wanted(database, FREE) == set(course[1])
    with database.write() as connection:
        live_sessions.cancel(connection, second, reason="Illness.", actor="cli", now=now)
    plan_all(database, now)
    assert wanted(database, FREE) == set()


def test_after_the_class_places_stay_as_they_were(database, course, now):
    plan_all(database, now)
    later = datetime(2026, 12, 20, tzinfo=UTC)
    with database.read() as connection:
        assert admission.meetings(connection, later) == []
    assert wanted(database, FREE) == set(course[1])


def test_a_class_that_ends_while_a_round_goes_on_keeps_its_places(database, course, clock):
    planner = PlacePlan(database, clock)
    run(planner)
    clock.at = session_of(database, FREE).ends_at - timedelta(seconds=1)
    planner.step()
    clock.advance(seconds=2)
    run(planner)
    assert wanted(database, FREE) == set(course[1])


def test_who_asked_at_the_door_keeps_the_place_while_the_gate_is_open(database, course, now):
    """Somebody whose course does not show the module, but who found it on the dashboard."""
    platform = course[0]
    with database.write() as connection:
        other = add_trainee(connection, 9, now)
        enrol(connection, platform, other, now, context_id="course-2")
        places.ask(connection, other, FREE, "meeting", now)
        places.ask(connection, other, GATED, "meeting", now)
    plan_all(database, now)
    assert (other in wanted(database, FREE), other in wanted(database, GATED)) == (True, False)


def test_nothing_is_written_when_nothing_has_changed(database, course, now):
    plan_all(database, now)
    plan_all(database, now + timedelta(minutes=5))
    with database.read() as connection:
        assert {row.updated_at for row in connection.execute(zoom_places.select())} == {now}


def run(planner):
    while planner.step():
        pass


def test_a_round_a_minute_and_a_change_of_records_within_seconds(database, course, clock):
    people = course[1]
    planner = PlacePlan(database, clock)
    run(planner)
    assert wanted(database, GATED) == set()
    pass_module_1(database, people[0], clock.advance(seconds=4))
    run(planner)
    assert wanted(database, GATED) == set(), "it is looked at every five seconds"
    clock.advance(seconds=1)
    run(planner)
    assert wanted(database, GATED) == {people[0]}


def test_a_class_that_is_called_off_is_followed_within_seconds(database, course, clock):
    planner = PlacePlan(database, clock)
    run(planner)
    with database.write() as connection:
        session = session_of(database, FREE)
        live_sessions.cancel(connection, session.id, reason="Illness.", actor="cli", now=clock.advance(seconds=5))
    run(planner)
    assert wanted(database, FREE) == set()


def test_many_changes_at_once_are_left_to_a_round(database, course, clock, now):
    platform = course[0]
    planner = PlacePlan(database, clock)
    run(planner)
    with database.write() as connection:
        many = [add_trainee(connection, number, now) for number in range(100, 160)]
        for each in many:
            enrol(connection, platform, each, now)
            complete(connection, each, "F1", date(2026, 11, 1), "staff", actor="cli", now=clock())
    clock.advance(seconds=5)
    run(planner)
    assert wanted(database, GATED) == set(many)


def test_who_teaches_the_course_may_register_whatever_the_gate_says(database, course, now):
    platform, people = course
    with database.write() as connection:
        teacher = add_trainee(connection, 8, now)
        enrol(connection, platform, teacher, now, role="staff")
    with database.read() as connection:
        assert admission.may_register(connection, [teacher, *people], GATED, now) == {teacher}
        assert admission.may_register(connection, [teacher, *people], "1", now) == set()


def test_a_class_that_is_given_another_meeting_takes_its_people_there(database, course, now):
    people, other = course[1], "85300000009"
    plan_all(database, now)
    with database.write() as connection:
        (session,) = live_sessions.of_meeting(connection, FREE)
        live_sessions.edit(
            connection,
            session.id,
            sequence=0,
            zoom_meeting_id=other,
            zoom_kind="meeting",
            join_url=None,
            note="",
            actor="staff:9",
            now=now,
        )
    with database.read() as connection:
        every = admission.meetings(connection, now)
    assert {FREE, other} <= set(every)
    for meeting in every:
        plan(database, meeting, now)
    assert (wanted(database, FREE), wanted(database, other)) == (set(), set(people))
