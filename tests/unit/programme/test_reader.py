"""Reading a programme document: what it becomes, and what is said of a wrong one."""

from datetime import date, time
from decimal import Decimal

import pytest

from lti_tool.gates.publication import check_document
from lti_tool.programme.model import CompletionPolicy, CreditPolicy
from tests.unit.programme.documents import SMALL, changed, problems, programme


def test_a_good_document_has_no_problem_at_all() -> None:
    assert check_document(SMALL, "small.yaml").problems == ()


def test_a_module_takes_agenda_and_credits_from_its_length() -> None:
    module = programme().modules["A"]
    assert (module.agenda, module.credits, module.series) == ("day", {"apa": Decimal(6)}, "all")


def test_a_module_may_have_its_own_credits_and_none_at_all() -> None:
    document = changed("    title: The second\n", "    title: The second\n    credits: {}\n    agenda: UNSET\n")
    module = programme(document).modules["B"]
    assert (module.credits, module.agenda) == ({}, None)


def test_dates_take_their_times_from_the_length() -> None:
    first = programme().sessions[0]
    assert (first.date, first.starts, first.ends) == (date(2026, 7, 13), time(9), time(16))
    assert first.is_certain


def test_a_gate_for_several_offerings_is_one_gate_for_each() -> None:
    document = changed("for: [A], mode: none", "for: [A, B], mode: none")
    document = document[: document.index("  second:\n    for")] + document[document.index("  retreat:\n    for") :]
    gates = programme(document).gates
    assert {gates["A"].path, gates["B"].path} == {"gates.first"}


def test_a_named_set_of_licences_becomes_the_retreats_licence_types() -> None:
    assert programme().retreats["R"].licence_types == ("LMFT", "RN")


def test_an_equivalency_carries_the_address_of_its_contact() -> None:
    assert programme().equivalencies["A"].contact == "training@example.org"


def test_policies_are_exact_numbers() -> None:
    read = programme()
    assert read.completion == CompletionPolicy(Decimal("0.80"))
    assert read.bodies["apa"].policy == CreditPolicy(60, Decimal("0.25"), 15, 15, 15, 0, False, False)


def test_half_a_policy_is_no_policy() -> None:
    document = changed("max_missed_total_minutes: 15", "max_missed_total_minutes: UNSET")
    assert programme(document).bodies["apa"].policy is None


def test_a_credit_that_is_unset_is_none_and_never_zero() -> None:
    read = programme(changed("credits: {apa: 6}", "credits: {apa: UNSET}"))
    assert read.modules["A"].credits == {"apa": None}
    assert read.unset == ("lengths.day.credits.apa",)


def test_an_unset_choice_is_a_warning_where_it_stands() -> None:
    found = problems(changed("share: 0.80", "share: UNSET"))["unset"]
    assert (found.severity, found.path, found.line) == ("warning", "completion.share", 13)


def test_a_time_without_quotes_is_still_a_time() -> None:
    assert programme(SMALL.replace('"', "")).agendas["day"].instructional_minutes == 360


def test_aliases_inside_the_document_are_read() -> None:
    document = changed("rule:\n      any:", "rule: &first\n      any:")
    document = changed(
        "    rule:\n      licence_active: {types: clinical, at: offering_start}", "    rule: *first", document
    )
    assert programme(document).gates["R"].rule == programme(document).gates["B"].rule


def test_a_mistyped_key_is_named_with_file_line_and_path() -> None:
    found = problems(changed("objectives: [Know the first thing]", "objective: [Know the first thing]"))["unknown_key"]
    assert (found.severity, found.file, found.line, found.path) == ("error", "small.yaml", 35, "modules.A.objective")
    assert "objectives" in found.message


def test_all_errors_are_told_in_one_run() -> None:
    document = changed(
        "share: 0.80", "share: most", changed("title: The first\n    cert", "titel: The first\n    cert")
    )
    found = problems(document)
    assert {"unknown_key", "missing", "wrong_value"} <= set(found)


def test_a_rule_that_cannot_be_read_is_named_by_its_node() -> None:
    found = problems(changed("- completed: {module: A}", "- completet: {module: A}"))["rule_unknown"]
    assert (found.file, found.line, found.path) == ("small.yaml", 52, "gates.second.rule.any[0].completet")


