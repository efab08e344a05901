"""What may be published: the grammar, the targets, the cycles, and rules that no trainee can satisfy."""

from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti_tool.gates.conditions import (
    AttendedRetreat,
    AttestationOf,
    Completed,
    CompletedAny,
    DateWindow,
    EquivalencyOf,
    Group,
    HealthClearance,
    InvitationTo,
    LicenceActive,
    Members,
    ProfessionIn,
    RetreatEquivalencyOf,
    UnreadableRule,
    parse_rule,
)
from lti_tool.gates.validation import check_gates, rule_digest
from lti_tool.programme.model import Gate, Programme
from tests.unit.gates import rule_strategies as some
from tests.unit.gates.people_and_programmes import demo, with_gate

F1 = {"completed": {"module": "F1"}}
EQUIVALENT = {"equivalency": {"for": "F1"}}


def nested(depth: int) -> Any:
    return F1 if depth == 1 else {"all": [nested(depth - 1)]}


def faults(raw: Any) -> list[tuple[str, str]]:
    with pytest.raises(UnreadableRule) as caught:
        parse_rule(raw)
    return [(each.code, each.path) for each in caught.value.problems]


@pytest.mark.parametrize(
    ("raw", "code", "path"),
    [
        ({"xor": [F1]}, "rule_unknown", "rule.xor"),
        ({"compleated": {"module": "F1"}}, "rule_unknown", "rule.compleated"),
        ({1: {"module": "F1"}}, "rule_unknown", "rule.1"),
        ({"any": [F1, {"completed": {"modul": "F1"}}]}, "rule_field_unknown", "rule.any[1].completed.modul"),
        ({"all": [F1], "any": [F1]}, "rule_many_keys", "rule"),
        ({}, "rule_empty", "rule"),
        (None, "rule_empty", "rule"),
        ([], "rule_empty", "rule"),
        ("F1", "rule_empty", "rule"),
        ({"all": []}, "rule_list_empty", "rule.all"),
        ({"any": F1}, "rule_list_empty", "rule.any"),
        ({"all": [{}]}, "rule_empty", "rule.all[0]"),
        ({"at_least": {"n": 0, "of": [F1]}}, "rule_number_wrong", "rule.at_least.n"),
        ({"at_least": {"n": 2, "of": [F1]}}, "rule_number_wrong", "rule.at_least.n"),
        ({"at_least": {"n": True, "of": [F1]}}, "rule_number_wrong", "rule.at_least.n"),
        ({"at_least": {"n": 1.0, "of": [F1]}}, "rule_number_wrong", "rule.at_least.n"),
        ({"at_least": {"of": [F1]}}, "rule_fields_wrong", "rule.at_least"),
        ({"at_least": [F1]}, "rule_fields_wrong", "rule.at_least"),
        ({"not": EQUIVALENT}, "rule_not_refused", "rule.not"),
        ({"not": {"any": [F1, EQUIVALENT]}}, "rule_not_refused", "rule.not"),
        ({"not": {"retreat_equivalency": {"for": "RT_EXP"}}}, "rule_not_refused", "rule.not"),
        ({"not": {"health_clearance": {"offering": "F2", "steps": ["medical"]}}}, "rule_not_refused", "rule.not"),
        ({"completed": {}}, "rule_field_missing", "rule.completed"),
        ({"completed": "F1"}, "rule_fields_wrong", "rule.completed"),
        ({"completed": {"module": ""}}, "rule_value_wrong", "rule.completed.module"),
        ({"completed": {"module": ["F1"]}}, "rule_value_wrong", "rule.completed.module"),
        ({"completed": {"module": "F1", "accept_aliases": "no"}}, "rule_value_wrong", "rule.completed.accept_aliases"),
        ({"completed_any": {"n": 2}}, "rule_field_missing", "rule.completed_any"),
        ({"completed_any": {"set": "a", "list": ["F1"]}}, "rule_fields_wrong", "rule.completed_any.list"),
        ({"completed_any": {"list": []}}, "rule_list_empty", "rule.completed_any.list"),
        ({"licence_active": {"types": []}}, "rule_list_empty", "rule.licence_active.types"),
        ({"licence_active": {"types": ["RN"], "at": "then"}}, "rule_value_wrong", "rule.licence_active.at"),
        ({"licence_active": {"types": ["RN"], "at": "2024-01-01T09:00"}}, "rule_value_wrong", "rule.licence_active.at"),
        ({"date_window": {}}, "rule_field_missing", "rule.date_window"),
        ({"date_window": {"from": "tomorrow"}}, "rule_value_wrong", "rule.date_window.from"),
        ({"date_window": {"from": "2024-01-01T09:00Z"}}, "rule_value_wrong", "rule.date_window.from"),
        ({"date_window": {"from": "2024-01-01", "zone": "Mars/Base"}}, "rule_value_wrong", "rule.date_window.zone"),
        ({"date_window": {"from": "2024-01-01", "zone": "../etc"}}, "rule_value_wrong", "rule.date_window.zone"),
        ("UNSET", "gate_unset", "rule"),
        ({"any": ["UNSET"]}, "gate_unset", "rule.any[0]"),
        ({"licence_active": {"types": "UNSET"}}, "gate_unset", "rule.licence_active.types"),
        (nested(9), "rule_too_deep", "rule" + ".all[0]" * 8),
        ({"any": [F1] * 200}, "rule_too_large", "rule.any[199]"),
    ],
)
def test_what_is_outside_the_grammar_is_refused_with_its_path(raw: Any, code: str, path: str) -> None:
    assert faults(raw) == [(code, path)]


