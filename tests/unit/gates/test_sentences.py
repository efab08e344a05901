"""Decisions and rules in words."""

import string
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from lti_tool.gates.conditions import Condition, parse_rule
from lti_tool.gates.wording import (
    REASONS,
    first_step,
    gate_in_words,
    heading,
    learner_sentence,
    recommendation,
    rule_in_words,
    staff_sentence,
)
from tests.unit.gates.people_and_programmes import (
    BEFORE,
    completed,
    decide,
    demo,
    exception,
    judged,
    licence,
    request,
    roster_entry,
    with_gate,
)

F2 = "Module 2: Intermediate Workshop I on Ketamine-Assisted Psychotherapy"
RT_EXP = "Experiential KAP Training Retreat"
NAMES = {"title", "date", "until", "on", "from", "to", "missing", "why", "origin", "type", "jurisdiction", "profession"}


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_both_sentences_and_only_known_words(reason: str) -> None:
    sentences = REASONS[reason]
    assert sentences.learner.strip()
    assert sentences.staff.strip()
    for text in (sentences.learner, sentences.staff, sentences.until):
        words = {name for _, name, _, _ in string.Formatter().parse(text) if name}
        assert words <= NAMES | {"version"}


@pytest.mark.parametrize(
    ("offering", "known", "expected"),
    [
        ("F2", [], f"{F2} is locked until you have taken Module 1"),
        ("F2", [completed("F1")], F2),
        ("F2", [exception("F2")], F2),
        ("F2", [request("F1", "submitted")], f"{F2} is locked until you have taken Module 1"),
        (
            "RT_EXP",
            [],
            f"{RT_EXP} is locked until your clinical licence is on record and you have taken Module 1",
        ),
        (
            "RT_EXP",
            [licence(), request("F1", "approved")],
            f"{RT_EXP} is locked until you have taken Module 1",
        ),
        (
            "RT_EXP",
            [licence(expires_on=date(2024, 9, 1)), completed("F1")],
            f"{RT_EXP} is locked until your licence is valid on 4 Sep 2024",
        ),
        (
            "RT_ADV",
            [roster_entry("RT_EXP", "no_show")],
            f"Advanced Experiential KAP Training Retreat is locked until you have attended {RT_EXP}",
        ),
        ("RT_DIA", [], "The Open Sky Retreat is not open"),
    ],
)
def test_the_heading_names_the_shortest_set_of_missing_things(offering: str, known: list[Any], expected: str) -> None:
    assert heading(decide(offering, *known), demo()) == expected


@pytest.mark.parametrize(
    ("offering", "known", "expected"),
    [
        ("F2", [], "Complete Module 1 first."),
        ("F2", [completed("F1")], ""),
        ("F2", [request("F1", "submitted")], "Your request is being reviewed."),
        ("RT_EXP", [], "Locked until your clinical licence is on record and you have taken Module 1."),
        ("RT_DIA", [], "Not open."),
    ],
    ids=["a module first", "open", "pending", "several things", "not decided"],
)
def test_the_first_step_is_one_sentence(offering: str, known: list[Any], expected: str) -> None:
    assert first_step(decide(offering, *known), demo()) == expected


def test_a_recommendation_is_told_until_it_is_followed() -> None:
    assert recommendation(decide("ST_MUS"), demo()) == "Module 1 first is recommended, not required."
    assert recommendation(decide("ST_MUS", completed("F1")), demo()) == ""
    assert recommendation(decide("F2"), demo()) == ""


def test_a_gate_that_cannot_be_checked_says_so() -> None:
    programme = with_gate({"completed": {"module": "F99"}})
    decision = decide("F2", programme=programme)
    assert heading(decision, programme) == f"{F2} cannot be checked right now"
    assert first_step(decision, programme) == "Cannot be checked right now."
    assert learner_sentence(decision.unmet()[0], programme) == "We cannot check this right now."
    assert "no longer has" in staff_sentence(decision.unmet()[0], programme)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"all": [{"completed": {"module": "F1"}}, {"completed": {"module": "F3"}}]}, "Module 1 and Module 3"),
        (
            {"at_least": {"n": 2, "of": [{"completed": {"module": f"F{each}"}} for each in (1, 3, 4)]}},
            "At least 2 of: Module 1; Module 3; Module 4",
        ),
        ({"equivalency": {"for": "F1"}}, "An accepted equivalency of Module 1"),
        ({"not": {"completed": {"module": "F1"}}}, "Not: Module 1"),
        ({"completed_any": {"list": ["F3", "F4"], "n": 1}}, "One of Module 3 and Module 4"),
        ({"date_window": {"from": "2024-08-02", "to": "2024-08-03T17:00"}},
         "From 2 Aug 2024 until 3 Aug 2024 at 17:00"),
        ({"licence_active": {"types": ["RN"], "at": "2024-08-02"}}, "An active clinical licence on 2 Aug 2024"),
        ({"profession_in": {"set": ["nurse", "physician"]}}, "One of these professions: nurse, physician"),
        ({"health_clearance": {"offering": "F2", "steps": ["medical"]}}, "Screening by the clinic"),
        ({"attestation": {"list": "contraindications", "version": "1"}}, "The statement about the list of conditions"),
        ({"invitation": {"offering": "F2"}}, "An invitation"),
        ({"retreat_equivalency": {"for": "RT_EXP"}}, f"An accepted equivalent elsewhere of {RT_EXP}"),
    ],
)  # fmt: skip
def test_rules_are_said_as_people_say_them(rule: Any, expected: str) -> None:
    assert rule_in_words(parse_rule(rule), demo()) == expected


