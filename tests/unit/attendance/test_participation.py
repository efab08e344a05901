from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti_tool.attendance.minutes import Participation, Question, participate
from lti_tool.intervals import common
from tests.training_day import at


def question(start: float, end: float, answered: float | None = None, kind="check") -> Question:
    return Question(kind, at(start), at(end), None if answered is None else at(answered))


def test_a_question_is_put_to_whoever_was_there_all_the_time_it_was_open() -> None:
    day = participate([question(10, 12), question(59, 61)], [(at(0), at(60))])
    assert [each.put for each in day.questions] == [True, False]
    assert (day.put, day.answered) == (1, 0)


def test_an_answer_without_presence_is_shown_and_counts_for_nothing() -> None:
    day = participate([question(100, 102, answered=101)], [(at(0), at(60))])
    assert day.questions[0].answered_at == at(101)
    assert (day.put, day.answered) == (0, 0)


def test_presence_in_two_parts_that_do_not_touch_covers_no_question_across_them() -> None:
    assert participate([question(9, 12)], [(at(0), at(10)), (at(11), at(60))]).put == 0


def test_a_question_before_class_or_in_a_break_is_put_to_nobody() -> None:
    """Who came early or stayed at lunch gains nothing by it, so it must not cost anything either."""
    taught = [(at(0), at(60)), (at(75), at(120))]
    early, in_break, across, asked = question(-10, -8), question(62, 64), question(59, 61), question(80, 82)
    day = participate([early, in_break, across, asked], common([(at(-15), at(120))], taught))
    assert [each.put for each in day.questions] == [False, False, False, True]


@pytest.mark.parametrize(
    ("put", "answered", "share", "enough"),
    [(4, 3, "0.75", True), (4, 2, "0.75", False), (3, 2, "0.7", False), (0, 0, "1", True), (1, 0, None, True)],
)
def test_the_share_is_rounded_up_to_whole_answers(put: int, answered: int, share: str | None, enough: bool) -> None:
    asked = [Question("poll", at(0), at(1), at(1) if number < answered else None, put=True) for number in range(put)]
    assert Participation(tuple(asked)).is_enough(None if share is None else Decimal(share)) is enough


def test_a_day_of_before_there_were_questions_is_enough_for_any_policy() -> None:
    assert Participation.from_json({}).is_enough(Decimal("1"))


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 5), st.booleans()), max_size=8), st.randoms())
def test_the_order_of_questions_leaves_no_trace(raw, chance) -> None:
    questions = [
        Question("poll", at(start), at(start + length), at(start) if hit else None) for start, length, hit in raw
    ]
    present = [(at(5), at(50)), (at(60), at(60) + timedelta(minutes=30))]
    shuffled = list(questions)
    chance.shuffle(shuffled)
    first, second = participate(questions, present), participate(shuffled, present)
    assert (first.put, first.answered) == (second.put, second.answered)
    assert 0 <= first.answered <= first.put <= len(questions)
