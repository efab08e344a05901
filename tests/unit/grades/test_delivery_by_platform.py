"""Delivery by the rules of each kind of platform: lost answers, whole seconds, clocks that go back, outages."""

import json
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from lti_tool.grades import scores as regrades
from lti_tool.grades.wording import in_words
from lti_tool.tables.scores import scores
from tests.training_day import HALF_A_DAY, stay
from tests.unit.grades.course import Taught


def sent(platform):
    return [(score["scoreGiven"], datetime.fromisoformat(score["timestamp"])) for _, _, score, _ in platform.taken]


def posts(platform):
    return [url for method, url in platform.asked if method == "POST"]


def given(course_on, kind):
    """A course with a first score that was not sent yet."""
    course = course_on(kind)
    _, url = course.add_given_unit()
    course.settle(*HALF_A_DAY)
    return course, url


def deliver(course, **after):
    course.platform.now = course.clock.advance(**after)
    course.deliverer.deliver_all()
    (row,) = course.scores()
    return row


@pytest.mark.parametrize(("kind", "says"), [("openedx", "400 already there"), ("moodle", "seen in the results")])
def test_a_score_whose_answer_was_lost_is_known_to_be_there_and_not_taken_twice(course_on, kind, says):
    course, _ = given(course_on, kind)
    course.platform.trouble = [None, "lost"]
    deliver(course)
    row = deliver(course, minutes=1)
    assert (row.status, row.last_answer, len(course.platform.taken)) == ("delivered", says, 1)


@pytest.mark.parametrize("kind", ["openedx", "moodle", "generic"])
def test_a_score_that_never_arrived_is_sent_again_with_its_timestamp(course_on, kind):
    course, _ = given(course_on, kind)
    course.platform.trouble = ["vanished"]
    first = deliver(course)
    row = deliver(course, minutes=1)
    assert row.status == "delivered"
    assert sent(course.platform) == [(42.3, first.last_timestamp)]


def test_moodle_is_asked_for_the_result_when_409_leaves_open_whether_a_new_comment_arrived(course_on):
    taught = Taught(course_on("moodle"))
    with taught.course.database.write() as connection:
        version = {"desired_version": 2, "desired_comment": "Mended.", "status": "waiting"}
        connection.execute(update(scores).values(**version, next_attempt_at=taught.clock()))
    taught.platform.trouble = [None, "lost"]
    deliver(taught.course, minutes=1)
    row = deliver(taught.course, minutes=1)
    assert (row.status, row.last_answer, len(taught.platform.taken)) == ("delivered", "seen in the results", 2)


def test_moodle_s_409_for_a_grade_that_a_teacher_entered_before_any_of_ours_is_left_to_staff(course_on):
    course, url = given(course_on, "moodle")
    (row,) = course.scores()
    course.platform.now = course.clock() + timedelta(seconds=30)
    course.platform.enter(url, row.user_id, 0.9)
    course.deliverer.deliver_all()
    (row,) = course.scores()
    assert (row.status, row.last_answer, row.seen, row.seen_given) == ("parked", "regraded", "differs", 90.0)
    course.write(regrades.send_ours, row.id, actor="staff:1")
    assert deliver(course, minutes=1).status == "delivered"
    assert course.platform.share(url, row.user_id) == 0.423


def test_moodle_s_409_for_a_grade_of_ours_is_answered_with_a_new_timestamp(course_on):
    """The clock of the platform is ahead: it holds what we sent as if it were newer."""
    taught = Taught(course_on("moodle"))
    taught.platform.grades[taught.url, taught.user].changed_at += timedelta(seconds=90)
    taught.attend(300)
    assert taught.row.status == "waiting"
    deliver(taught.course)
    row = deliver(taught.course, minutes=2)
    assert (row.status, len(taught.platform.taken)) == ("delivered", 2)


def test_two_scores_of_a_person_within_a_second_are_a_second_apart_on_moodle(course_on):
    course, _ = given(course_on, "moodle")
    deliver(course)
    course.clock.advance(milliseconds=100)
    course.settle(stay(0, 300))
    row = deliver(course)
    (_, first), (_, second) = sent(course.platform)
    assert (row.status, int(second.timestamp()) - int(first.timestamp())) == ("delivered", 1)
    assert len(posts(course.platform)) == 2


@pytest.mark.parametrize("kind", ["openedx", "moodle", "generic"])
def test_timestamps_rise_when_our_clock_goes_back(course_on, kind):
    course, url = given(course_on, kind)
    deliver(course)
    course.clock.advance(minutes=-30)
    course.settle(stay(0, 300))
    row = deliver(course)
    (_, first), (given_now, second) = sent(course.platform)
    assert (row.status, first < second, given_now > 42.3) == ("delivered", True, True)
    assert course.platform.share(url, row.user_id) == pytest.approx(given_now / 100)


