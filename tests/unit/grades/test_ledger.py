"""Desired scores: of whom, where, how much, and with which words."""

from datetime import date, timedelta
from functools import partial
from threading import Thread

import pytest
from sqlalchemy import select, update

from lti_tool.attendance.settlement import settle
from lti_tool.gates import completions, publication
from lti_tool.gates.completions import complete
from lti_tool.grades import line_items
from lti_tool.grades import scores as ledger
from lti_tool.grades.outcomes import follow_attendance
from lti_tool.programme import versions
from lti_tool.tables.courses import placements
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.scores import scores
from tests.conftest import DEMO_PROGRAMME
from tests.training_day import (
    DAY,
    FIVE,
    HALF_A_DAY,
    MODULE,
    WHOLE_DAY,
    OnePerson,
    add_licence,
    add_place,
    add_platform,
    add_session,
    add_trainee,
    at,
    enrol,
    present,
    stay,
)


class Course(OnePerson):
    """One course with one unit for the module, in which that person is enrolled."""

    def __init__(self, database, connection, published, now):
        super().__init__(database, connection, published, now)
        self.registration_id = add_platform(connection, now)
        self.place_id = add_place(connection, self.registration_id, now)
        enrol(connection, self.registration_id, self.trainee_id, now)

    def scores(self):
        with self.database.read() as connection:
            return ledger.rows(connection)


def add_unit(connection, course, number, registration_id=None, **given):
    """Another unit with a column of its own."""
    own = {"resource_link_id": f"unit-{number}", "line_item_url": f"https://lms.example.org/lineitems/{number}"}
    return add_place(connection, registration_id or course.registration_id, course.now, **(own | given))


@pytest.fixture
def course(database, published, now):
    with database.write() as connection:
        return Course(database, connection, published, now)


def test_a_completed_module_is_100_of_100(course):
    course.settle(*WHOLE_DAY)
    (score,) = course.scores()
    assert (score.meaning, score.desired_given, score.desired_maximum) == ("completion", 100.0, 100.0)
    assert (score.line_item_url, score.user_id) == ("https://lms.example.org/lineitems/1", f"user-{course.trainee_id}")
    assert score.desired_comment == "390 of 390 instructional minutes. CE: none awarded."


@pytest.mark.parametrize(
    ("stays", "given", "minutes"),
    [
        ((stay(0, 255),), 46.15, 180),
        ((stay(0, 402 - 1 / 60),), 79.99, 311),
        ((stay(0, 402),), 100.0, 312),
    ],
)
def test_who_did_not_complete_gets_the_share_of_minutes_rounded_down(course, stays, given, minutes):
    course.settle(*stays)
    (score,) = course.scores()
    assert score.desired_given == given
    assert score.desired_comment.startswith(f"{minutes} of 390 instructional minutes.")


def test_only_a_completion_in_force_makes_the_full_score(course):
    course.settle(*WHOLE_DAY)
    with course.database.write() as connection:
        (completion,) = completions.in_force(connection)
        completions.end_completion(connection, completion.id, reason="By mistake.", actor="system", now=course.now)
        assert ledger.desire(connection, [course.trainee_id], MODULE, course.now) == 1
    assert course.scores()[0].desired_given == 99.99


def test_a_completed_day_is_the_full_score_whichever_completion_is_in_force(course):
    with course.database.write() as connection:
        complete(connection, course.trainee_id, MODULE, DAY, "imported", actor="cli", now=course.now)
    course.settle(stay(0, 430))
    assert course.scores()[0].desired_given == 100.0


def test_running_values_are_no_grade_because_the_session_has_ended(course):
    course.settle(*HALF_A_DAY, ended_at=None)
    with course.database.write() as connection:
        connection.execute(update(live_sessions).values(ended_at=FIVE, state="provisional"))
        assert ledger.without_score(connection, course.now) == []
        assert ledger.desire(connection, [course.trainee_id], MODULE, course.now) == 0
    course.settle(*HALF_A_DAY)
    assert course.scores()[0].desired_given == 42.3