A_TIME = "The value must be an ISO date or a wall time."


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        pytest.param("UNSET", "This rule is UNSET. A named person must choose it.", id="a rule not chosen yet"),
        pytest.param({}, "A node must be a mapping with one key. Write mode none if there is no rule.", id="no key"),
        pytest.param(
            {"all": [F1], "any": [F1]},
            "A node has exactly one key. Group several under all or any.",
            id="two keys",
        ),
        pytest.param({"bogus": {}}, "There is no such operator or condition.", id="an unknown operator"),
        pytest.param(nested(9), "A rule may be 8 levels deep.", id="nine levels"),
        pytest.param({"any": [F1] * 200}, "A rule may have 200 nodes.", id="201 nodes"),
        pytest.param({"any": []}, "This needs a list with at least one node.", id="no children"),
        pytest.param(
            {"not": EQUIVALENT}, "not cannot negate a condition that can be pending.", id="a negated equivalency"
        ),
        pytest.param({"at_least": {"n": 1}}, "at_least takes exactly n and of.", id="a number of nothing"),
        pytest.param(
            {"at_least": {"n": 2, "of": [F1]}}, "n is larger than the number of children.", id="more than there are"
        ),
        pytest.param(
            {"at_least": {"n": 0, "of": [F1]}}, "The value must be a whole number of at least 1.", id="none of some"
        ),
        pytest.param({"completed": "F1"}, "A condition takes a mapping of its fields.", id="no fields"),
        pytest.param(
            {"completed": {"module": "F1", "x": 1}}, "This condition has no such field.", id="an unknown field"
        ),
        pytest.param({"completed": {}}, "The field module is missing.", id="a field missing"),
        pytest.param({"completed_any": {"n": 1}}, "The field set or list is missing.", id="neither set nor list"),
        pytest.param({"date_window": {}}, "The field from or to is missing.", id="a window without ends"),
        pytest.param(
            {"completed_any": {"set": "a", "list": ["F1"]}}, "Give a set or a list, not both.", id="a set and a list"
        ),
        pytest.param(
            {"completed": {"module": "UNSET"}},
            "This value is UNSET. A named person must choose it.",
            id="a value not chosen yet",
        ),
        pytest.param({"completed": {"module": " "}}, "The value must be a text.", id="a blank text"),
        pytest.param(
            {"completed": {"module": "F1", "accept_aliases": 1}}, "The value must be true or false.", id="no boolean"
        ),
        pytest.param({"completed_any": {"list": "F1"}}, "The value must be a list of texts.", id="no list"),
        pytest.param({"completed_any": {"list": []}}, "The value must not be empty.", id="an empty list"),
        pytest.param({"completed_any": {"list": ["F1", 2]}}, "The value must be a text.", id="a number in a list"),
        pytest.param({"date_window": {"from": "tomorrow"}}, A_TIME, id="a day in words"),
        pytest.param({"date_window": {"from": 20240101}}, A_TIME, id="a day as a number"),
        pytest.param(
            {"date_window": {"from": "2024-01-01T09:00Z"}},
            "The value must be a wall time; its zone is the field `zone`.",
            id="a time with its zone",
        ),
        pytest.param(
            {"date_window": {"from": "2024-01-01", "zone": "Mars/Base"}},
            "The value must be an IANA time zone.",
            id="an unknown zone",
        ),
        pytest.param(
            {"licence_active": {"types": ["RN"], "at": "2024-01-01T09:00"}},
            "The value must be now, live_session, offering_start or an ISO date.",
            id="a licence at a time of day",
        ),
    ],
)
def test_every_refusal_says_what_is_wrong(raw: Any, message: str) -> None:
    with pytest.raises(UnreadableRule) as caught:
        parse_rule(raw, "gates.x.rule")
    [problem] = caught.value.problems
    assert (problem.severity, problem.message) == ("error", message)
    assert str(caught.value) == f"{problem.path}: {message}"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param({"any": [F1, F1]}, 1, id="any"),
        pytest.param({"all": [F1, F1]}, 2, id="all"),
        pytest.param({"at_least": {"n": 2, "of": [F1, F1, F1]}}, 2, id="at least"),
        pytest.param({"not": F1}, 1, id="not"),
    ],
)
def test_a_group_knows_its_operator_how_many_it_needs_and_where_it_stands(raw: Any, expected: int) -> None:
    [op] = raw
    rule = parse_rule(raw)
    assert isinstance(rule, Group)
    assert (rule.op, rule.n, rule.path) == (op, expected, f"rule.{op}")
    places = {"not": [f"rule.{op}.completed"], "at_least": [f"rule.{op}.of[{n}].completed" for n in range(3)]}
    assert [each.path for each in rule.children] == places.get(op, [f"rule.{op}[{n}].completed" for n in range(2)])