@pytest.mark.parametrize(
    ("old", "new", "code", "path"),
    [
        ("format: 1\n", "format: 2\n", "unknown_format", "format"),
        ("format: 1\n", "", "missing", "format"),
        ("provider: Example Institute", "provider: UNSET", "not_set", "programme.provider"),
        ("provider: Example Institute", "provider: 12", "wrong_value", "programme.provider"),
        ("zone: America/Los_Angeles", "zone: PST8", "wrong_value", "programme.zone"),
        ("zone: America/Los_Angeles", "zone: ../etc/passwd", "wrong_value", "programme.zone"),
        ("share: 0.80", "share: 1.5", "wrong_value", "completion.share"),
        ("share: 0.80", "share: .nan", "wrong_value", "completion.share"),
        ("share: 0.80", "share: -.inf", "wrong_value", "completion.share"),
        ("credits: {apa: 6}", "credits: {apa: six}", "wrong_value", "lengths.day.credits.apa"),
        ("credits: {apa: 6}", "credits: {apa: -1}", "wrong_value", "lengths.day.credits.apa"),
        ("credits: {apa: 6}", "credits: {ama: 6}", "unknown_credit_body", "lengths.day.credits"),
        ("date: 2026-07-13", "date: 2026-02-30", "wrong_value", "modules.A.dates[0].date"),
        ("date: 2026-07-13", "date: July", "wrong_value", "modules.A.dates[0].date"),
        ("id: A-2", "id: A-1", "session_twice", "modules"),
        ('starts: "09:00"', 'starts: "9am"', "wrong_value", "lengths.day.starts"),
        ("instructional: false", "instructional: no", "wrong_value", "agendas.day.parts[1].instructional"),
        ('from: "12:00"', 'from: "11:45"', "agenda_overlap", "agendas.day.parts[1]"),
        ('from: "12:00"', 'from: "12:15"', "agenda_gap", "agendas.day.parts[1]"),
        ('from: "09:00"', 'from: "12:00"', "agenda_part_backwards", "agendas.day.parts[0]"),
        ("agenda: day\n", "agenda: night\n", "unknown_agenda", "lengths.day.agenda"),
        ("modules: [A, B]}", "modules: [A, C]}", "unknown_module", "series.all.modules"),
        ("modules: [B]}", "modules: [C]}", "unknown_module", "sets.others.modules"),
        ("{modules: [B]}", "{modules: [B], licences: [RN]}", "set_kind", "sets.others"),
        ("for: [A], mode", "for: [A, B], mode", "gate_twice", "gates.second"),
        ("for: [B]\n    mode: required", "for: [B]\n    mode: UNSET", "gate_unset", "gates.second.mode"),
        ("for: [B]\n    mode: required", "for: [B]", "missing", "gates.second"),
        (
            "completed: {module: A}",
            "completed: {module: Z}",
            "gate_target_missing",
            "gates.second.rule.any[0].completed.module",
        ),
        ("completed: {module: A}", "completed: {module: B}", "gate_cycle", "gates.second.rule"),
        ("  A:\n    contact: training", "  A:\n    contact: nobody", "unknown_contact", "equivalencies.A.contact"),
        (", reason: not about this subject", "", "provider_reason_missing", "equivalencies.A.providers.not_known"),
        (", review: fast_track", "", "provider_review_missing", "equivalencies.A.providers.known"),
        ("body: apa", "body: ama", "unknown_credit_body", "document_matrix[0]"),
        ("notice: null", "notice: none_such", "unknown_notice", "document_matrix[0]"),
        ("body: apa, document", "body: null, document", "body_missing", "document_matrix[0]"),
        ("minutes_per_credit: 60", "minutes_per_credit: 0", "not_set", "credit_bodies.apa.policy.minutes_per_credit"),
        ("capacity: 12", "capacity: UNSET", "unset_but_published", "retreats.R.capacity"),
        ("screening_steps: [medical]", "screening_steps: UNSET", "unset_but_published", "retreats.R.screening_steps"),
        ("capacity: 12", "credits: {apa: 6}\n    capacity: 12", "credit_on_retreat", "retreats.R.credits"),
        ("ends_on: 2026-10-07", "ends_on: 2026-10-01", "retreat_backwards", "retreats.R.dates[0]"),
        ("  R:\n    title", "  B:\n    title", "offering_twice", "retreats.B"),
        ("  R:\n    title", "  9 R:\n    title", "wrong_name", "retreats.9 R"),
        ("    length: day\ngates", "    length: week\ngates", "unknown_length", "modules.B.length"),
        (
            "    length: day\ngates",
            "    length: day\n    teachers: [nobody]\ngates",
            "unknown_teacher",
            "modules.B.teachers",
        ),
        (
            "format: 1\n",
            "format: 1\nmade_for_demonstration: [modules.Z]\n",
            "unknown_path",
            "made_for_demonstration[0]",
        ),
    ],
)
def test_each_error_is_refused_with_its_code_and_place(old: str, new: str, code: str, path: str) -> None:
    found = problems(changed(old, new))
    assert code in found, found
    assert (found[code].severity, found[code].path) == ("error", path)
    assert found[code].line > 0
    assert check_document(changed(old, new), "small.yaml").programme is None


def test_a_date_that_takes_attendance_must_be_certain() -> None:
    found = problems(changed("confidence: printed, takes_attendance: true", "confidence: high, takes_attendance: true"))
    assert found["date_not_confirmed"].path == "modules.A.dates[0]"


def test_a_retreat_may_stay_open_while_it_takes_no_applications() -> None:
    document = changed("publish: true", "publish: false", changed("capacity: 12", "capacity: UNSET"))
    document = changed(
        "for: [R]\n    mode: required\n    rule:\n      licence_active: {types: clinical, at: offering_start}\n",
        "for: [R]\n    mode: UNSET\n",
        document,
    )
    read = programme(document)
    assert read.gates["R"].mode == "UNSET"
    assert not read.is_published("R")


def test_a_document_that_is_no_mapping_is_refused() -> None:
    assert problems("- a\n- b\n")["wrong_value"].severity == "error"


def test_an_empty_mapping_is_told_everything_it_lacks() -> None:
    assert problems("{}")["missing"].severity == "error"
