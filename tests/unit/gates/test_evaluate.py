"""The evaluator: the programme's own rules as vectors, every condition, and what must never open."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from lti_tool.gates.conditions import parse_rule
from lti_tool.gates.decision import Decision, UsedException
from lti_tool.gates.evaluate import MAX_KEPT_PROGRAMMES, evaluate, rules_of
from lti_tool.gates.facts import Attestation, Clearance, Facts, Invitation
from tests.unit.gates.people_and_programmes import (
    AT,
    BEFORE,
    RETREAT,
    completed,
    decide,
    demo,
    exception,
    facts,
    judged,
    licence,
    request,
    roster_entry,
    with_gate,
)

ENDED = {"ended_at": BEFORE, "ended_reason": "recorded for somebody else"}
OTHER = completed("F3", number=2)


@pytest.mark.parametrize("offering", ["F2", "F3", "F4", "F5", "FP"])
@pytest.mark.parametrize(
    ("known", "status", "reasons"),
    [
        ([completed("F1")], "satisfied", []),
        ([completed("F1"), request("F1", "declined")], "satisfied", []),
        ([request("F1", "approved")], "waived", []),
        ([request("F1", "approved", expires_on=date(2024, 8, 1))], "waived", []),
        ([request("F1", "submitted")], "pending", ["module_not_taken", "equivalency_pending"]),
        ([request("F1", "more_info")], "pending", ["module_not_taken", "equivalency_more_info"]),
        ([request("F1", "draft")], "unmet", ["module_not_taken", "equivalency_draft"]),
        ([request("F1", "declined")], "unmet", ["module_not_taken", "equivalency_declined"]),
        ([request("F1", "withdrawn")], "unmet", ["module_not_taken", "equivalency_withdrawn"]),
        ([request("F1", "revoked")], "unmet", ["module_not_taken", "equivalency_revoked"]),
        ([request("F1", "expired", expires_on=date(2024, 7, 2))], "unmet", ["module_not_taken", "equivalency_expired"]),
        (
            [request("F1", "approved", expires_on=date(2024, 7, 31))],
            "unmet",
            ["module_not_taken", "equivalency_expired"],
        ),
        ([], "unmet", ["module_not_taken", "equivalency_none"]),
        ([completed("F1", **ENDED)], "unmet", ["completion_ended", "equivalency_none"]),
        ([completed("F3")], "unmet", ["module_not_taken", "equivalency_none"]),
    ],
)
def test_foundational_modules_need_module_1_or_an_accepted_equivalency(
    offering: str, known: list[Any], status: str, reasons: list[str]
) -> None:
    decision = decide(offering, *known)
    assert (decision.status, decision.open) == (status, status in ("satisfied", "waived"))
    assert [node.reason for node in decision.unmet()] == reasons


def test_a_completion_taken_back_locks_with_the_reason_given() -> None:
    [ended, _] = decide("F2", completed("F1", **ENDED)).unmet()
    assert ended.params["why"] == "recorded for somebody else"


SHORT = licence(expires_on=date(2024, 9, 3))


@pytest.mark.parametrize(
    ("known", "status", "reasons"),
    [
        ([licence(), completed("F1")], "satisfied", []),
        ([licence(), request("F1", "approved"), OTHER], "waived", []),
        ([licence(), request("F1", "approved")], "unmet", ["module_not_taken", "one_more_module"]),
        ([licence(), request("F1", "submitted"), OTHER], "pending", ["module_not_taken", "equivalency_pending"]),
        ([licence(), OTHER], "unmet", ["module_not_taken", "equivalency_none"]),
        ([SHORT, completed("F1")], "unmet", ["licence_ends_before"]),
        ([completed("F1"), request("F1", "approved"), OTHER], "unmet", ["licence_missing"]),
        ([licence(expires_on=RETREAT), completed("F1")], "satisfied", []),
        ([licence(issued_on=date(2024, 9, 5)), completed("F1")], "unmet", ["licence_not_yet_valid"]),
        ([licence(issued_on=RETREAT), completed("F1")], "satisfied", []),
        ([licence(expires_on=date(2024, 7, 31)), completed("F1")], "unmet", ["licence_expired"]),
        ([licence(type="chaplain"), completed("F1")], "unmet", ["licence_type_not_listed"]),
        ([licence(status="inactive"), completed("F1")], "unmet", ["licence_inactive"]),
        ([licence(status="probation"), completed("F1")], "unmet", ["licence_on_probation"]),
        ([licence(ended_at=BEFORE), completed("F1")], "unmet", ["licence_missing"]),
        ([SHORT, licence(number=13), completed("F1")], "satisfied", []),
        (
            [],
            "unmet",
            ["licence_missing", "module_not_taken", "equivalency_none", "one_more_module"],
        ),
    ],
)
def test_the_experiential_retreat_needs_a_licence_and_module_1_or_an_equivalency_with_another_module(
    known: list[Any], status: str, reasons: list[str]
) -> None:
    decision = decide("RT_EXP", *known)
    assert (decision.status, decision.open) == (status, status in ("satisfied", "waived"))
    assert [node.reason for node in decision.unmet()] == reasons


@pytest.mark.parametrize(
    ("known", "status"),
    [
        ([roster_entry("RT_EXP", "attended")], "satisfied"),
        ([roster_entry("RT_EXP", "no_show")], "unmet"),
        ([roster_entry("RT_EXP", "attended", ended_at=BEFORE)], "unmet"),
        ([request("RT_EXP", "submitted")], "pending"),
        ([request("RT_EXP", "approved")], "waived"),
        ([completed(f"F{number}", number=number) for number in range(1, 6)], "unmet"),
        ([], "unmet"),
    ],
)
def test_the_advanced_retreat_needs_the_first_retreat_or_an_approved_equivalent(known: list[Any], status: str) -> None:
    assert decide("RT_ADV", *known).status == status


def test_a_retreat_whose_rule_nobody_has_set_is_locked_even_with_everything_and_an_exception() -> None:
    everything = [licence(), completed("F1"), roster_entry("RT_EXP", "attended"), exception("RT_DIA")]
    decision = decide("RT_DIA", *everything)
    assert (decision.open, decision.status, decision.reason) == (False, "error", "gate_unset")


def test_a_free_gate_is_open_and_has_no_tree() -> None:
    decision = decide("F1")
    assert (decision.open, decision.reason, decision.tree) == (True, "gate_free", None)


def test_a_recommended_gate_is_open_and_shows_what_is_recommended() -> None:
    decision = decide("ST_MUS")
    assert decision.open
    assert decision.tree is None
    assert decision.recommended is not None
    assert decision.recommended.status == "unmet"


def test_what_is_recommended_for_a_retreat_never_blocks() -> None:
    decision = decide("RT_EXP", licence(), completed("F1"))
    assert decision.open
    assert decision.recommended is not None
    assert decision.recommended.progress == (1, 5)


def test_an_offering_that_is_not_published_is_shut_but_still_explained() -> None:
    programme = replace(demo(), modules={**demo().modules, "F2": replace(demo().modules["F2"], publish=False)})
    decision = decide("F2", completed("F1"), programme=programme)
    assert (decision.open, decision.status, decision.reason) == (False, "satisfied", "not_offered")


@pytest.mark.parametrize(
    ("programme", "reason"),
    [
        (replace(demo(), gates={}), "gate_missing"),
        (with_gate(None), "rule_unreadable"),
        (with_gate({}), "rule_unreadable"),
        (with_gate({"bogus": {}}), "rule_unreadable"),
        (with_gate(None, mode="UNSET"), "gate_unset"),
        (with_gate(None, mode="whatever"), "gate_unset"),
        (replace(demo(), modules={}), "offering_gone"),
    ],
)
def test_a_gate_that_cannot_be_read_locks(programme: Any, reason: str) -> None:
    decision = decide("F2", completed("F1"), exception("F2"), programme=programme)
    assert (decision.open, decision.status, decision.reason) == (False, "error", reason)


@pytest.mark.parametrize(
    ("mode", "required", "recommended"),
    [("required", ("unmet", "gates.F2.rule.all"), "F3"), ("recommended", None, "F1"), ("none", None, "F3")],
)
def test_the_mode_says_what_is_required_and_what_is_recommended(
    mode: str, required: tuple[str, str] | None, recommended: str
) -> None:
    rule = {"all": [{"completed": {"module": "F1"}}]}
    programme = with_gate(rule, mode=mode, recommended={"completed": {"module": "F3"}})
    decision = decide("F2", completed(recommended), programme=programme)
    assert decision.recommended is not None
    assert decision.recommended.status == "satisfied"
    assert (decision.tree and (decision.tree.status, decision.tree.path)) == required


def test_a_broken_recommendation_does_not_lock() -> None:
    assert decide("F2", programme=with_gate({"bogus": {}}, mode="recommended")).open


F1 = {"completed": {"module": "F1"}}


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"completed": {"module": "F99"}}, "target_gone"),
        ({"equivalency": {"for": "F99"}}, "target_gone"),
        ({"attended_retreat": {"retreat": "RT_NONE"}}, "target_gone"),
        ({"retreat_equivalency": {"for": "RT_NONE"}}, "target_gone"),
        ({"completed_any": {"set": "nowhere"}}, "set_gone"),
        ({"completed_any": {"list": ["F1"], "except": ["F1"]}}, "set_too_small"),
        ({"licence_active": {"types": "nowhere"}}, "set_gone"),
    ],
)
def test_a_condition_that_names_what_is_gone_is_an_error_and_locks(rule: Any, reason: str) -> None:
    node = judged(rule, completed("F1"), licence())
    assert (node.status, node.reason) == ("error", reason)


@pytest.mark.parametrize(("values", "reason"), [(None, "set_unset"), ((), "set_empty")])
def test_a_set_that_is_unset_or_empty_locks(values: Any, reason: str) -> None:
    programme = replace(with_gate({"licence_active": {"types": "few"}}), sets={"few": values})
    decision = decide("F2", licence(), programme=programme)
    assert (decision.open, decision.unmet()[0].reason) == (False, reason)


def test_a_record_that_cannot_be_understood_locks_and_leaves_the_other_conditions_readable() -> None:
    spoilt = licence(issued_on="2020-01-01")
    node = judged({"all": [F1, {"licence_active": {"types": ["LMFT"]}}]}, spoilt, completed("F1"))
    assert [child.status for child in node.children] == ["satisfied", "error"]
    assert node.status == "error"


def test_facts_that_could_not_be_read_are_unknown_and_lock() -> None:
    node = judged(F1, completed("F1"), unavailable=frozenset({"completions"}))
    assert (node.status, node.reason) == ("unknown", "facts_unavailable")


def test_a_naive_moment_locks() -> None:
    naive = datetime(2024, 8, 1, 16)  # noqa: DTZ001
    known = facts(completed("F1"))
    assert evaluate(demo(), 3, "F2", known, naive) == Decision("F2", 3, naive, known, False, "error", "check_failed")


@pytest.mark.parametrize(
    ("statuses", "n", "expected"),
    [
        ("ss", 2, "satisfied"),
        ("sw", 2, "waived"),
        ("sw", 1, "satisfied"),
        ("wu", 1, "waived"),
        ("su", 2, "unmet"),
        ("sx", 2, "unmet"),
        ("sp", 2, "pending"),
        ("pe", 1, "pending"),
        ("pe", 2, "error"),
        ("pk", 2, "unknown"),
        ("ke", 1, "error"),
        ("ue", 2, "unmet"),
        ("uuk", 1, "unknown"),
        ("ssse", 3, "satisfied"),
    ],
)
def test_the_algebra_of_groups(statuses: str, n: int, expected: str) -> None:
    leaves = {
        "s": ({"completed": {"module": "F1"}}),
        "w": ({"equivalency": {"for": "F1"}}),
        "p": ({"equivalency": {"for": "F3"}}),
        "u": ({"completed": {"module": "F4"}}),
        "x": ({"date_window": {"to": "2024-07-01"}}),
        "e": ({"completed": {"module": "F99"}}),
        "k": ({"licence_active": {"types": ["LMFT"], "at": "offering_start"}}),
    }
    rule = {"at_least": {"n": n, "of": [leaves[each] for each in statuses]}}
    node = judged(rule, completed("F1"), request("F1", "approved"), request("F3", "submitted", number=8), licence())
    assert node.status == expected


@pytest.mark.parametrize(
    ("child", "status"),
    [
        (F1, "unmet"),
        ({"completed": {"module": "F4"}}, "satisfied"),
        ({"date_window": {"to": "2024-07-01"}}, "satisfied"),
        ({"completed": {"module": "F99"}}, "error"),
        ({"licence_active": {"types": ["LMFT"], "at": "offering_start"}}, "unknown"),
    ],
)
def test_not_is_met_only_by_what_is_surely_unmet(child: Any, status: str) -> None:
    assert judged({"not": child}, completed("F1"), licence()).status == status


@pytest.mark.parametrize(
    ("rule", "day", "start", "status"),
    [
        ({"types": ["LMFT"]}, date(2024, 8, 1), None, "satisfied"),
        ({"types": ["LMFT"]}, date(2024, 7, 31), None, "expired"),
        ({"types": ["LMFT"], "at": "2024-10-01"}, date(2024, 9, 30), None, "expired"),
        ({"types": ["LMFT"], "at": date(2024, 10, 1)}, date(2024, 10, 1), None, "satisfied"),
        ({"types": ["LMFT"], "at": "live_session"}, date(2024, 9, 30), date(2024, 10, 1), "expired"),
        ({"types": ["LMFT"], "at": "offering_start"}, date(2024, 10, 1), date(2024, 10, 1), "satisfied"),
        ({"types": ["LMFT"], "at": "offering_start"}, date(2024, 10, 1), None, "unknown"),
        ({"types": ["LMFT"], "jurisdictions": ["NV"]}, date(2025, 1, 1), None, "unmet"),
        ({"types": ["LMFT"], "jurisdictions": ["NV", "CA"]}, date(2025, 1, 1), None, "satisfied"),
        ({"types": ["LMFT"], "verified": True}, date(2025, 1, 1), None, "unmet"),
    ],
)
def test_a_licence_is_judged_on_the_day_that_the_rule_names(
    rule: Any, day: date, start: date | None, status: str
) -> None:
    assert judged({"licence_active": rule}, licence(expires_on=day), start=start).status == status


def test_the_day_is_the_day_in_the_programmes_zone() -> None:
    midnight_utc = datetime(2024, 8, 1, 3, 0, tzinfo=UTC)
    expired_there = licence(expires_on=date(2024, 7, 31))
    programme = with_gate({"licence_active": {"types": ["LMFT"]}})
    assert decide("F2", expired_there, programme=programme, at=midnight_utc).open, "it is still July 31 in Los Angeles"


@pytest.mark.parametrize(
    ("window", "status"),
    [
        ({"from": "2024-08-01", "to": "2024-08-01"}, "satisfied"),
        ({"from": "2024-08-02"}, "unmet"),
        ({"to": "2024-07-31"}, "expired"),
        ({"from": "2024-08-01T09:00"}, "satisfied"),
        ({"from": "2024-08-01T09:01"}, "unmet"),
        ({"to": "2024-08-01T08:59"}, "expired"),
        ({"from": "2024-08-01T18:00", "zone": "Europe/Berlin"}, "satisfied"),
        ({"from": "2024-08-01T18:01", "zone": "Europe/Berlin"}, "unmet"),
    ],
)
def test_a_window_is_open_between_its_wall_times(window: Any, status: str) -> None:
    assert judged({"date_window": window}).status == status


def clearance(step: str, status: str, *, number: int = 1, **changes: Any) -> Clearance:
    values = {"id": number, "recorded_at": BEFORE, "offering": "F2", "step": step, "status": status}
    return Clearance(**(values | changes))


@pytest.mark.parametrize(
    ("known", "status", "reason"),
    [
        ([("medical", "cleared"), ("psychological", "cleared_with_conditions")], "satisfied", "screening_done"),
        ([("medical", "cleared")], "unmet", "screening_not_started"),
        ([("medical", "cleared"), ("psychological", "in_review")], "pending", "screening_in_progress"),
        ([("medical", "not_cleared"), ("psychological", "in_review")], "unmet", "screening_not_passed"),
        ([("medical", "expired"), ("psychological", "cleared")], "expired", "screening_expired"),
        ([("medical", "withdrawn"), ("psychological", "cleared")], "unmet", "screening_not_passed"),
    ],
)
def test_every_step_of_the_screening_must_be_cleared(known: list[tuple[str, str]], status: str, reason: str) -> None:
    rule = {"health_clearance": {"offering": "F2", "steps": ["medical", "psychological"]}}
    cleared = tuple(clearance(step, word, number=number) for number, (step, word) in enumerate(known))
    node = judged(rule, clearances=cleared)
    assert (node.status, node.reason) == (status, reason)


def test_cleared_with_conditions_cannot_be_told_from_cleared() -> None:
    rule = {"health_clearance": {"offering": "F2", "steps": ["medical"]}}
    plain, conditional = (
        judged(rule, clearances=(clearance("medical", word),)) for word in ("cleared", "cleared_with_conditions")
    )
    assert plain == conditional


def test_a_clearance_must_last_until_the_offering() -> None:
    rule = {"health_clearance": {"offering": "F2", "steps": ["medical"]}}
    lasting = (clearance("medical", "cleared", valid_until=date(2024, 9, 3)),)
    assert judged(rule, clearances=lasting).status == "satisfied"
    assert judged(rule, clearances=lasting, start=RETREAT).status == "expired"


def test_a_statement_counts_for_its_version_only() -> None:
    rule = {"attestation": {"list": "contraindications", "version": "S2-2024"}}
    made = Attestation(id=1, recorded_at=BEFORE, list_name="contraindications", version="S2-2024")
    assert judged(rule).reason == "attestation_missing"
    assert judged(rule, attestations=(made,)).reason == "attestation_made"
    assert judged(rule, attestations=(replace(made, version="older"),)).reason == "attestation_outdated"


@pytest.mark.parametrize(
    ("state", "status"), [("unused", "satisfied"), ("accepted", "satisfied"), ("revoked", "unmet")]
)
def test_an_invitation_counts_while_it_stands(state: str, status: str) -> None:
    invited = (Invitation(id=1, recorded_at=BEFORE, offering="F2", state=state),)
    assert judged({"invitation": {"offering": "F2"}}, invitations=invited).status == status
    assert judged({"invitation": {"offering": "F3"}}, invitations=invited).status == "unmet"


@pytest.mark.parametrize(
    ("profession", "reason"),
    [("nurse", "profession_listed"), ("chaplain", "profession_not_listed"), (None, "profession_not_stated")],
)
def test_a_profession_must_be_listed(profession: str | None, reason: str) -> None:
    assert judged({"profession_in": {"set": ["nurse", "physician"]}}, profession=profession).reason == reason


def test_different_modules_count_and_the_excepted_ones_do_not() -> None:
    rule = {"completed_any": {"list": ["F1", "F2", "F3", "F4"], "n": 2, "except": ["F4"]}}
    taken = [completed("F1", number=1), completed("F1", number=2), completed("F4", number=3)]
    assert (judged(rule, *taken).reason, judged(rule, *taken).progress) == ("one_more_module", (1, 2))
    assert judged(rule).reason == "more_modules"
    assert judged(rule, *taken, completed("F3", number=4)).reason == "modules_taken"


@pytest.mark.parametrize(("taken", "progress"), [(0, (0, 2)), (1, (1, 2)), (2, (2, 2)), (3, (2, 2)), (4, (2, 2))])
def test_progress_never_exceeds_what_is_needed(taken: int, progress: tuple[int, int]) -> None:
    modules = ["F1", "F3", "F4", "F5"]
    known = [completed(module, number=number) for number, module in enumerate(modules[:taken], 1)]
    children = [{"completed": {"module": module}} for module in modules]
    assert judged({"at_least": {"n": 2, "of": children}}, *known).progress == progress
    assert judged({"completed_any": {"list": modules, "n": 2}}, *known).progress == progress


def test_a_legacy_module_counts_only_through_a_confirmed_row_and_only_where_aliases_are_accepted() -> None:
    taken = completed("L1")
    assert not decide("F2", taken).open
    confirmed = replace(demo(), legacy_to_current={"L1": "F1"})
    assert decide("F2", taken, programme=confirmed).open
    strict = replace(
        with_gate({"completed": {"module": "F1", "accept_aliases": False}}), legacy_to_current={"L1": "F1"}
    )
    assert not decide("F2", taken, programme=strict).open


F4 = {"completed": {"module": "F4"}}


def test_the_gates_of_a_programme_are_parsed_once_and_only_so_many_programmes_are_kept() -> None:
    programme = with_gate(F1, recommended=F1)
    required, recommended = rules_of(programme, "F2")
    assert rules_of(programme, "F2")[0] is required
    assert rules_of(programme, "F2")[1] is recommended
    others = [with_gate(F4) for _ in range(MAX_KEPT_PROGRAMMES)]
    assert {rules_of(each, "F2") for each in others} == {(parse_rule(F4, "gates.F2.rule"), None)}
    assert rules_of(programme, "F2")[0] is not required


F5 = {"completed": {"module": "F5"}}
SCREENING = {"health_clearance": {"offering": "F2", "steps": ["medical"]}}
STATEMENT = {"attestation": {"list": "contraindications", "version": "S2-2024"}}
OLD_STATEMENT = {"attestation": {"list": "contraindications", "version": "older"}}


class TestExceptions:
    def test_an_exception_opens_its_own_gate_and_the_tree_still_shows_what_is_unmet(self) -> None:
        decision = decide("F2", exception("F2"))
        assert decision.open
        assert decision.exception is not None
        assert (decision.status, decision.unmet()) == ("unmet", [])
        assert [node.reason for node in decision.covered()] == ["module_not_taken", "equivalency_none"]
        assert not decide("F3", exception("F2")).open

    @pytest.mark.parametrize(
        "changes", [{"expires_on": date(2024, 7, 31)}, {"ended_at": BEFORE}, {"recorded_at": AT + timedelta(days=1)}]
    )
    def test_an_exception_that_ran_out_was_ended_or_came_later_opens_nothing(self, changes: dict[str, Any]) -> None:
        assert not decide("F2", exception("F2", **changes)).open

    def test_the_last_day_still_counts(self) -> None:
        assert decide("F2", exception("F2", expires_on=date(2024, 8, 1))).open

    @pytest.mark.parametrize(
        "never",
        [
            {"health_clearance": {"offering": "F2", "steps": ["medical"]}},
            {"attestation": {"list": "contraindications", "version": "S2-2024"}},
            {"not": {"attestation": {"list": "contraindications", "version": "older"}}},
        ],
    )
    def test_an_exception_never_replaces_screening_or_the_statement(self, never: Any) -> None:
        made = Attestation(id=1, recorded_at=BEFORE, list_name="contraindications", version="older")
        programme = with_gate({"all": [F1, never]})
        known = replace(facts(exception("F2")), attestations=(made,))
        assert not evaluate(programme, 3, "F2", known, AT).open

    def test_an_exception_covers_a_not_and_a_pending_request(self) -> None:
        rule = {"all": [{"not": F1}, {"equivalency": {"for": "F3"}}]}
        known = [completed("F1"), request("F3", "submitted"), exception("F2")]
        assert decide("F2", *known, programme=with_gate(rule)).open

    @pytest.mark.parametrize(
        ("rule", "is_open"),
        [
            ({"completed": {"module": "F99"}}, False),
            ({"not": {"completed": {"module": "F99"}}}, False),
            ({"not": {"licence_active": {"types": ["LMFT"], "at": "offering_start"}}}, False),
            ({"not": {"all": [F1, {"completed": {"module": "F99"}}]}}, False),
            ({"all": [F4, {"completed": {"module": "F99"}}]}, False),
            ({"any": [F4, {"completed": {"module": "F99"}}]}, True),
        ],
    )
    def test_an_exception_never_covers_what_cannot_be_checked(self, rule: Any, is_open: bool) -> None:
        decision = decide("F2", completed("F1"), licence(), exception("F2"), programme=with_gate(rule))
        assert (decision.open, decision.exception is not None) == (is_open, is_open)

    @pytest.mark.parametrize(
        ("rule", "is_open"),
        [
            ({"all": [F4, {"all": [F4, SCREENING]}]}, False),
            ({"all": [F4, {"any": [SCREENING, STATEMENT]}]}, False),
            ({"at_least": {"n": 2, "of": [F4, SCREENING, STATEMENT]}}, False),
            ({"at_least": {"n": 2, "of": [F4, F5, STATEMENT]}}, True),
            ({"any": [F4, SCREENING]}, True),
            ({"not": {"any": [F4, OLD_STATEMENT]}}, False),
            ({"not": {"all": [F1, {"any": [F4, OLD_STATEMENT]}]}}, False),
            ({"not": {"any": [F1, F4]}}, True),
        ],
    )
    def test_screening_and_the_statement_are_never_excepted_at_any_depth(self, rule: Any, is_open: bool) -> None:
        made = Attestation(id=1, recorded_at=BEFORE, list_name="contraindications", version="older")
        known = replace(facts(completed("F1"), exception("F2")), attestations=(made,))
        decision = evaluate(with_gate(rule), 3, "F2", known, AT)
        assert decision.status == "unmet"
        assert decision.open is is_open

    def test_exceptions_that_could_not_be_read_open_nothing(self) -> None:
        known = replace(facts(exception("F2")), unavailable=frozenset({"exceptions"}))
        decision = evaluate(demo(), 3, "F2", known, AT)
        assert (decision.open, decision.exception) == (False, None)

    @pytest.mark.parametrize(
        ("granted", "used"),
        [
            ([(5, 1), (6, 20)], (6, 20)),
            ([(5, 20), (6, 1)], (5, 20)),
            ([(6, 20), (5, 20)], (5, 20)),
            ([(5, 1), (6, 9), (7, 20)], (7, 20)),
        ],
    )
    def test_of_several_exceptions_the_one_that_lasts_longest_is_used(
        self, granted: list[tuple[int, int]], used: tuple[int, int]
    ) -> None:
        records = [exception("F2", number=number, expires_on=date(2024, 9, day)) for number, day in granted]
        other = exception("F3", number=1, expires_on=date(2024, 12, 1))
        decision = decide("F2", *records, other)
        assert decision.exception == UsedException(used[0], date(2024, 9, used[1]))


class TestSameInputs:
    def test_the_same_inputs_give_the_same_bytes_whatever_the_order_of_the_facts(self) -> None:
        records = [licence(), licence(number=13), request("F1", "approved"), OTHER, completed("F4", number=9)]
        first, second = decide("RT_EXP", *records), decide("RT_EXP", *reversed(records))
        assert json.dumps(first.to_json()) == json.dumps(second.to_json())
        assert first.digest == second.digest

    def test_another_moment_version_or_fact_gives_another_digest(self) -> None:
        base = decide("F2")
        assert base.digest != decide("F2", at=AT + timedelta(seconds=1)).digest
        assert base.digest != evaluate(demo(), 4, "F2", facts(), AT).digest
        assert base.digest != decide("F2", completed("ST_MUS")).digest

    def test_the_decision_for_a_past_moment_is_the_one_that_was_made_then(self) -> None:
        then = facts(request("F1", "submitted"), licence())
        later = AT + timedelta(days=30)
        now = facts(
            request("F1", "approved", decided_at=later, changed_at=later, expires_on=date(2026, 1, 1)),
            licence(ended_at=later, ended_reason="corrected"),
            licence(number=13, recorded_at=later),
            completed("F1", recorded_at=later),
        )
        before, again = evaluate(demo(), 3, "F2", then, AT), evaluate(demo(), 3, "F2", now, AT)
        assert before.to_json() == again.to_json()
        assert evaluate(demo(), 3, "F2", now, later).open

    def test_a_request_revoked_later_was_approved_then_and_one_sent_later_a_draft(self) -> None:
        later = AT + timedelta(days=30)
        assert decide("F2", request("F1", "revoked", changed_at=later)).status == "waived"
        assert decide("F2", request("F1", "submitted", submitted_at=later, changed_at=later)).unmet()[1].reason == (
            "equivalency_draft"
        )

    def test_the_example_of_the_specification(self) -> None:
        decision = decide("RT_EXP", licence(), request("F1", "approved"))
        written = decision.to_json()
        assert (written["offering"], written["open"], written["status"], written["exception"]) == (
            "RT_EXP",
            False,
            "unmet",
            None,
        )
        held, training = written["tree"]["children"]
        assert (held["condition"], held["evidence"], held["date"]) == ("licence_active", ["licence:12"], "2026-03-31")
        module, elsewhere = training["children"]
        assert module["next"] == {"label": "See Module 1 dates", "to": "dates:F1"}
        assert [child["status"] for child in elsewhere["children"]] == ["waived", "unmet"]
        assert elsewhere["children"][1]["progress"] == [0, 1]
        assert written["recommended"][0]["progress"] == [0, 5]


def test_everything_is_collected_and_nothing_stops_at_the_first_failure() -> None:
    rule = {"all": [{"completed": {"module": f"F{number}"}} for number in range(1, 6)]}
    decision = decide("FP", programme=with_gate(rule, target="FP"))
    assert [node.params["module"] for node in decision.unmet()] == ["F1", "F2", "F3", "F4", "F5"]


def test_facts_of_nobody_open_only_what_is_free() -> None:
    opened = [each for each in demo().gates if evaluate(demo(), 3, each, Facts(8), AT, RETREAT).open]
    assert opened == ["F1", "ST_CF", "ST_MUS", "ST_MED", "ST_ETH", "ST_INT", "ST_ACT"]