WHOLE_CONDITIONS: dict[str, tuple[Any, Any]] = {
    "completed": ({"module": "F1", "accept_aliases": False}, Completed("F1", False)),
    "completed_any": (
        {"list": ["F1", "F2"], "n": 2, "except": ["F1"]},
        CompletedAny(Members(None, ("F1", "F2")), 2, ("F1",)),
    ),
    "equivalency": ({"for": "F1"}, EquivalencyOf("F1")),
    "retreat_equivalency": ({"for": "RT_EXP"}, RetreatEquivalencyOf("RT_EXP")),
    "attended_retreat": ({"retreat": "RT_EXP"}, AttendedRetreat("RT_EXP")),
    "licence_active": (
        {"types": "clinical", "jurisdictions": ["CA"], "at": "offering_start", "verified": True},
        LicenceActive(Members("clinical"), ("CA",), "offering_start", True),
    ),
    "profession_in": ({"set": ["nurse"]}, ProfessionIn(Members(None, ("nurse",)))),
    "date_window": (
        {"from": "2024-01-01", "to": "2024-01-02T09:00", "zone": "Europe/Berlin"},
        DateWindow(date(2024, 1, 1), datetime(2024, 1, 2, 9, 0), "Europe/Berlin"),  # noqa: DTZ001
    ),
    "health_clearance": ({"offering": "F2", "steps": ["medical"]}, HealthClearance("F2", ("medical",))),
    "attestation": ({"list": "contraindications", "version": "1"}, AttestationOf("contraindications", "1")),
    "invitation": ({"offering": "F2"}, InvitationTo("F2")),
}