@pytest.mark.parametrize("kind", ["openedx", "moodle", "generic"])
def test_an_hour_of_500_is_waited_for_and_asked_less_and_less(course_on, kind):
    course, url = given(course_on, kind)
    course.platform.down_until = course.clock() + timedelta(hours=1)
    for _ in range(130):
        row = deliver(course, minutes=1)
    assert (row.status, course.platform.share(url, row.user_id)) == ("delivered", 0.423)
    assert len(course.platform.asked) < 20
    assert len(sent(course.platform)) == 1


def test_lost_answers_one_after_another_are_never_taken_for_a_re_grade(course_on):
    taught = Taught(course_on("moodle"))
    for minutes, trouble in ((200, "lost"), (250, "vanished"), (300, "lost"), (350, "vanished")):
        taught.attend(minutes)
        taught.platform.trouble = [None, trouble]
        taught.deliver()
    taught.attend(380)
    taught.deliver()
    assert taught.states() == ("delivered", "unread")
    assert taught.platform.share(taught.url, taught.user) == pytest.approx(0.9743)


def test_what_a_look_proves_to_have_arrived_is_on_record_before_the_next_is_sent(course_on):
    taught = Taught(course_on("moodle"))
    taught.attend(200)
    taught.platform.trouble = [None, "lost"]
    taught.deliver()
    arrived = taught.row.desired_given
    taught.attend(250)
    taught.platform.trouble = [None, "vanished"]
    taught.deliver()
    assert (taught.row.delivered_given, taught.row.delivered_version) == (arrived, 2)


def test_results_that_may_not_be_read_do_not_keep_a_score_back(course_on):
    taught = Taught(course_on("moodle"))
    taught.attend(300)
    taught.platform.trouble = [404]
    taught.deliver()
    assert taught.states() == ("delivered", "unread")


def test_results_that_cannot_be_read_just_now_do(course_on):
    taught = Taught(course_on("moodle"))
    taught.attend(300)
    taught.platform.trouble = [503]
    taught.deliver()
    assert (taught.row.status, taught.row.last_answer) == ("waiting", "503 results_refused")
    assert deliver(taught.course, minutes=1).status == "delivered"


@pytest.mark.parametrize("garbled", ["<b>Notice</b>: undefined index", '{"items": 1}', '[{"userId": []}]'])
def test_results_that_nobody_can_read_never_let_a_score_overwrite_a_teacher_s(course_on, garbled):
    taught = Taught(course_on("moodle"))
    taught.enter(0.9)
    taught.attend(300)
    taught.platform.garbled = garbled
    taught.deliver()
    assert (taught.row.status, taught.row.last_answer) == ("waiting", "200 results_unreadable")
    assert in_words(taught.row.last_answer, "moodle").startswith("The platform's grades cannot be read")
    taught.platform.garbled = None
    assert deliver(taught.course, minutes=1).last_answer == "regraded"
    assert taught.platform.share(taught.url, taught.user) == 0.9


@pytest.mark.parametrize(("given", "maximum"), [(1e308, 1), (5, 1e-308), (5, -5), (-1e308, 100)])
def test_a_result_of_no_amount_is_none_that_can_be_read(course_on, given, maximum):
    taught = Taught(course_on("moodle"))
    taught.platform.garbled = json.dumps([{"userId": taught.user, "resultScore": given, "resultMaximum": maximum}])
    taught.look(minutes=5)
    assert (taught.row.seen, taught.row.seen_given) == ("unreadable", None)


def test_waiting_for_results_is_waited_for_longer_and_longer(course_on):
    taught = Taught(course_on("moodle"))
    taught.attend(300)
    taught.platform.down_until = taught.clock() + timedelta(hours=1)
    asked = len(taught.platform.asked)
    for _ in range(130):
        deliver(taught.course, minutes=1)
    assert taught.row.status == "delivered"
    assert len(taught.platform.asked) - asked < 20


def test_a_person_who_takes_no_grades_in_moodle_is_left_to_staff_at_once(course_on):
    course, _ = given(course_on, "moodle")
    course.platform.gradable = {"somebody-else"}
    row = deliver(course)
    assert (row.status, row.last_answer) == ("parked", "400 []")


def test_a_zero_is_a_grade_and_clears_nothing(course_on):
    taught = Taught(course_on("openedx"))
    taught.clock.advance(minutes=1)
    taught.course.settle(stay(185, 235))
    row = deliver(taught.course)
    assert (row.status, row.delivered_given, taught.platform.share(taught.url, taught.user)) == ("delivered", 0.0, 0.0)
