"""What changed between two programmes, and when two documents mean the same."""

import pytest

from lti_tool.programme.versions import Change, canonical, diff, programme_digest
from tests.unit.programme.documents import SMALL, changed, programme


def changes(old: str, new: str) -> list[Change]:
    return diff(programme(), programme(changed(old, new)))


def test_a_document_is_not_different_from_itself() -> None:
    assert diff(programme(), programme()) == []


def test_a_change_has_its_path_and_both_values() -> None:
    assert changes("title: The first\n    cert", "title: The very first\n    cert") == [
        Change("modules.A.title", "The first", "The very first")
    ]


def test_a_new_choice_is_a_change_from_nothing() -> None:
    assert changes("capacity: 12", "capacity: 12\n    partner: A clinic") == [
        Change("retreats.R.partner", None, "A clinic")
    ]


def test_a_changed_length_shows_in_every_module_it_is_for() -> None:
    assert [each.path for each in changes("credits: {apa: 6}", "credits: {apa: 5.5}")] == [
        "lengths.day.credits.apa",
        "modules.A.credits.apa",
        "modules.B.credits.apa",
    ]


def test_a_changed_rule_is_one_change() -> None:
    (change,) = changes("- equivalency: {for: A}", "- completed: {module: A}")
    assert change.path == "gates.B.rule"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("format: 1\n", "# a remark\nformat: 1\n"),
        ("share: 0.80", "share: 0.8"),
        ("[LMFT, RN]", "[RN, LMFT]"),
        (
            "{purpose: trainings, address: training@example.org}",
            "{address: training@example.org, purpose: 'trainings'}",
        ),
        (
            "- completed: {module: A}\n        - equivalency: {for: A}",
            "- equivalency: {for: A}\n        - completed: {module: A}",
        ),
        ("title: A retreat", 'title: "A retreat"'),
        ("  second:\n    for: [B]", "  the_second:\n    for: [B]"),
    ],
)
def test_another_form_of_the_same_meaning_is_no_change(old: str, new: str) -> None:
    assert changes(old, new) == []
    assert programme_digest(programme(changed(old, new))) == programme_digest(programme())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("share: 0.80", "share: 0.81"),
        ("[A, B]}", "[B, A]}"),
        ("capacity: 12", "capacity: 13"),
        ("mode: none", "mode: required\n    rule: {completed: {module: B}}".replace("\n    ", ", ")),
    ],
)
def test_another_meaning_has_another_digest(old: str, new: str) -> None:
    from_here = SMALL if "mode" not in old else changed("- completed: {module: A}", "- invitation: {offering: B}")
    assert programme_digest(programme(changed(old, new, from_here))) != programme_digest(programme(from_here))


def test_exact_numbers_are_written_as_text() -> None:
    assert canonical(programme())["completion"]["share"] == "0.8"