@pytest.mark.parametrize("name", WHOLE_CONDITIONS)
def test_every_field_of_a_condition_is_read(name: str) -> None:
    body, expected = WHOLE_CONDITIONS[name]
    assert parse_rule({name: body}) == replace(expected, path=f"rule.{name}")


@pytest.mark.parametrize("day", ["now", "live_session", "offering_start"])
def test_a_licence_is_asked_for_on_a_day_that_has_a_name(day: str) -> None:
    rule = parse_rule({"licence_active": {"types": ["RN"], "at": day}})
    assert isinstance(rule, LicenceActive)
    assert rule.at == day


def test_every_fault_is_told_not_only_the_first() -> None:
    raw = {"all": [{"bogus": {}}, {"any": []}, {"completed": {"module": "UNSET", "x": 1}}]}
    assert [path for _, path in faults(raw)] == [
        "rule.all[0].bogus",
        "rule.all[1].any",
        "rule.all[2].completed.module",
        "rule.all[2].completed.x",
    ]


def test_rules_at_the_limits_are_read() -> None:
    parse_rule(nested(8))
    parse_rule({"any": [F1] * 199})


def test_a_rule_becomes_values() -> None:
    rule = parse_rule({"all": [F1, {"completed_any": {"set": "s", "n": 2, "except": ["F2"]}}]}, "gates.x.rule")
    assert isinstance(rule, Group)
    assert rule == Group(
        "all",
        2,
        (
            Completed("F1", True, "gates.x.rule.all[0].completed"),
            CompletedAny(Members("s"), 2, ("F2",), "gates.x.rule.all[1].completed_any"),
        ),
        "gates.x.rule.all",
    )


def test_a_date_is_read_as_text_and_as_a_date() -> None:
    for written in ("2024-01-01", date(2024, 1, 1)):
        rule = parse_rule({"licence_active": {"types": ["RN"], "at": written}})
        assert isinstance(rule, LicenceActive)
        assert rule.at == date(2024, 1, 1)


words = st.sampled_from(["all", "any", "at_least", "not", "completed", "completed_any", "n", "of", "x"])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda kids: st.lists(kids, max_size=3) | st.dictionaries(words, kids, max_size=2),
    max_leaves=12,
)


@given(anything)
def test_nothing_breaks_the_reader(raw: Any) -> None:
    with suppress(UnreadableRule):
        assert parse_rule(raw)


class TestDigest:
    def test_keys_defaults_and_order_make_no_difference(self) -> None:
        first = parse_rule({"any": [{"completed_any": {"n": 1, "list": ["F3", "F4"]}}, F1]})
        second = parse_rule({"any": [{"completed": {"accept_aliases": True, "module": "F1"}},
                                     {"completed_any": {"list": ["F4", "F3"]}}]})  # fmt: skip
        assert rule_digest(first) == rule_digest(second)

    def test_one_meaning_in_two_operators_has_one_digest(self) -> None:
        both = [F1, EQUIVALENT]
        assert rule_digest(parse_rule({"any": both})) == rule_digest(parse_rule({"at_least": {"n": 1, "of": both}}))
        assert rule_digest(parse_rule({"all": [F1]})) == rule_digest(parse_rule(F1))

    def test_another_meaning_has_another_digest(self) -> None:
        different = [
            F1,
            {"completed": {"module": "F1", "accept_aliases": False}},
            {"not": F1},
            {"all": [F1, EQUIVALENT]},
            {"any": [F1, EQUIVALENT]},
            {"completed_any": {"list": ["F1"]}},
            {"completed_any": {"set": "F1"}},
        ]
        assert len({rule_digest(parse_rule(each)) for each in different}) == len(different)

    @given(some.rules, st.randoms())
    def test_shuffled_keys_and_children_keep_the_digest(self, raw: Any, order: Any) -> None:
        def shuffled(node: Any) -> Any:
            if isinstance(node, dict):
                return {key: shuffled(node[key]) for key in order.sample(list(node), len(node))}
            if isinstance(node, list):
                return [shuffled(each) for each in order.sample(node, len(node))]
            return node

        assert rule_digest(parse_rule(raw)) == rule_digest(parse_rule(shuffled(raw)))