def test_two_sessions_settled_at_once_leave_the_better_score(course, published):
    """Whoever writes last has seen what the other wrote."""
    with course.database.write() as connection:
        again = add_session(connection, published, course.now, starts=date(2026, 11, 12))
    course.settle(stay(0, 60))
    meanwhile = Thread(target=course.settle, args=[stay(0, 180)])

    def dawdle(connection, people):
        follow_attendance(connection, people, course.now)
        meanwhile.start()
        meanwhile.join(0.3)

    whole_day = present(course.trainee_id, stay(2880, 3360))
    settle(course.database, again, [whole_day], at(3360), course.now, dawdle)
    meanwhile.join()
    assert [each.desired_given for each in course.scores()] == [100.0]


@pytest.mark.databases("postgresql")
def test_scores_are_renewed_in_the_order_in_which_delivery_holds_them(course):
    """The earlier unit has the later score here. Renewed by units, the later score would be held first."""
    here = update(placements).where(placements.c.id == course.place_id)
    with course.database.write() as connection:
        add_unit(connection, course, 2)
        connection.execute(here.values(line_item_url=None))
    course.settle(*WHOLE_DAY)
    with course.database.write() as connection:
        connection.execute(here.values(line_item_url="https://lms.example.org/lineitems/0"))
        ledger.desire(connection, [course.trainee_id], MODULE, course.now)
    first, second = (each.id for each in course.scores())
    held = select(scores.c.id).with_for_update(nowait=True)
    correction = Thread(target=course.settle, args=HALF_A_DAY)
    with course.database.write() as connection:
        connection.execute(held.where(scores.c.id == first))
        correction.start()
        correction.join(0.3)
        assert connection.execute(held.where(scores.c.id == second)).scalar() == second
    correction.join()
    assert [each.desired_given for each in course.scores()] == [42.3, 42.3]


def test_before_the_end_there_is_no_score(course):
    course.settle(*WHOLE_DAY, ended_at=None)
    assert course.scores() == []


def test_nobody_gets_a_zero_for_not_having_been_there(course):
    course.settle(stay(185, 235))
    assert course.scores() == []


def test_a_score_that_was_desired_once_falls_to_zero_when_the_minutes_are_corrected(course):
    course.settle(*WHOLE_DAY)
    course.settle(stay(185, 235))
    (score,) = course.scores()
    assert (score.desired_given, score.desired_version, score.status) == (0.0, 2, "waiting")


def test_a_score_stays_while_it_is_in_doubt_who_was_there(course):
    course.settle(*WHOLE_DAY)
    course.settle()
    with course.database.write() as connection:
        ledger.desire(connection, [course.trainee_id], MODULE, course.now)
    (score,) = course.scores()
    assert (score.desired_given, score.desired_version) == (100.0, 1)


def test_the_same_result_is_not_desired_twice(course):
    course.settle(*WHOLE_DAY)
    with course.database.write() as connection:
        assert ledger.desire(connection, [course.trainee_id], MODULE, course.now) == 0
    assert course.scores()[0].desired_version == 1


def test_every_course_of_the_person_gets_the_score_and_no_other_course(course):
    with course.database.write() as connection:
        registration_id = add_platform(connection, course.now, "moodle")
        add_unit(connection, course, 2)
        add_unit(connection, course, 3, registration_id)
        add_unit(connection, course, 4, context_id="course-9")
        add_unit(connection, course, 5, line_item_url=None)
        add_unit(connection, course, 6, ags_scopes=[])
        add_unit(connection, course, 7, module_id="F2")
    course.settle(*WHOLE_DAY)
    assert [each.line_item_url[-1] for each in course.scores()] == ["1", "2"]


def test_a_launch_without_a_context_is_a_course_of_its_own(course):
    with course.database.write() as connection:
        add_unit(connection, course, 2, context_id=None)
        enrol(connection, course.registration_id, course.trainee_id, course.now, context_id="")
    course.settle(*WHOLE_DAY)
    assert len(course.scores()) == 2


def test_staff_who_look_at_the_course_get_no_score(course):
    with course.database.write() as connection:
        staff = add_trainee(connection, 2, course.now)
        enrol(connection, course.registration_id, staff, course.now, role="staff")
        after = partial(follow_attendance, now=course.now)
    settle(course.database, course.session_id, [present(staff, *WHOLE_DAY)], FIVE, course.now, after)
    assert course.scores() == []


def test_a_unit_launched_later_gets_the_score_too(course):
    course.settle(*WHOLE_DAY)
    course.now += timedelta(days=1)
    with course.database.write() as connection:
        add_unit(connection, course, 2)
        line_items.connect(connection, course.now)
        missing = ledger.without_score(connection, course.now)
        assert missing == [(MODULE, course.trainee_id)]
        assert ledger.desire(connection, [course.trainee_id], MODULE, course.now) == 1
        assert ledger.without_score(connection, course.now) == []
    assert len(course.scores()) == 2


