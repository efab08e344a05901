"""What a programme leaves open, as questions with their source."""

import pytest

from lti_tool.gates.publication import check_document, publishable
from lti_tool.programme.open_values import QUESTIONS, cited, open_for, open_values
from tests.unit.programme.documents import SHIPPED, changed, programme, shipped

GATE_QUESTION = "first: {for: [A], mode: none, question: Really?, approved_by"


def read(name: str):
    return publishable(check_document(shipped(name), name))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_open_value_of_a_shipped_programme_has_a_question_of_its_own(name: str) -> None:
    document = read(name)
    found = open_values(document)
    known = {each.path for each in found}
    missing = [each for each in document.unset if each not in known and each.removesuffix(".mode") not in known]
    assert missing == []
    assert len({(each.about, each.question) for each in found}) == len(found)
    assert [each.question for each in found if not each.question.endswith((".", "?"))] == []
    assert [each.path for each in found if each.question.startswith("What is its")] == []


def test_each_question_is_asked_once_whatever_else_is_open() -> None:
    document = changed("share: 0.80", "share: UNSET")
    (only,) = open_values(programme(document))
    assert (only.path, only.about, only.refs) == ("completion.share", "Completion", ())
    assert only.question == QUESTIONS["share"]


def test_an_open_credit_names_its_body_and_the_length_it_is_for() -> None:
    (only,) = open_for(programme(changed("credits: {apa: 6}", "credits: {apa: UNSET}")), "A")
    assert (only.about, only.question) == (
        "Day",
        "How many credits of the American Psychological Association does it earn?",
    )


def test_a_gate_that_nobody_decided_asks_its_own_question() -> None:
    document = changed("for: [B]\n    mode: required", "for: [B]\n    mode: UNSET\n    question: Who comes in?")
    document = changed(
        "    rule:\n      any:\n        - completed: {module: A}\n        - equivalency: {for: A}\n", "", document
    ).replace("title: The second\n", "title: The second\n    publish: false\n", 1)
    (only,) = open_for(programme(document), "B")
    assert (only.about, only.question, only.refs) == ("The second", "Who comes in?", ("P:2",))


def test_a_question_may_stand_beside_a_decided_gate() -> None:
    (only,) = open_for(programme(changed("first: {for: [A], mode: none, approved_by", GATE_QUESTION)), "A")
    assert (only.question, only.refs) == ("Really?", ("P:1",))
    assert open_for(programme(changed("first: {for: [A], mode: none, approved_by", GATE_QUESTION)), "B") == []


@pytest.mark.parametrize(
    ("refs", "words"),
    [
        (("P:5",), "The programme's page, line 5"),
        (("P:5-9",), "The programme's page, lines 5 to 9"),
        (("P:5,7", "P:12"), "The programme's page, lines 5, 7 and 12"),
        (("P:5", "Q:1"), "The programme's page, line 5; Q, line 1"),
        (("P",), "The programme's page"),
        ((), ""),
    ],
)
def test_lines_of_a_source_are_told_in_words(refs: tuple[str, ...], words: str) -> None:
    assert cited(programme(), refs) == words