def found(programme: Programme, today: date | None = None) -> list[tuple[str, str, str]]:
    return [(each.severity, each.code, each.path) for each in check_gates(programme, today)]


def test_the_demonstration_may_be_published() -> None:
    assert found(demo()) == [("warning", "gate_unset", "gates.diamonds_retreat.mode")]


@pytest.mark.parametrize(
    ("rule", "code", "path"),
    [
        ({"completed": {"module": "F99"}}, "gate_target_missing", "rule.completed.module"),
        ({"completed": {"module": "RT_EXP"}}, "gate_target_missing", "rule.completed.module"),
        ({"completed": {"module": "L1"}}, "gate_target_missing", "rule.completed.module"),
        ({"equivalency": {"for": "F99"}}, "gate_target_missing", "rule.equivalency.for"),
        ({"attended_retreat": {"retreat": "F1"}}, "gate_target_missing", "rule.attended_retreat.retreat"),
        ({"retreat_equivalency": {"for": "F1"}}, "gate_target_missing", "rule.retreat_equivalency.for"),
        ({"completed_any": {"set": "nowhere"}}, "gate_set_missing", "rule.completed_any.set"),
        ({"completed_any": {"list": ["F1", "F99"]}}, "gate_target_missing", "rule.completed_any.list"),
        ({"completed_any": {"list": ["F1"], "except": ["F99"]}}, "gate_target_missing", "rule.completed_any.except"),
        ({"completed_any": {"list": ["F1", "F1"], "n": 2}}, "rule_unsatisfiable", "rule.completed_any.n"),
        ({"completed_any": {"set": "modules_1_to_5", "n": 6}}, "rule_unsatisfiable", "rule.completed_any.n"),
        ({"licence_active": {"types": "nowhere"}}, "gate_set_missing", "rule.licence_active.types"),
        ({"invitation": {"offering": "F99"}}, "gate_target_missing", "rule.invitation.offering"),
        (
            {"health_clearance": {"offering": "F99", "steps": ["medical"]}},
            "gate_target_missing",
            "rule.health_clearance.offering",
        ),
        ({"attestation": {"list": "other", "version": "1"}}, "gate_target_missing", "rule.attestation.list"),
        (
            {"attestation": {"list": "contraindications", "version": "older"}},
            "gate_target_missing",
            "rule.attestation.version",
        ),
        ({"date_window": {"from": "2024-02-01", "to": "2024-01-01"}}, "rule_unsatisfiable", "rule.date_window"),
        ({"all": [F1, {"not": F1}]}, "rule_contradiction", "rule"),
        ({"all": [{"all": [F1]}, {"any": [{"not": F1}]}]}, "rule_contradiction", "rule"),
        ({"bogus": 1}, "rule_unknown", "rule.bogus"),
        ({"licence_active": {"types": "UNSET"}}, "gate_unset", "rule.licence_active.types"),
        ({"completed": {"module": "F2"}}, "gate_cycle", "rule"),
    ],
)
def test_a_rule_that_points_nowhere_or_that_nobody_can_satisfy_is_refused(rule: Any, code: str, path: str) -> None:
    assert ("error", code, f"gates.F2.{path}") in found(with_gate(rule))


def test_one_way_out_is_enough() -> None:
    assert all(severity == "warning" for severity, _, _ in found(with_gate({"any": [F1, {"not": F1}]})))


