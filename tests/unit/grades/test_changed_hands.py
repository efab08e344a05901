"""Columns that change hands, come back or are re-mapped while scores wait, travel or stand: no score reaches what is
not its own any more, and none is forgotten."""

from datetime import timedelta

import pytest

from lti_tool.errors import Conflict
from lti_tool.grades import scores
from lti_tool.grades.ags import Verdict
from lti_tool.grades.delivery import claim_due, record
from lti_tool.platforms import course_units
from lti_tool.programme import versions
from lti_tool.worker import LateChanges
from tests.simulated_platform import DECLARATIVE_SCOPES
from tests.training_day import HALF_A_DAY, MODULE, WHOLE_DAY
from tests.unit.grades.course import Taught

LATER = Verdict("later", "503")
TAKEN = Verdict("delivered", "201 accepted")


@pytest.fixture
def taught(course_on):
    return Taught(course_on("moodle"))


def take_over(taught):
    """Another module behind the same link gets the column."""
    taught.clock.advance(minutes=1)
    taught.course.add_unit(line_item_url=taught.url, content="module:F2", module_id="F2", ags_scopes=DECLARATIVE_SCOPES)
    taught.course.connect()


def assign(course, place, module_id):
    with course.database.write() as connection:
        programme = versions.current(connection).programme
        course_units.assign(connection, programme, place, module_id, actor="staff:9", now=course.clock())


@pytest.mark.parametrize("verdict", [LATER, TAKEN], ids=["on its way", "delivered"])
def test_a_score_whose_column_was_taken_over_while_it_travelled_is_not_sent_again(taught, verdict):
    taught.attend(300)
    (due,) = claim_due(taught.course.database, taught.clock(), 1)
    take_over(taught)
    with taught.course.database.write() as connection:
        record(connection, due, verdict, taught.clock())
    taught.clock.advance(hours=2)
    assert claim_due(taught.course.database, taught.clock(), 8) == []
    assert (taught.row.status, taught.row.last_answer, taught.row.results_due_at) == (
        "parked",
        "column_taken_over",
        None,
    )


def test_what_was_sent_to_an_old_address_proves_nothing_about_the_new_one(taught):
    taught.attend(300)
    (due,) = claim_due(taught.course.database, taught.clock(), 1)
    taught.course.launch(taught.place, line_item_url=taught.platform.add_item())
    taught.course.desire()
    with taught.course.database.write() as connection:
        record(connection, due, TAKEN, taught.clock())
    assert (taught.row.status, taught.row.delivered_version) == ("waiting", 0)


def test_a_column_that_meant_something_else_for_a_while_gets_its_score_again(course_on):
    taught = Taught(course_on("openedx"))
    for meaning in ("ce", "completion"):
        taught.clock.advance(minutes=1)
        taught.course.launch(taught.place, score_meaning=meaning)
        taught.course.connect()
    taught.platform.enter(taught.url, taught.user, 1.0)  # what the credit was
    LateChanges(taught.course.context).run()
    taught.deliver()
    assert taught.platform.share(taught.url, taught.user) == pytest.approx(0.423)
    with taught.course.database.read() as connection:
        assert scores.without_score(connection, taught.clock() - timedelta(days=1)) == []


def test_a_grade_that_staff_keep_stays_kept_when_its_column_comes_back(taught):
    taught.enter(0.9)
    taught.look(minutes=5)
    taught.decide(scores.keep_theirs)
    for meaning in ("ce", "completion"):
        taught.clock.advance(minutes=1)
        taught.course.launch(taught.place, score_meaning=meaning)
        taught.course.connect()
    LateChanges(taught.course.context).run()
    taught.deliver()
    assert (taught.row.status, taught.platform.share(taught.url, taught.user)) == ("kept", 0.9)


def test_nobody_can_send_a_score_to_a_column_that_is_another_module_s(taught):
    taught.enter(0.9)
    taught.look(minutes=5)
    take_over(taught)
    with pytest.raises(Conflict) as refused:
        taught.decide(scores.send_ours)
    assert refused.value.code == "regrade_missing"


def test_a_missing_score_is_not_sent_again_to_a_column_that_is_another_module_s(taught):
    taught.platform.enter(taught.url, taught.user, None)
    taught.look(minutes=5)
    take_over(taught)
    with pytest.raises(Conflict):
        taught.course.write(scores.try_again, taught.row.id)


def test_a_unit_that_staff_give_another_module_shows_that_module_s_score(course_on):
    taught = Taught(course_on("openedx"), content="")
    taught.clock.advance(minutes=1)
    assign(taught.course, taught.place, "F2")
    taught.attend(300)
    taught.deliver()
    assert taught.row.last_answer == "column_taken_over"
    assert taught.platform.share(taught.url, taught.user) == pytest.approx(0.423)
    taught.clock.advance(minutes=1)
    assign(taught.course, taught.place, MODULE)
    LateChanges(taught.course.context).run()
    taught.deliver()
    assert taught.platform.share(taught.url, taught.user) == pytest.approx(0.7692)


def test_a_score_that_waits_is_not_sent_to_a_unit_that_was_given_another_module(course_on):
    course = course_on("openedx")
    place, _ = course.add_given_unit(content="")
    course.settle(*HALF_A_DAY)
    assign(course, place, "F2")
    course.deliverer.deliver_all()
    assert course.platform.grades == {}


def test_a_column_that_was_removed_is_not_missed_by_the_module_that_comes_after(course_on):
    course = course_on("moodle")
    place = course.add_free_unit(content="")
    course.search.search_all()
    course.platform.items.clear()
    course.clock.advance(days=8)
    course.search.search_all()
    assert course.trouble() == ["line_item_gone"]
    course.clock.advance(minutes=1)
    assign(course, place, "F2")
    course.search.search_all()
    assert (course.trouble(), len(course.columns())) == ([""], len(course.platform.items))
    assert course.columns() != []


def test_a_choice_confirmed_once_more_changes_nothing(course_on):
    taught = Taught(course_on("openedx"), content="")
    assign(taught.course, taught.place, MODULE)
    assert (taught.row.status, taught.course.retired()) == ("delivered", [])


def test_a_clock_that_was_far_ahead_for_a_moment_holds_no_score_back(course_on):
    course = course_on("openedx")
    _, url = course.add_given_unit()
    course.settle(*WHOLE_DAY)
    course.clock.advance(days=400)
    course.platform.trouble = [503]
    course.deliverer.deliver_all()
    (row,) = course.scores()
    assert row.attempts == 1
    course.clock.advance(days=-399)
    course.deliverer.deliver_all()
    assert course.platform.share(url, row.user_id) == 1.0


def test_a_worker_that_died_while_the_clock_was_ahead_leaves_no_lease_for_ever(course_on):
    course = course_on("openedx")
    course.add_given_unit()
    course.settle(*WHOLE_DAY)
    course.clock.advance(days=400)
    assert len(claim_due(course.database, course.clock(), 1)) == 1
    course.clock.advance(days=-399)
    assert len(claim_due(course.database, course.clock(), 1)) == 1