def test_a_line_item_that_moved_is_sent_the_score_again(course):
    course.settle(*WHOLE_DAY)
    moved = "https://lms.example.org/lineitems/new"
    with course.database.write() as connection:
        connection.execute(update(placements).values(line_item_url=moved))
        course.now += timedelta(days=1)
        line_items.connect(connection, course.now)
        assert ledger.without_score(connection, course.now) == [(MODULE, course.trainee_id)]
        assert ledger.desire(connection, [course.trainee_id], MODULE, course.now) == 1
    (score,) = course.scores()
    assert (score.line_item_url, score.desired_version) == (moved, 2)


def test_of_two_sessions_of_a_module_the_better_one_counts(course, published):
    with course.database.write() as connection:
        again = add_session(connection, published, course.now, starts=date(2026, 11, 12))
    course.settle(*WHOLE_DAY)
    course.settle(stay(2880, 2900), session_id=again, ended_at=at(3360))
    assert [each.desired_given for each in course.scores()] == [100.0]


def test_a_completion_from_elsewhere_is_no_grade(course):
    with course.database.write() as connection:
        complete(connection, course.trainee_id, MODULE, DAY, "imported", actor="cli", now=course.now)
        assert ledger.desire(connection, [course.trainee_id], MODULE, course.now) == 0


def test_a_completion_from_elsewhere_does_not_lift_a_half_day_either(course):
    with course.database.write() as connection:
        complete(connection, course.trainee_id, MODULE, DAY, "imported", actor="cli", now=course.now)
    course.settle(*HALF_A_DAY)
    assert course.scores()[0].desired_given == 42.3


@pytest.fixture
def ce_course(database, published, now):
    """A course whose line item means the CE credit."""
    text = DEMO_PROGRAMME.read_text(encoding="utf-8")
    assert "single_line_item: completion" in text
    with database.write() as connection:
        text = text.replace("single_line_item: completion", "single_line_item: ce")
        number = publication.publish(connection, text, "ce.yaml", actor="cli", now=now)
        return Course(database, connection, versions.version(connection, number), now)


def test_a_ce_line_item_hears_nothing_before_the_award(ce_course):
    ce_course.settle(*WHOLE_DAY)
    assert ce_course.scores() == []


def test_a_ce_line_item_gets_the_credits_as_whole_numbers(ce_course):
    with ce_course.database.write() as connection:
        add_licence(connection, ce_course.trainee_id, ce_course.now)
    ce_course.settle(*WHOLE_DAY)
    (score,) = ce_course.scores()
    assert (score.meaning, score.desired_given, score.desired_maximum) == ("ce", 65.0, 78.0)
    assert score.desired_comment.endswith("CE: 6.5 credits (APA). 65 of 78 means 6.5 of 7.8 credits.")


def test_no_comment_holds_a_reason_or_a_licence(course):
    with course.database.write() as connection:
        add_licence(connection, course.trainee_id, course.now, expires_on=date(2021, 1, 1))
    course.settle(*WHOLE_DAY)
    comment = course.scores()[0].desired_comment
    assert comment == "390 of 390 instructional minutes. CE: none awarded."


def test_parked_scores_can_be_tried_again(course):
    course.settle(*WHOLE_DAY)
    with course.database.write() as connection:
        connection.execute(update(scores).values(status="parked", attempts=9))
        assert ledger.try_parked_again(connection, course.now) == 1
        assert connection.execute(select(scores.c.status, scores.c.attempts)).one() == ("waiting", 0)


def test_score_rows_can_be_asked_for_by_status(course):
    course.settle(*WHOLE_DAY)
    with course.database.read() as connection:
        assert len(ledger.rows(connection, status="waiting")) == 1
        assert ledger.rows(connection, status="parked") == []


def test_two_bodies_are_both_named_in_the_comment(course):
    with course.database.write() as connection:
        add_licence(connection, course.trainee_id, course.now)
        add_licence(connection, course.trainee_id, course.now, type="RN")
    course.settle(*WHOLE_DAY)
    comment = course.scores()[0].desired_comment
    assert comment.endswith("CE: 6.5 credits (APA), 7.8 credits (SCRC).")