def test_a_window_that_is_past_is_refused_on_a_day_after_it() -> None:
    programme = with_gate({"date_window": {"to": "2024-01-31"}})
    assert ("error", "rule_unsatisfiable", "gates.F2.rule.date_window.to") in found(programme, date(2024, 2, 1))
    assert not [each for each in found(programme, date(2024, 1, 31)) if each[0] == "error"]
    assert not [each for each in found(programme) if each[0] == "error"]


@pytest.mark.parametrize(
    ("programme", "code", "path"),
    [
        (with_gate(None), "gate_rule_missing", "gates.F2.rule"),
        (with_gate({}), "rule_empty", "gates.F2.rule"),
        (with_gate(None, mode="recommended"), "gate_rule_missing", "gates.F2.rule"),
        (with_gate(F1, mode="none"), "gate_rule_not_allowed", "gates.F2.rule"),
        (with_gate(F1, mode="recommended", recommended=F1), "gate_rule_not_allowed", "gates.F2.recommended"),
        (with_gate(None, mode="UNSET"), "gate_unset", "gates.F2.mode"),
        (with_gate(F1, recommended={"bogus": 1}), "rule_unknown", "gates.F2.recommended.bogus"),
        (with_gate(F1, target="F99"), "gate_target_unknown", "gates.F99"),
    ],
)
def test_mode_and_rule_must_fit(programme: Programme, code: str, path: str) -> None:
    assert ("error", code, path) in found(programme)


@pytest.mark.parametrize(("field", "code"), [("refs", "gate_source_missing"), ("approver", "gate_approver_missing")])
def test_a_gate_needs_a_source_and_an_approver(field: str, code: str) -> None:
    bare = {"refs": (), "approver": None}
    gate = replace(demo().gates["F2"], **{field: bare[field]})
    programme = replace(demo(), gates={**demo().gates, "F2": gate})
    assert ("error", code, gate.path) in found(programme)


def test_an_offering_without_a_gate_is_refused() -> None:
    gates = {target: gate for target, gate in demo().gates.items() if target != "F3"}
    [problem] = [each for each in check_gates(replace(demo(), gates=gates)) if each.severity == "error"]
    assert problem.code == "gate_missing"
    assert "F3" in problem.message


def test_an_unset_set_is_an_error_only_where_the_offering_is_published() -> None:
    unset = replace(demo(), sets={**demo().sets, "clinical_licences": None})
    path = "gates.experiential_retreat.rule.all[0].licence_active.types"
    assert ("error", "gate_unset", path) in found(unset)
    held_back = replace(unset, retreats={**unset.retreats, "RT_EXP": replace(unset.retreats["RT_EXP"], publish=False)})
    assert ("warning", "gate_unset", path) in found(held_back)


def test_an_empty_set_can_satisfy_nobody() -> None:
    empty = replace(demo(), sets={**demo().sets, "clinical_licences": ()})
    assert "rule_unsatisfiable" in {code for _, code, _ in found(empty)}


def needs(*modules: str) -> Any:
    return {"all": [{"completed": {"module": module}} for module in modules]}


def gates(**rules: Any) -> Programme:
    made = {
        target: Gate(target, "required", rule, refs=("S0:1",), approver="head of training", path=f"gates.{target}")
        for target, rule in rules.items()
    }
    return replace(demo(), gates={**demo().gates, **made})


def test_gates_that_wait_for_each_other_are_refused_once_and_named() -> None:
    programme = gates(F2=needs("F3"), F3=needs("F4"), F4={"any": [needs("F2"), F1]})
    [problem] = [each for each in check_gates(programme) if each.code == "gate_cycle"]
    assert "F2 → F3 → F4 → F2" in problem.message


def test_two_ways_to_one_module_are_no_cycle() -> None:
    programme = gates(F3=needs("F2"), F4=needs("F2", "F3"), F5=needs("F4", "F3"))
    assert "gate_cycle" not in {code for _, code, _ in found(programme)}


