"""What holds for every rule and every set of facts."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lti_tool.gates.decision import Decision, walk
from lti_tool.gates.evaluate import evaluate
from lti_tool.gates.facts import Facts
from lti_tool.gates.wording import REASONS, heading, learner_sentence, shortest_way, staff_sentence
from tests.unit.gates import rule_strategies as some
from tests.unit.gates.people_and_programmes import AT, RETREAT, exception, with_gate


def decided(rule: Any, known: Facts) -> Decision:
    return evaluate(with_gate(rule), 3, "F2", known, AT, RETREAT)


def added(known: Facts, record: Any) -> Facts:
    kind = {
        "Completion": "completions",
        "EquivalencyRequest": "equivalencies",
        "Licence": "licences",
        "RetreatRecord": "retreats",
    }
    name = kind[type(record).__name__]
    return replace(known, **{name: (*getattr(known, name), record)})


@given(some.positive_rules, some.known_facts(), some.records)
def test_one_more_satisfied_fact_never_closes_a_gate_without_not(rule: Any, known: Facts, record: Any) -> None:
    if decided(rule, known).open:
        assert decided(rule, added(known, record)).open


@given(some.rules, some.known_facts())
def test_a_root_that_is_not_surely_met_never_opens(rule: Any, known: Facts) -> None:
    decision = decided(rule, known)
    assert decision.tree is not None
    assert decision.open == (decision.tree.is_open or decision.exception is not None)
    assert decision.tree.is_open == (decision.status in ("satisfied", "waived"))


@given(some.rules, some.known_facts())
def test_nothing_opens_when_no_fact_can_be_read(rule: Any, known: Facts) -> None:
    blind = replace(known, unavailable=frozenset(some.UNAVAILABLE))
    assert not decided(rule, blind).open


@given(some.rules, some.known_facts(), st.randoms())
def test_the_order_of_the_facts_changes_nothing(rule: Any, known: Facts, order: Any) -> None:
    shuffled = {
        name: tuple(order.sample(getattr(known, name), len(getattr(known, name))))
        for name in ("completions", "equivalencies", "licences", "retreats")
    }
    first, second = decided(rule, known), decided(rule, replace(known, **shuffled))
    assert (first.open, first.status) == (second.open, second.status)


@given(some.rules, some.known_facts())
def test_the_same_inputs_give_the_same_bytes(rule: Any, known: Facts) -> None:
    again = replace(known)
    assert json.dumps(decided(rule, known).to_json()) == json.dumps(decided(rule, again).to_json())


@given(some.rules, some.known_facts())
def test_a_waived_gate_would_not_be_open_without_its_equivalencies(rule: Any, known: Facts) -> None:
    without = replace(known, equivalencies=(), exceptions=())
    with_them = decided(rule, replace(known, exceptions=()))
    if with_them.status == "waived":
        assert not decided(rule, without).open
    elif with_them.status == "satisfied":
        assert decided(rule, without).open


@given(some.rules, some.known_facts())
def test_every_node_has_a_sentence_for_the_learner_and_one_for_staff(rule: Any, known: Facts) -> None:
    programme = with_gate(rule)
    decision = decided(rule, known)
    assert heading(decision, programme)
    for node in walk(decision.tree) if decision.tree else ():
        for sentence in (learner_sentence(node, programme), staff_sentence(node, programme)):
            assert sentence
            assert "{" not in sentence
            assert "–" not in sentence, f"a word is missing for {node.reason}"
        assert node.reason is None or node.reason in REASONS


@given(some.rules, some.known_facts())
def test_the_shortest_way_is_among_what_blocks(rule: Any, known: Facts) -> None:
    decision = decided(rule, replace(known, exceptions=()))
    assert decision.tree is not None
    way = shortest_way(decision.tree)
    assert bool(way) == (not decision.open)
    assert len(way) <= len(decision.unmet())
    assert all(node in decision.unmet() for node in way)


@given(some.rules, some.known_facts())
def test_progress_never_exceeds_what_is_needed(rule: Any, known: Facts) -> None:
    tree = decided(rule, known).tree
    assert tree is not None
    for node in walk(tree):
        assert node.progress is None or 0 <= node.progress[0] <= node.progress[1]


@given(some.rules, some.known_facts())
def test_an_exception_opens_only_if_exceptions_can_be_read(rule: Any, known: Facts) -> None:
    excepted = replace(known, exceptions=(exception("F2"),))
    unread = replace(excepted, unavailable=known.unavailable | {"exceptions"})
    assert decided(rule, unread).exception is None
    assert decided(rule, unread).open == decided(rule, replace(known, exceptions=())).open