@pytest.mark.parametrize(
    ("offering", "expected"),
    [
        ("F1", "Open to everyone"),
        ("F2", "Module 1, or an accepted equivalency"),
        ("ST_MUS", "Recommended, not required: Module 1, or an accepted equivalency"),
        (
            "RT_EXP",
            "An active clinical licence on the first day and "
            "(Module 1, or (an accepted equivalency and one of the other modules))",
        ),
        ("RT_ADV", f"Having attended {RT_EXP}, or an accepted equivalent elsewhere"),
        ("RT_DIA", "Not decided yet"),
    ],
)
def test_gates_in_words(offering: str, expected: str) -> None:
    assert gate_in_words(demo(), offering) == expected


@pytest.mark.parametrize(
    ("rule", "known", "learner", "staff"),
    [
        (
            {"completed": {"module": "F1"}},
            [completed("F1")],
            "You took Module 1 on 1 Jul 2024.",
            "Module 1 completed on 1 Jul 2024 (attendance).",
        ),
        (
            {"completed": {"module": "F1"}},
            [completed("F1", ended_at=BEFORE, ended_reason="recorded in error")],
            "Your completion of Module 1 was taken back on 1 Jul 2024: recorded in error",
            "The completion of Module 1 was ended on 1 Jul 2024: recorded in error",
        ),
        (
            {"equivalency": {"for": "F1"}},
            [request("F1", "submitted")],
            "Your request about training elsewhere in place of Module 1, sent on 1 Jul 2024, is being reviewed.",
            "Equivalency request for Module 1 of 1 Jul 2024 needs a review.",
        ),
        (
            {"completed_any": {"set": "other_polaris_modules", "n": 3}},
            [completed("F3")],
            "Take 2 more of the other modules.",
            "2 completions of the other modules are missing.",
        ),
        (
            {"licence_active": {"types": ["LMFT"]}},
            [licence(expires_on=date(2024, 7, 31))],
            "Your licence (LMFT, CA) expired on 31 Jul 2024.",
            "Licence LMFT, CA, expired on 31 Jul 2024.",
        ),
        (
            {"not": {"completed": {"module": "F1"}}},
            [completed("F1")],
            "This is only for people who do not meet the following.",
            "Locked because the following is met.",
        ),
        ({"any": [{"completed": {"module": "F1"}}]}, [], "One of these:", "One of these:"),
        ({"all": [{"completed": {"module": "F1"}}]}, [], "All of these:", "All of these:"),
    ],
)
def test_learner_and_staff_read_the_same_finding(rule: Any, known: list[Any], learner: str, staff: str) -> None:
    node = judged(rule, *known)
    assert (learner_sentence(node, demo()), staff_sentence(node, demo())) == (learner, staff)


def test_braces_in_a_reason_are_only_text() -> None:
    node = judged({"completed": {"module": "F1"}}, completed("F1", ended_at=BEFORE, ended_reason="{title} {0}"))
    assert learner_sentence(node, demo()).endswith("1 Jul 2024: {title} {0}")


def test_a_module_without_a_number_is_called_by_its_title() -> None:
    programme = replace(demo(), modules={**demo().modules, "F1": replace(demo().modules["F1"], number=None)})
    assert gate_in_words(programme, "F2").startswith("Introduction to")


def test_every_kind_of_condition_can_be_said() -> None:
    said = {
        "completed": {"module": "F1"},
        "completed_any": {"list": ["F1"]},
        "equivalency": {"for": "F1"},
        "attended_retreat": {"retreat": "RT_EXP"},
        "retreat_equivalency": {"for": "RT_EXP"},
        "licence_active": {"types": ["RN"]},
        "profession_in": {"set": ["nurse"]},
        "date_window": {"to": "2024-01-01"},
        "health_clearance": {"offering": "F2", "steps": ["medical"]},
        "attestation": {"list": "contraindications", "version": "1"},
        "invitation": {"offering": "F2"},
    }
    assert {kind.name for kind in Condition.__args__} == set(said)
    for name, fields in said.items():
        assert rule_in_words(parse_rule({name: fields}), demo())