def test_a_set_that_holds_the_module_itself_is_a_cycle_only_where_all_of_it_is_needed() -> None:
    some_of_it = gates(F2={"completed_any": {"set": "modules_1_to_5", "n": 1}})
    all_of_it = gates(F2={"completed_any": {"set": "modules_1_to_5", "n": 5}})
    assert "gate_cycle" not in {code for _, code, _ in found(some_of_it)}
    assert "gate_cycle" in {code for _, code, _ in found(all_of_it)}


def test_an_equivalency_that_nobody_can_ask_for_is_doubtful() -> None:
    programme = with_gate({"any": [F1, {"equivalency": {"for": "F4"}}]})
    assert ("warning", "gate_equivalency_without_providers", "gates.F2.rule.any[1].equivalency.for") in found(programme)


def test_a_prerequisite_that_is_not_offered_is_doubtful() -> None:
    modules = {**demo().modules, "F1": replace(demo().modules["F1"], publish=False)}
    assert "gate_target_not_offered" in {code for _, code, _ in found(replace(demo(), modules=modules))}


def said(programme: Programme, today: date | None = None) -> list[tuple[str, str]]:
    """Every message and its place, without what the demonstration itself leaves open."""
    known = {(each.path, each.message) for each in check_gates(demo())}
    return [each for each in ((one.path, one.message) for one in check_gates(programme, today)) if each not in known]


OLD_AND_NEW = {"date_window": {"from": "2024-02-01", "to": "2024-01-31T23:00"}}
TWO_ELSEWHERE = {"any": [{"equivalency": {"for": "F4"}}, {"retreat_equivalency": {"for": "RT_ADV"}}]}


@pytest.mark.parametrize(
    ("rule", "place", "message"),
    [
        pytest.param(
            {"completed": {"module": "F99"}},
            "completed.module",
            "There is no module F99 in this catalogue.",
            id="no such module",
        ),
        pytest.param(
            {"attended_retreat": {"retreat": "RT_NONE"}},
            "attended_retreat.retreat",
            "There is no retreat RT_NONE in this catalogue.",
            id="no such retreat",
        ),
        pytest.param(
            {"invitation": {"offering": "F99"}},
            "invitation.offering",
            "There is no module or retreat F99.",
            id="an invitation to nothing",
        ),
        pytest.param(
            {"profession_in": {"set": "nowhere"}}, "profession_in.set", "There is no set nowhere.", id="no such set"
        ),
        pytest.param(
            {"completed_any": {"list": ["F1"], "n": 2}},
            "completed_any.n",
            "There are fewer modules to take than n asks for.",
            id="a set too small",
        ),
        pytest.param(
            OLD_AND_NEW, "date_window", "The window closes before it opens.", id="a window the wrong way round"
        ),
        pytest.param(
            {"attestation": {"list": "other", "version": "1"}},
            "attestation.list",
            "There is no list other.",
            id="no such list",
        ),
        pytest.param(
            {"attestation": {"list": "contraindications", "version": "older"}},
            "attestation.version",
            "The list is shown in version S2-2024.",
            id="another version of the list",
        ),
        pytest.param(
            {"equivalency": {"for": "F4"}},
            "equivalency.for",
            "The programme lists no training elsewhere that could replace F4.",
            id="no training elsewhere",
        ),
        pytest.param(
            {"retreat_equivalency": {"for": "RT_ADV"}},
            "retreat_equivalency.for",
            "The programme lists no training elsewhere that could replace RT_ADV.",
            id="no retreat elsewhere",
        ),
    ],
)
def test_every_problem_of_a_condition_says_what_is_wrong_and_where(rule: Any, place: str, message: str) -> None:
    assert said(with_gate(rule)) == [(f"gates.F2.rule.{place}", message)]


