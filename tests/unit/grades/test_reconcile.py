"""Accepted is not seen: what is read back from gradebooks, and what happens when somebody else graded there."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from lti_tool.errors import Conflict, NotFound
from lti_tool.grades import line_items, reconcile
from lti_tool.grades import scores as regrades
from lti_tool.grades.ags import READINGS, Value, compare, next_reading
from lti_tool.tables.courses import placements
from lti_tool.tables.operations import audit_log
from lti_tool.tables.scores import scores
from tests.simulated_platform import DECLARATIVE_SCOPES, SCOPE
from tests.training_day import WHOLE_DAY
from tests.unit.grades.course import Taught

NOON = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def taught(course_on):
    return Taught(course_on("moodle"))


def test_what_was_accepted_is_not_yet_seen(taught):
    assert taught.states() == ("delivered", "unread")
    assert taught.row.results_due_at - taught.row.delivered_at == timedelta(minutes=5)


def test_the_gradebook_is_read_some_minutes_after_the_delivery(taught):
    taught.look(minutes=4)
    assert taught.row.seen_at is None
    taught.look(minutes=1)
    assert (taught.states(), taught.row.seen_given) == (("delivered", "same"), 42.3)


def test_it_is_read_daily_for_a_month_and_then_no_more(taught):
    asked = len(taught.platform.asked)
    for _ in range(24 * 40):
        taught.look(hours=1)
    assert len(taught.platform.asked) - asked == len(READINGS) == 31
    assert taught.row.results_due_at is None


def test_the_next_look_follows_from_the_delivery_alone():
    assert next_reading(NOON, NOON) == NOON + timedelta(minutes=5)
    assert next_reading(NOON, NOON + timedelta(minutes=5)) == NOON + timedelta(days=1)
    assert next_reading(NOON, NOON + timedelta(days=9, hours=1)) == NOON + timedelta(days=10)
    assert next_reading(NOON, NOON + timedelta(days=30)) is None


@pytest.mark.parametrize(
    ("shown", "seen"),
    [
        (Value(42.3, 100), "same"),
        (Value(4.23, 10), "same"),
        (Value(0.42, 1), "same"),
        (Value(42.31, 100), "differs"),
        (Value(4.3, 10), "differs"),
        (Value(0.0, 100), "differs"),
        (Value(None, 100), "missing"),
    ],
)
def test_shares_are_compared_as_the_platform_rounds_them(shown, seen):
    assert compare(shown, [Value(42.3, 100)]) == seen


def test_a_cleared_score_is_the_same_as_none():
    assert compare(Value(None, 100), [Value(None, 100)]) == "same"
    assert compare(Value(0, 100), [Value(None, 100)]) == "differs"


def test_a_column_of_another_maximum_shows_the_same_grade(course_on):
    course = course_on("moodle")
    taught = Taught(course)
    course.platform.items[taught.url]["scoreMaximum"] = 10
    taught.look(minutes=5)
    assert (taught.row.seen, taught.row.seen_given) == ("same", 42.3)


def test_open_edx_s_results_are_not_its_gradebook_so_nothing_is_read(course_on):
    taught = Taught(course_on("openedx"))
    taught.look(days=1)
    assert (taught.states(), taught.row.results_due_at) == (("delivered", "unread"), None)
    assert [method for method, _ in taught.platform.asked] == ["GET", "POST"]


def test_without_the_right_to_read_results_nothing_is_read(course_on):
    taught = Taught(course_on("moodle"), ags_scopes=[SCOPE + "score"])
    taught.look(days=1)
    assert taught.states() == ("delivered", "unread")


def test_a_right_that_was_withdrawn_ends_the_reading(taught):
    with taught.course.database.write() as connection:
        connection.execute(update(placements).values(ags_scopes=[SCOPE + "score"]))
    taught.look(minutes=5)
    assert (taught.row.seen, taught.row.results_due_at) == ("unread", None)


def test_a_platform_that_does_not_answer_is_unreadable_until_the_next_look(taught):
    taught.platform.trouble = [500]
    taught.look(minutes=5)
    assert taught.row.seen == "unreadable"
    taught.look(days=1)
    assert taught.row.seen == "same"


def test_a_grade_that_is_not_there_is_missing_and_can_be_sent_again(taught):
    taught.platform.enter(taught.url, taught.user, None)
    taught.look(minutes=5)
    assert taught.states() == ("delivered", "missing")
    taught.course.write(regrades.try_again, taught.row.id)
    taught.deliver()
    taught.look(minutes=5)
    assert taught.states() == ("delivered", "same")


def test_a_re_grade_is_shown_and_left_alone(taught):
    taught.enter(0.9)
    taught.look(minutes=5)
    assert (taught.states(), taught.row.seen_given) == (("delivered", "differs"), 90.0)
    taught.deliver()
    assert taught.platform.share(taught.url, taught.user) == 0.9


def test_a_re_grade_that_was_seen_keeps_a_newer_value_back(taught):
    taught.enter(0.9)
    taught.look(minutes=5)
    taught.attend(300)
    taught.deliver()
    assert (taught.row.status, taught.row.last_answer) == ("parked", "regraded")
    assert taught.platform.share(taught.url, taught.user) == 0.9


def test_a_re_grade_that_nobody_saw_yet_is_found_before_anything_is_sent(taught):
    taught.enter(0.9)
    taught.attend(300)
    taught.deliver()
    assert (taught.row.status, taught.row.last_answer, taught.row.seen_given) == ("parked", "regraded", 90.0)
    assert taught.platform.share(taught.url, taught.user) == 0.9


def test_trying_all_refused_ones_again_does_not_decide_about_a_re_grade(taught):
    taught.enter(0.9)
    taught.attend(300)
    taught.deliver()
    with taught.course.database.write() as connection:
        assert regrades.try_parked_again(connection, taught.clock()) == 0
    with pytest.raises(Conflict) as refused:
        taught.course.write(regrades.try_again, taught.row.id)
    assert refused.value.code == "score_not_waiting_for_you"


def test_staff_may_send_ours(taught):
    taught.enter(0.9)
    taught.look(minutes=5)
    taught.decide(regrades.send_ours)
    taught.deliver()
    assert (taught.states(), taught.platform.share(taught.url, taught.user)) == (("delivered", "unread"), 0.423)


def test_ours_is_sent_only_over_the_grade_that_staff_saw(taught):
    taught.enter(0.9)
    taught.look(minutes=5)
    taught.decide(regrades.send_ours)
    taught.enter(0.95)
    taught.deliver()
    assert (taught.row.last_answer, taught.row.seen_given) == ("regraded", 95.0)
    assert taught.platform.share(taught.url, taught.user) == 0.95


def test_a_newer_value_goes_out_where_staff_had_decided_to_send_ours(taught):
    taught.enter(0.9)
    taught.look(minutes=5)
    taught.decide(regrades.send_ours)
    taught.attend(300)
    taught.deliver()
    assert taught.states() == ("delivered", "unread")
    assert taught.platform.share(taught.url, taught.user) == pytest.approx(0.7692)


def test_staff_may_keep_theirs_and_nothing_is_sent_until_they_decide_anew(taught):
    taught.enter(0.9)
    taught.look(minutes=5)
    taught.decide(regrades.keep_theirs)
    taught.attend(300)
    taught.deliver()
    taught.look(days=2)
    assert (taught.states(), taught.platform.share(taught.url, taught.user)) == (("kept", "differs"), 0.9)
    taught.decide(regrades.send_ours)
    taught.deliver()
    assert taught.platform.share(taught.url, taught.user) == pytest.approx(0.7692)


def test_every_decision_is_in_the_audit_log_with_its_numbers(taught):
    taught.enter(0.9)
    taught.look(minutes=5)
    taught.decide(regrades.keep_theirs)
    taught.decide(regrades.send_ours)
    with taught.course.database.read() as connection:
        noted = connection.execute(select(audit_log).where(audit_log.c.actor == "staff:9")).all()
    assert [each.act for each in noted] == ["regrade_kept", "regrade_overruled"]
    assert noted[0].subject == f"trainee:{taught.row.trainee_id}"
    assert noted[0].details == {"score": taught.row.id, "desired": 42.3, "delivered": 42.3, "seen": 90.0}


def test_a_re_grade_that_was_taken_back_lets_the_newer_value_go_out(taught):
    taught.enter(0.9)
    taught.look(minutes=5)
    taught.attend(300)
    taught.enter(0.423)
    taught.look(days=1)
    taught.deliver()
    assert taught.platform.share(taught.url, taught.user) == pytest.approx(0.7692)


def test_a_re_grade_is_not_forgotten_while_the_platform_is_away(taught):
    taught.enter(0.9)
    taught.look(minutes=5)
    taught.platform.trouble = [500]
    taught.look(days=1)
    assert taught.row.seen == "differs"


def test_a_decision_about_nothing_is_refused(taught):
    with pytest.raises(Conflict) as refused:
        taught.decide(regrades.send_ours)
    assert refused.value.code == "regrade_missing"
    with pytest.raises(NotFound) as unknown:
        taught.course.write(regrades.keep_theirs, 999, actor="staff:9")
    assert unknown.value.code == "score_unknown"


def test_a_look_that_a_delivery_overtook_is_not_recorded(taught):
    taught.platform.now = taught.clock.advance(minutes=5)
    (look,) = reconcile.claim(taught.course.database, taught.clock(), 8)
    taught.attend(300)
    taught.deliver()
    with taught.course.database.write() as connection:
        assert not reconcile.record(connection, look, Value(42.3, 100), taught.clock())
    assert taught.row.seen == "unread"


def test_a_look_is_claimed_once_and_comes_due_again_when_its_reader_dies(taught):
    now = taught.clock.advance(minutes=5)
    assert len(reconcile.claim(taught.course.database, now, 8)) == 1
    assert reconcile.claim(taught.course.database, now, 8) == []
    assert len(reconcile.claim(taught.course.database, taught.clock.advance(minutes=2), 8)) == 1


def test_everything_can_be_read_at_once(taught):
    with taught.course.database.write() as connection:
        assert reconcile.ask_for_all(connection, taught.clock()) == 1
    taught.look()
    assert taught.row.seen == "same"


def test_a_column_that_was_taken_over_is_not_compared_any_more(taught):
    taught.course.add_unit(line_item_url=taught.url, content="module:F2", module_id="F2", ags_scopes=DECLARATIVE_SCOPES)
    taught.course.connect()
    taught.enter(0.9)
    with taught.course.database.write() as connection:
        assert reconcile.ask_for_all(connection, taught.clock()) == 0
    taught.look(days=1)
    assert taught.row.seen == "unread"


def test_a_column_that_moved_is_a_new_beginning(taught):
    """What was delivered to the old column says nothing about the new one."""
    taught.enter(0.9)
    taught.look(minutes=5)
    new = taught.platform.add_item()
    taught.course.launch(taught.place, line_item_url=new)
    taught.course.desire()
    assert (taught.states(), taught.row.delivered_version) == (("waiting", "unread"), 0)
    taught.deliver()
    assert taught.platform.share(new, taught.user) == 0.423


def test_a_whole_day_after_a_half_one_is_sent_where_nobody_else_graded(taught):
    taught.clock.advance(minutes=1)
    taught.course.settle(*WHOLE_DAY)
    taught.deliver()
    assert (taught.states(), taught.platform.share(taught.url, taught.user)) == (("delivered", "unread"), 1.0)


def test_kept_scores_are_left_out_when_all_are_read(taught):
    taught.enter(0.9)
    taught.look(minutes=5)
    taught.decide(regrades.keep_theirs)
    with taught.course.database.write() as connection:
        assert reconcile.ask_for_all(connection, taught.clock()) == 0
        assert connection.scalar(select(scores.c.results_due_at)) is None
        assert line_items.of_unit(connection, taught.place)
