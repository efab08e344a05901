"""Credit in the gradebook is the credit: its number, its column, and what the drift report says of it."""

import pytest
from sqlalchemy import update

from lti_tool.tables.scores import scores
from tests.training_day import WHOLE_DAY, add_licence


@pytest.fixture
def credited_on(course_on):
    """`credited_on(kind, maximum)`: a course whose one credit column has this maximum and where 6.5 of the module's 7.8
    credits were awarded and sent."""

    def make(kind, maximum=None):
        course = course_on(kind)
        if maximum is None:
            course.add_free_unit(score_meaning="ce")
            course.search.search_all()
        else:
            course.add_unit(line_item_url=course.platform.add_item(maximum=maximum), score_meaning="ce")
        with course.database.write() as connection:
            add_licence(connection, course.people[0], course.clock())
        course.settle(*WHOLE_DAY)
        course.deliverer.deliver_all()
        return course

    return make


def sent(course):
    ((url, _, score, _),) = course.platform.taken
    return score["scoreGiven"], score["scoreMaximum"], course.platform.items[url]["scoreMaximum"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("openedx", (65, 78)), ("moodle", (6.5, 7.8)), ("canvas", (6.5, 7.8)), ("generic", (6.5, 7.8))],
)
def test_a_credit_is_sent_out_of_the_column_s_own_maximum(credited_on, kind, expected):
    given, maximum, of_column = sent(credited_on(kind))
    assert ((given, maximum), of_column) == (expected, expected[1])


@pytest.mark.parametrize(("maximum", "expected"), [(78.0, (65, 78)), (100.0, (83.33333, 100)), (7.8, (6.5, 7.8))])
def test_a_column_that_the_platform_made_keeps_its_maximum_and_shows_the_share(credited_on, maximum, expected):
    given, of, of_column = sent(credited_on("moodle", maximum))
    assert ((given, of), of_column) == (expected, maximum)


def test_an_attendance_column_of_another_maximum_gets_its_own_too(course_on):
    course = course_on("moodle")
    course.add_unit(line_item_url=course.platform.add_item(maximum=10.0))
    course.settle(*WHOLE_DAY)
    course.deliverer.deliver_all()
    assert sent(course) == (10, 10, 10.0)


def test_the_gradebook_shows_the_credit_and_the_drift_report_agrees(credited_on):
    course = credited_on("moodle")
    (grade,) = course.platform.grades.values()
    assert grade.share * 7.8 == pytest.approx(6.5)
    course.platform.now = course.clock.advance(minutes=5)
    course.reconciler.read_all()
    assert [each.seen for each in course.scores()] == ["same"]


def test_a_gradebook_that_shows_more_than_the_credit_differs_whatever_was_sent(credited_on):
    course = credited_on("moodle")
    (url, user) = next(iter(course.platform.grades))
    course.platform.enter(url, user, 1.0)
    with course.database.write() as connection:
        connection.execute(update(scores).values(delivered_given=65.0, delivered_maximum=65.0))
    course.platform.now = course.clock.advance(minutes=5)
    course.reconciler.read_all()
    assert [each.seen for each in course.scores()] == ["differs"]
