"""What shows which fault of a unit's set-up, and that every fault has its advice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lti_tool.diagnostics.unit_findings import ANYWHERE, BY_HAND, ON_PLATFORM, SIGNS, Column, Unit, advice, examine
from lti_tool.lti.quirks import PROFILES

AGS = "https://purl.imsglobal.org/spec/lti-ags/scope/"
END = datetime(2026, 12, 2, 1, tzinfo=UTC)
BOUND = Column("completion", is_bound=True, due_at=None)

WELL = Unit(
    placement_id=1,
    profile="openedx",
    content="module:F1",
    module_id="F1",
    ags_scopes=(f"{AGS}lineitem.readonly", f"{AGS}score"),
    has_unreadable_grades=False,
    has_line_item=True,
    has_line_items=True,
    has_roster=True,
    shares_name=True,
    shares_email=True,
    columns=(BOUND,),
    column_gone=False,
    answers={},
    score_due_by=END,
    newer_client=False,
    holds_another_modules_grade=False,
    unknown="",
    to_type="",
    refused_person="",
)

FAULTS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"newer_client": True}, ["client_replaced"]),
    ({"module_id": None, "unknown": "F9", "refused_person": "Trainee 1"}, ["offering_unknown"]),
    ({"ags_scopes": (), "has_unreadable_grades": True}, ["grades_unreadable"]),
    ({"content": "", "module_id": None}, ["module_missing"]),
    ({"content": "", "module_id": "F2"}, []),  # staff chose its module
    ({"content": "page:retreats", "module_id": None, "ags_scopes": ()}, []),  # what brings no score needs no grades
    ({"answers": {"token": {"tool_keys_unreadable"}}}, ["keys_unreadable"]),
    ({"answers": {"token": {"token_refused"}}}, ["token_refused"]),
    ({"answers": {"token": {"token_url_wrong"}}}, ["token_refused"]),
    ({"answers": {"token": {"scope_refused"}}}, []),  # the service that it was for says so
    ({"answers": {"scores": {"scope_refused"}}}, ["grades_refused"]),
    ({"answers": {"line_items": {"line_items_refused"}}}, ["grades_refused"]),
    ({"answers": {"line_items": {"service_foreign"}}}, ["service_foreign"]),
    ({"answers": {"scores": {"service_refused"}}}, []),  # one person's score: the page Scores tells
    ({"ags_scopes": ()}, ["grades_off"]),
    ({"ags_scopes": (f"{AGS}result.readonly",)}, ["grades_off"]),
    ({"has_line_item": False, "columns": ()}, ["line_item_missing"]),
    ({"has_line_item": False, "columns": (), "ags_scopes": (f"{AGS}lineitem", f"{AGS}score")}, []),
    (
        {
            "has_line_item": False,
            "has_line_items": False,
            "columns": (),
            "ags_scopes": (f"{AGS}lineitem", f"{AGS}score"),
        },
        ["line_item_missing"],
    ),
    ({"has_line_item": False, "columns": (), "column_gone": True}, ["line_item_gone"]),
    ({"answers": {"line_items": {"line_item_gone"}}}, ["line_item_gone"]),
    ({"columns": (replace(BOUND, is_bound=False),)}, ["line_item_unbound"]),
    ({"columns": (replace(BOUND, is_bound=None),)}, []),
    ({"columns": (replace(BOUND, is_bound=False), BOUND)}, []),
    ({"columns": (replace(BOUND, due_at=END - timedelta(hours=1)),)}, ["past_due"]),
    ({"columns": (replace(BOUND, due_at=END + timedelta(hours=1)),)}, []),
    ({"columns": (replace(BOUND, due_at=END - timedelta(hours=1)),), "score_due_by": None}, []),
    ({"columns": (), "holds_another_modules_grade": True}, ["grade_shared"]),
    ({"has_roster": False}, ["roster_off"]),
    ({"answers": {"roster": {"above_response_limit"}}}, ["roster_too_large"]),
    ({"answers": {"roster": {"roster_refused"}}}, ["roster_refused"]),
    ({"answers": {"roster": {"scope_refused"}}}, ["roster_refused"]),
    ({"answers": {"roster": {"next_link_foreign"}}}, ["roster_unreadable"]),
    ({"answers": {"roster": {"no_answer"}}}, []),  # it is asked again
    ({"shares_email": False}, ["email_not_shared"]),
    ({"shares_name": False}, ["name_not_shared"]),
    ({"shares_name": None, "shares_email": None}, []),
]


@pytest.mark.parametrize(("seen", "codes"), FAULTS)
def test_each_fault_shows_by_its_own_sign(seen: dict[str, Any], codes: list[str]) -> None:
    assert [each.code for each in examine(replace(WELL, **seen))] == codes


def test_every_sign_is_shown_by_some_unit_of_this_table() -> None:
    assert {sign.code for sign in SIGNS} == {code for _, codes in FAULTS for code in codes}


@pytest.mark.parametrize("profile", PROFILES)
def test_every_fault_has_advice_on_every_platform(profile: str) -> None:
    assert all(advice(profile, sign.code) for sign in SIGNS)
    assert profile in BY_HAND


def test_advice_speaks_of_no_fault_that_nothing_shows() -> None:
    codes = {sign.code for sign in SIGNS}
    assert set(ANYWHERE) == codes
    assert {code for codes_of_one in ON_PLATFORM.values() for code in codes_of_one} <= codes


def test_open_edx_is_told_in_the_words_of_studio() -> None:
    (found,) = examine(replace(WELL, ags_scopes=()))
    assert found.state == "wrong"
    assert found.next_step == "In Studio, edit the unit: Assignment and Grades: Declarative."