@pytest.mark.parametrize(
    ("programme", "place", "message"),
    [
        pytest.param(
            with_gate({"all": [F1, {"not": F1}]}),
            "gates.F2.rule",
            "The rule requires a condition and its opposite, so no trainee can satisfy it.",
            id="a contradiction",
        ),
        pytest.param(
            with_gate(None), "gates.F2.rule", "A rule is missing. Write mode none if there is no rule.", id="no rule"
        ),
        pytest.param(
            with_gate(F1, mode="none"), "gates.F2.rule", "A gate of mode none has no rule.", id="a rule too many"
        ),
        pytest.param(
            with_gate(F1, mode="recommended", recommended=F1),
            "gates.F2.recommended",
            "A gate of mode recommended has its recommendation in its rule.",
            id="two recommendations",
        ),
        pytest.param(
            with_gate(None, mode="UNSET"), "gates.F2.mode", "The gate of F2 is UNSET, so it stays shut.", id="UNSET"
        ),
        pytest.param(
            with_gate(F1, target="F99"), "gates.F99", "There is no module or retreat F99.", id="a gate of nothing"
        ),
        pytest.param(
            with_gate({"completed": {"module": "F2"}}),
            "gates.F2.rule",
            "These gates wait for each other: F2 → F2.",
            id="a gate that waits for itself",
        ),
        pytest.param(
            replace(demo(), gates={**demo().gates, "F2": replace(demo().gates["F2"], refs=())}),
            demo().gates["F2"].path,
            "A gate needs a source.",
            id="no source",
        ),
        pytest.param(
            replace(demo(), gates={**demo().gates, "F2": replace(demo().gates["F2"], approver=None)}),
            demo().gates["F2"].path,
            "A gate needs a named approver.",
            id="no approver",
        ),
        pytest.param(
            replace(demo(), gates={target: gate for target, gate in demo().gates.items() if target != "F3"}),
            "gates",
            "F3 has no gate. Write mode none to open it to everyone.",
            id="no gate",
        ),
        pytest.param(
            replace(with_gate({"profession_in": {"set": "few"}}), sets={**demo().sets, "few": None}),
            "gates.F2.rule.profession_in.set",
            "The set few is UNSET.",
            id="a set that is UNSET",
        ),
        pytest.param(
            replace(with_gate({"profession_in": {"set": "few"}}), sets={**demo().sets, "few": ()}),
            "gates.F2.rule.profession_in.set",
            "The set few is empty.",
            id="an empty set",
        ),
    ],
)
def test_every_problem_of_a_gate_says_what_is_wrong_and_where(programme: Programme, place: str, message: str) -> None:
    assert said(programme) == [(place, message)]


def test_a_module_that_is_not_offered_and_a_window_that_has_closed_are_named() -> None:
    hidden = {**demo().modules, "F4": replace(demo().modules["F4"], publish=False)}
    programme = replace(with_gate({"completed": {"module": "F4"}}), modules=hidden)
    place = "gates.F2.rule.completed.module"
    assert ("warning", "gate_target_not_offered", place) in found(programme)
    assert (place, "F4 is not offered at present.") in said(programme)
    both_hidden = replace(programme, modules={**hidden, "F2": replace(demo().modules["F2"], publish=False)})
    assert "gate_target_not_offered" not in {
        code for _, code, path in found(both_hidden) if path.startswith("gates.F2")
    }
    closed = with_gate({"date_window": {"to": "2024-01-31T09:00"}})
    assert said(closed, date(2024, 2, 1)) == [("gates.F2.rule.date_window.to", "The window has already closed.")]
    assert said(closed, date(2024, 1, 31)) == []


def test_a_window_of_one_day_may_be_published() -> None:
    assert said(with_gate({"date_window": {"from": "2024-01-31T17:00", "to": "2024-01-31"}})) == []


def test_an_invitation_or_a_screening_may_be_for_a_module_and_for_a_retreat() -> None:
    for offering in ("F3", "RT_EXP"):
        assert said(with_gate({"invitation": {"offering": offering}})) == []
        assert said(with_gate({"health_clearance": {"offering": offering, "steps": ["medical"]}})) == []
