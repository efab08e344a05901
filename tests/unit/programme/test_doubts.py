"""Warnings: each is told once, at its place, and goes when a named person has acknowledged it."""

from decimal import Decimal

import pytest

from lti_tool.programme.model import CreditPolicy
from lti_tool.programme.validation import ceiling
from tests.unit.programme.documents import SMALL, changed, problems, programme

APPROVAL = "    jurisdiction: any\n    policy"
FEES = "    credits: {apa: 6}\n"


@pytest.mark.parametrize(
    ("minutes", "per_credit", "step", "most"),
    [
        (390, 60, "0.25", "6.5"),
        (390, 50, "0.1", "7.8"),
        (225, 60, "0.25", "3.75"),
        (225, 50, "0.1", "4.5"),
        (479, 60, "0.25", "7.75"),
        (480, 60, "0.25", "8"),
        (400, 50, "1", "8"),
        (399, 50, "1", "7"),
    ],
)
def test_the_ceiling_is_what_the_minutes_give_rounded_down_to_the_step(
    minutes: int, per_credit: int, step: str, most: str
) -> None:
    policy = CreditPolicy(per_credit, Decimal(step), 15, 15, 15, 0, True, True)
    assert ceiling(minutes, policy) == Decimal(most)


@pytest.mark.parametrize(
    ("old", "new", "code", "path"),
    [
        ("credits: {apa: 6}", "credits: {apa: 8}", "credits_above_ceiling", "lengths.day.credits.apa"),
        ('ends: "16:00"', 'ends: "17:00"', "agenda_differs_from_length", "lengths.day.agenda"),
        ("instructional: false", "instructional: true", "agenda_without_break", "agendas.day"),
        ("fee_required: false", "fee_required: true", "credits_without_fee", "credit_bodies.apa"),
        (FEES, "    credits: {}\n    fees: {apa: 79}\n", "fee_without_credits", "credit_bodies.apa"),
        (
            APPROVAL,
            "    statement: One.\n    statement_of_body: Two.\n" + APPROVAL,
            "statement_differs",
            "credit_bodies.apa.statement",
        ),
        (APPROVAL, "    valid_to: 2026-08-01\n" + APPROVAL, "approval_not_valid", "credit_bodies.apa"),
        ("    objectives: [Know the first thing]\n", "", "objectives_missing", "modules"),
        ("    certificate_title: The first\n", "", "certificate_title_missing", "modules"),
        (
            "date: 2026-09-30, confidence: printed",
            "date: 2026-09-30, confidence: high",
            "dates_not_confirmed",
            "modules",
        ),
        ("retreats:\n", "faculty: {one: {name: A. Person}}\nretreats:\n", "vitae_missing", "faculty"),
        ("ends_on: 2026-10-07", "ends_on: 2026-10-08", "retreat_days_differ", "retreats.R.dates[0]"),
        ("modules: [A, B]}", "modules: [A, B], printed_count: 3}", "series_count_differs", "series.all"),
    ],
)
def test_each_doubt_is_a_warning_at_its_place(old: str, new: str, code: str, path: str) -> None:
    found = problems(changed(old, new))
    assert [(each.severity, each.code, each.path) for each in found.values()] == [("warning", code, path)]


def test_a_package_dearer_than_its_parts_is_told() -> None:
    prices = changed(
        "    length: day\n    dates", "    length: day\n    price: {tuition: 325, admin_fee: 25}\n    dates"
    )
    prices = changed("    length: day\ngates", "    length: day\n    price: {tuition: 275}\ngates", prices)
    dearer = changed("gates:\n", "packages: {both: {title: Both, modules: [A, B], tuition: 626}}\ngates:\n", prices)
    assert problems(dearer)["package_dearer_than_parts"].path == "packages.both"
    assert problems(dearer.replace("626", "625")) == {}


def test_credits_above_the_ceiling_of_an_own_agenda_are_told_at_the_module() -> None:
    document = changed("    title: The second\n", "    title: The second\n    credits: {apa: 7}\n")
    assert problems(document)["credits_above_ceiling"].path == "modules.B.credits.apa"


def test_a_contradiction_is_a_warning_until_somebody_has_decided() -> None:
    open_one = "contradictions: {C99: {area: gates, conflict: One. Two., held_as: Both., decide: staff}}\n"
    assert problems(SMALL + open_one)["contradiction_undecided"].path == "contradictions.C99"
    held = problems(SMALL + open_one.replace("decide: staff", "decide: none"))
    assert held["contradiction_held"].message.endswith("Held as: Both.")
    assert problems(SMALL + open_one.replace("decide: staff", "decide: staff, decided_by: head of training")) == {}


def test_an_acknowledged_warning_is_not_told_again() -> None:
    document = changed("credits: {apa: 6}", "credits: {apa: 8}")
    reason = (
        "{warning: credits_above_ceiling, path: lengths.day.credits.apa, reason: as approved, by: head of training}"
    )
    assert problems(f"{document}acknowledged: [{reason}]\n") == {}
    assert programme(f"{document}acknowledged: [{reason}]\n").acknowledged[0].reason == "as approved"


def test_an_acknowledgement_of_nothing_is_told() -> None:
    reason = (
        "{warning: credits_above_ceiling, path: lengths.day.credits.apa, reason: as approved, by: head of training}"
    )
    assert set(problems(f"{SMALL}acknowledged: [{reason}]\n")) == {"acknowledgement_unused"}
