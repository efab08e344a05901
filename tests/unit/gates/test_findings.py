"""What each condition finds, whole: its status, the reason, the words and the records behind it, and the next step
(gates.md A1.2, A2.7)."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from lti_tool.gates.condition_checks import Inputs, check, facts_needed, short_name
from lti_tool.gates.conditions import parse_rule
from lti_tool.gates.decision import NextStep, Node, Status
from lti_tool.gates.facts import RECORDS, Attestation, Clearance, Facts, Invitation
from tests.unit.gates.people_and_programmes import (
    AT,
    BEFORE,
    completed,
    demo,
    judged,
    licence,
    request,
    roster_entry,
)

CONTACT = NextStep("Write to the training team", "contact")
CATALOGUE = NextStep("See modules", "catalogue")
DATES = NextStep("See Module 1 dates", "dates:F1")
ELSEWHERE = NextStep("Request equivalency", "equivalency:F1")
OWN_REQUEST = NextStep("See your request", "equivalency:F1")
RETREAT_PAGE = NextStep("See the retreat", "retreat:RT_EXP")
LATER, LATEST = BEFORE + timedelta(days=2), BEFORE + timedelta(days=4)
ENDED = {"ended_at": LATER, "ended_reason": "recorded for somebody else"}


def leaf(
    status: Status,
    condition: str,
    reason: str,
    params: dict[str, Any],
    *evidence: str,
    progress: tuple[int, int] | None = None,
    step: NextStep | None = None,
) -> Node:
    path = f"gates.F2.rule.{condition}"
    return Node(status, condition, reason, params, evidence, progress, step, path=path)


MODULE_1 = {"completed": {"module": "F1"}}
TWO_OF = {"completed_any": {"list": ["F4", "F1", "F3"], "n": 2}}
OTHER_MODULES = {"completed_any": {"set": "other_polaris_modules"}}
EQUIVALENT = {"equivalency": {"for": "F1"}}
ATTENDED = {"attended_retreat": {"retreat": "RT_EXP"}}
COMPLETIONS = {
    "no completion": (MODULE_1, [], leaf("unmet", "completed", "module_not_taken", {"module": "F1"}, step=DATES)),
    "a completion": (
        MODULE_1,
        [completed("F1", origin="imported")],
        leaf(
            "satisfied",
            "completed",
            "module_taken",
            {"module": "F1", "date": "2024-07-01", "origin": "imported"},
            "completion:1",
        ),
    ),
    "the earliest of several completions": (
        MODULE_1,
        [
            completed("F1", number=1, completed_on=date(2024, 6, 3)),
            completed("F1", number=3, completed_on=date(2024, 6, 2), origin="staff"),
            completed("F1", number=2, completed_on=date(2024, 6, 2)),
        ],
        leaf(
            "satisfied",
            "completed",
            "module_taken",
            {"module": "F1", "date": "2024-06-02", "origin": "attendance"},
            "completion:2",
        ),
    ),
    "the completion taken back last": (
        MODULE_1,
        [
            completed("F1", number=2, **ENDED | {"ended_reason": "entered twice"}),
            completed("F1", number=1, **ENDED),
        ],
        leaf(
            "unmet",
            "completed",
            "completion_ended",
            {"module": "F1", "why": "entered twice", "date": "2024-07-03"},
            "completion:2",
            step=DATES,
        ),
    ),
    "none of several modules": (
        TWO_OF,
        [],
        leaf(
            "unmet",
            "completed_any",
            "more_modules",
            {"list": ["F1", "F3", "F4"]},
            progress=(0, 2),
            step=CATALOGUE,
        ),
    ),
    "one module of several, and one taken back": (
        TWO_OF,
        [completed("F3", number=7), completed("F4", number=6, **ENDED), completed("F3", number=9)],
        leaf(
            "unmet",
            "completed_any",
            "one_more_module",
            {"list": ["F1", "F3", "F4"]},
            "completion:7",
            progress=(1, 2),
            step=CATALOGUE,
        ),
    ),
    "enough modules of several": (
        TWO_OF,
        [completed("F4", number=8), completed("F1", number=5), completed("F1", number=4), completed("F3", number=6)],
        leaf(
            "satisfied",
            "completed_any",
            "modules_taken",
            {"list": ["F1", "F3", "F4"]},
            "completion:4",
            "completion:6",
            "completion:8",
            progress=(2, 2),
        ),
    ),
    "none of a set": (
        OTHER_MODULES,
        [completed("F1")],
        leaf(
            "unmet",
            "completed_any",
            "one_more_module",
            {"set": "other_polaris_modules"},
            progress=(0, 1),
            step=CATALOGUE,
        ),
    ),
}
REQUESTS = {
    "no request": (
        EQUIVALENT,
        [request("F3", "approved")],
        leaf("unmet", "equivalency", "equivalency_none", {"for": "F1"}, step=ELSEWHERE),
    ),
    "an approval without an end": (
        EQUIVALENT,
        [request("F1", "approved", submitted_at=None, decided_at=LATER, changed_at=LATEST)],
        leaf("waived", "equivalency", "equivalency_approved", {"for": "F1", "date": "2024-07-03"}, "request:7"),
    ),
    "an approval without a date": (
        EQUIVALENT,
        [request("F1", "approved", decided_at=None)],
        leaf("waived", "equivalency", "equivalency_approved", {"for": "F1", "date": None}, "request:7"),
    ),
    "an approval on its last day": (
        EQUIVALENT,
        [request("F1", "approved", expires_on=AT.date())],
        leaf(
            "waived",
            "equivalency",
            "equivalency_approved",
            {"for": "F1", "date": "2024-07-01", "until": "2024-08-01"},
            "request:7",
        ),
    ),
    "an approval that ran out yesterday": (
        EQUIVALENT,
        [request("F1", "approved", decided_at=LATER, changed_at=LATEST, expires_on=date(2024, 7, 31))],
        leaf(
            "expired",
            "equivalency",
            "equivalency_expired",
            {"for": "F1", "date": "2024-07-03", "until": "2024-07-31"},
            "request:7",
            step=ELSEWHERE,
        ),
    ),
    "an approval ended by the system": (
        EQUIVALENT,
        [request("F1", "expired", decided_at=LATER, changed_at=LATEST, expires_on=date(2024, 7, 5))],
        leaf(
            "expired",
            "equivalency",
            "equivalency_expired",
            {"for": "F1", "date": "2024-07-03", "until": "2024-07-05"},
            "request:7",
            step=ELSEWHERE,
        ),
    ),
    "a request that was sent": (
        EQUIVALENT,
        [request("F1", "submitted", submitted_at=LATER, changed_at=LATEST)],
        leaf(
            "pending",
            "equivalency",
            "equivalency_pending",
            {"for": "F1", "date": "2024-07-03"},
            "request:7",
            step=OWN_REQUEST,
        ),
    ),
    "a request with a question": (
        EQUIVALENT,
        [request("F1", "more_info", submitted_at=LATER, changed_at=LATEST)],
        leaf(
            "pending",
            "equivalency",
            "equivalency_more_info",
            {"for": "F1", "date": "2024-07-03"},
            "request:7",
            step=OWN_REQUEST,
        ),
    ),
    **{
        f"a request that is {state}": (
            EQUIVALENT,
            [request("F1", state, changed_at=LATEST)],
            leaf(
                "unmet",
                "equivalency",
                f"equivalency_{state}",
                {"for": "F1", "date": "2024-07-05"},
                "request:7",
                step=ELSEWHERE,
            ),
        )
        for state in ("draft", "declined", "withdrawn", "revoked")
    },
    "an approval before a later request": (
        EQUIVALENT,
        [request("F1", "approved", number=1), request("F1", "submitted", number=2)],
        leaf("waived", "equivalency", "equivalency_approved", {"for": "F1", "date": "2024-07-01"}, "request:1"),
    ),
    "an open request before a later refusal": (
        EQUIVALENT,
        [request("F1", "more_info", number=1), request("F1", "declined", number=2)],
        leaf(
            "pending",
            "equivalency",
            "equivalency_more_info",
            {"for": "F1", "date": "2024-07-01"},
            "request:1",
            step=OWN_REQUEST,
        ),
    ),
    "an open request before an approval that ran out": (
        EQUIVALENT,
        [request("F1", "submitted", number=1), request("F1", "approved", number=2, expires_on=date(2024, 7, 31))],
        leaf(
            "pending",
            "equivalency",
            "equivalency_pending",
            {"for": "F1", "date": "2024-07-01"},
            "request:1",
            step=OWN_REQUEST,
        ),
    ),
    "the later of two refusals": (
        EQUIVALENT,
        [request("F1", "withdrawn", number=2), request("F1", "declined", number=1)],
        leaf(
            "unmet",
            "equivalency",
            "equivalency_withdrawn",
            {"for": "F1", "date": "2024-07-01"},
            "request:2",
            step=ELSEWHERE,
        ),
    ),
    "an approved retreat elsewhere": (
        {"retreat_equivalency": {"for": "RT_EXP"}},
        [request("RT_EXP", "approved")],
        leaf(
            "waived",
            "retreat_equivalency",
            "equivalency_approved",
            {"for": "RT_EXP", "date": "2024-07-01"},
            "request:7",
        ),
    ),
    "no retreat elsewhere": (
        {"retreat_equivalency": {"for": "RT_EXP"}},
        [],
        leaf(
            "unmet",
            "retreat_equivalency",
            "equivalency_none",
            {"for": "RT_EXP"},
            step=NextStep("Request equivalency", "equivalency:RT_EXP"),
        ),
    ),
}
RETREATS = {
    "no retreat": (
        ATTENDED,
        [roster_entry("RT_ADV", "attended"), roster_entry("RT_EXP", "attended", number=4, **ENDED)],
        leaf("unmet", "attended_retreat", "retreat_not_attended", {"retreat": "RT_EXP"}, step=RETREAT_PAGE),
    ),
    "the first retreat attended": (
        ATTENDED,
        [
            roster_entry("RT_EXP", "attended", number=1, starts_on=date(2024, 5, 1)),
            roster_entry("RT_EXP", "attended", number=3, starts_on=date(2024, 4, 1)),
            roster_entry("RT_EXP", "attended", number=2, starts_on=date(2024, 4, 1)),
            roster_entry("RT_EXP", "no_show", number=9),
        ],
        leaf(
            "satisfied",
            "attended_retreat",
            "retreat_attended",
            {"retreat": "RT_EXP", "date": "2024-04-01"},
            "roster:2",
        ),
    ),
    "the last retreat missed": (
        ATTENDED,
        [
            roster_entry("RT_EXP", "no_show", number=2, starts_on=date(2024, 3, 1)),
            roster_entry("RT_EXP", "no_show", number=1, starts_on=date(2024, 5, 1)),
        ],
        leaf(
            "unmet",
            "attended_retreat",
            "retreat_no_show",
            {"retreat": "RT_EXP", "date": "2024-03-01"},
            "roster:2",
            step=RETREAT_PAGE,
        ),
    ),
}
LISTED = {"licence_active": {"types": ["LMFT", "RN"]}}
CALIFORNIAN = {"licence_active": {"types": ["LMFT"], "jurisdictions": ["CA"], "verified": True}}


def no_licence(reason: str) -> Node:
    return leaf("unmet", "licence_active", reason, {}, step=CONTACT)


LICENCES = {
    "no licence": (LISTED, [], no_licence("licence_missing")),
    "only a licence that was corrected": (LISTED, [licence(**ENDED)], no_licence("licence_missing")),
    "a licence of another type": (LISTED, [licence(type="chaplain")], no_licence("licence_type_not_listed")),
    "a licence of another state": (CALIFORNIAN, [licence(jurisdiction="NV")], no_licence("licence_jurisdiction")),
    "an inactive licence": (LISTED, [licence(status="inactive")], no_licence("licence_inactive")),
    "a licence on probation": (LISTED, [licence(status="probation")], no_licence("licence_on_probation")),
    "a licence not checked": (CALIFORNIAN, [licence(verified=False)], no_licence("licence_not_verified")),
    "a licence checked by staff": (
        CALIFORNIAN,
        [licence(verified=True)],
        leaf(
            "satisfied",
            "licence_active",
            "licence_ok_until",
            {"type": "LMFT", "jurisdiction": "CA", "date": "2026-03-31"},
            "licence:12",
        ),
    ),
    "the valid licence that lasts longest": (
        LISTED,
        [
            licence(number=1, expires_on=date(2025, 1, 1)),
            licence(number=3, type="RN", jurisdiction="NV", expires_on=date(2025, 6, 1)),
            licence(number=4, expires_on=date(2025, 6, 1)),
            licence(number=5, issued_on=date(2024, 8, 2), expires_on=date(2027, 1, 1)),
        ],
        leaf(
            "satisfied",
            "licence_active",
            "licence_ok_until",
            {"type": "RN", "jurisdiction": "NV", "date": "2025-06-01"},
            "licence:3",
        ),
    ),
    "a licence from tomorrow": (
        LISTED,
        [licence(issued_on=date(2024, 8, 2))],
        leaf(
            "unmet",
            "licence_active",
            "licence_not_yet_valid",
            {"type": "LMFT", "jurisdiction": "CA", "date": "2024-08-02"},
            "licence:12",
            step=CONTACT,
        ),
    ),
    "a licence from today": (
        LISTED,
        [licence(issued_on=date(2024, 8, 1), expires_on=date(2024, 8, 1))],
        leaf(
            "satisfied",
            "licence_active",
            "licence_ok_until",
            {"type": "LMFT", "jurisdiction": "CA", "date": "2024-08-01"},
            "licence:12",
        ),
    ),
    "a licence that ran out yesterday": (
        LISTED,
        [licence(expires_on=date(2024, 7, 31))],
        leaf(
            "expired",
            "licence_active",
            "licence_expired",
            {"type": "LMFT", "jurisdiction": "CA", "date": "2024-07-31", "on": "2024-08-01"},
            "licence:12",
            step=CONTACT,
        ),
    ),
    "a licence that runs out today, before the day asked for": (
        {"licence_active": {"types": ["LMFT"], "at": "2024-08-02"}},
        [licence(expires_on=date(2024, 8, 1))],
        leaf(
            "expired",
            "licence_active",
            "licence_ends_before",
            {"type": "LMFT", "jurisdiction": "CA", "date": "2024-08-01", "on": "2024-08-02"},
            "licence:12",
            step=CONTACT,
        ),
    ),
    "a day not announced": (
        {"licence_active": {"types": ["LMFT"], "at": "live_session"}},
        [licence()],
        leaf("unknown", "licence_active", "offering_date_unknown", {}, step=CONTACT),
    ),
}


def identified(cases: dict[str, Any]) -> Any:
    return pytest.mark.parametrize(("rule", "records", "expected"), cases.values(), ids=cases)


@identified(COMPLETIONS | REQUESTS | RETREATS | LICENCES)
def test_the_record_that_counts_is_shown_with_its_date_and_the_next_step(
    rule: Any, records: list[Any], expected: Node
) -> None:
    assert judged(rule, *records) == expected


def made(number: int, version: str, **changes: Any) -> Attestation:
    values = {"id": number, "recorded_at": BEFORE, "list_name": "contraindications", "version": version}
    return Attestation(**(values | changes))


def invited(number: int, state: str = "unused", **changes: Any) -> Invitation:
    return Invitation(**({"id": number, "recorded_at": BEFORE, "offering": "F2", "state": state} | changes))


def screened(number: int, step: str, status: str, **changes: Any) -> Clearance:
    values = {"id": number, "recorded_at": BEFORE, "offering": "F2", "step": step, "status": status}
    return Clearance(**(values | changes))


STATEMENT = {"attestation": {"list": "contraindications", "version": "S2-2024"}}
INVITATION = {"invitation": {"offering": "F2"}}
SCREENING = {"health_clearance": {"offering": "F2", "steps": ["medical", "psychological"]}}
WINDOW = {"date_window": {"from": "2024-08-01T09:00", "to": "2024-08-01T09:00"}}
NURSES = {"profession_in": {"set": ["nurse", "physician"]}}
MEDICAL, PSYCHOLOGICAL = screened(1, "medical", "cleared"), screened(2, "psychological", "cleared_with_conditions")


def screening(status: Status, reason: str) -> Node:
    step = None if status == "satisfied" else CONTACT
    return leaf(
        status, "health_clearance", reason, {"offering": "F2", "steps": ["medical", "psychological"]}, step=step
    )


def window(status: Status, reason: str, opens: str | None, closes: str | None, zone: str) -> Node:
    return leaf(status, "date_window", reason, {"from": opens, "to": closes, "zone": zone})


ZONE = "America/Los_Angeles"
STATED = {
    "the first of several statements": (
        STATEMENT,
        {
            "attestations": (
                made(1, "S2-2024", recorded_at=LATER),
                made(3, "S2-2024"),
                made(2, "S2-2024"),
                made(4, "older", recorded_at=BEFORE - timedelta(days=9)),
                made(5, "S2-2024", list_name="another", recorded_at=BEFORE - timedelta(days=9)),
            )
        },
        leaf(
            "satisfied",
            "attestation",
            "attestation_made",
            {"list": "contraindications", "version": "S2-2024", "date": "2024-07-01"},
            "statement:2",
        ),
    ),
    "a statement of an earlier version": (
        STATEMENT,
        {"attestations": (made(1, "older"),)},
        leaf(
            "unmet",
            "attestation",
            "attestation_outdated",
            {"list": "contraindications", "version": "S2-2024"},
            step=CONTACT,
        ),
    ),
    "a statement about another list": (
        STATEMENT,
        {"attestations": (made(1, "S2-2024", list_name="another"),)},
        leaf(
            "unmet",
            "attestation",
            "attestation_missing",
            {"list": "contraindications", "version": "S2-2024"},
            step=CONTACT,
        ),
    ),
    "the first of several invitations": (
        INVITATION,
        {
            "invitations": (
                invited(1, "revoked"),
                invited(2, offering="F3"),
                invited(4),
                invited(3, "accepted", recorded_at=LATER),
            )
        },
        leaf("satisfied", "invitation", "invited", {"offering": "F2", "date": "2024-07-03"}, "invitation:3"),
    ),
    "no invitation that stands": (
        INVITATION,
        {"invitations": (invited(1, "revoked"),)},
        leaf("unmet", "invitation", "not_invited", {"offering": "F2"}, step=CONTACT),
    ),
    "a listed profession": (
        NURSES,
        {"profession": "nurse"},
        leaf("satisfied", "profession_in", "profession_listed", {"profession": "nurse"}),
    ),
    "a profession of a set": (
        {"profession_in": {"set": "clinical_licences"}},
        {"profession": "RN"},
        leaf("satisfied", "profession_in", "profession_listed", {"profession": "RN"}),
    ),
    "another profession": (
        NURSES,
        {"profession": "chaplain"},
        leaf("unmet", "profession_in", "profession_not_listed", {"profession": "chaplain"}, step=CONTACT),
    ),
    "no profession": (NURSES, {}, leaf("unmet", "profession_in", "profession_not_stated", {}, step=CONTACT)),
    "every step cleared": (
        SCREENING,
        {"clearances": (MEDICAL, PSYCHOLOGICAL)},
        screening("satisfied", "screening_done"),
    ),
    "a step not begun": (SCREENING, {"clearances": (MEDICAL,)}, screening("unmet", "screening_not_started")),
    "a step marked as not begun": (
        SCREENING,
        {"clearances": (MEDICAL, screened(2, "psychological", "not_started"))},
        screening("unmet", "screening_not_started"),
    ),
    "a step to which the person is invited": (
        SCREENING,
        {"clearances": (MEDICAL, screened(2, "psychological", "invited"))},
        screening("pending", "screening_in_progress"),
    ),
    "a step under review beside one that ran out": (
        SCREENING,
        {"clearances": (screened(1, "medical", "expired"), screened(2, "psychological", "in_review"))},
        screening("expired", "screening_expired"),
    ),
    "a step that was cleared again": (
        SCREENING,
        {
            "clearances": (
                MEDICAL,
                screened(9, "psychological", "not_cleared"),
                screened(3, "psychological", "in_review", recorded_at=LATER),
                screened(4, "psychological", "cleared", recorded_at=LATER),
                screened(5, "psychological", "expired", offering="RT_EXP", recorded_at=LATEST),
            )
        },
        screening("satisfied", "screening_done"),
    ),
    "a clearance on its last day": (
        SCREENING,
        {"clearances": (replace(MEDICAL, valid_until=date(2024, 8, 1)), PSYCHOLOGICAL)},
        screening("satisfied", "screening_done"),
    ),
    "a clearance that ran out yesterday": (
        SCREENING,
        {"clearances": (MEDICAL, replace(PSYCHOLOGICAL, valid_until=date(2024, 7, 31)))},
        screening("expired", "screening_expired"),
    ),
    "the only minute of a window": (
        WINDOW,
        {},
        window("satisfied", "window_open", "2024-08-01T09:00:00", "2024-08-01T09:00:00", ZONE),
    ),
    "the last day of a window": (
        {"date_window": {"to": "2024-08-01"}},
        {},
        window("satisfied", "window_open", None, "2024-08-01", ZONE),
    ),
    "a window not open yet": (
        {"date_window": {"from": "2024-08-02"}},
        {},
        window("unmet", "window_not_open", "2024-08-02", None, ZONE),
    ),
    "a window that has closed": (
        {"date_window": {"to": "2024-08-01T17:59", "zone": "Europe/Berlin"}},
        {},
        window("expired", "window_closed", None, "2024-08-01T17:59:00", "Europe/Berlin"),
    ),
}


@pytest.mark.parametrize(("rule", "known", "expected"), STATED.values(), ids=STATED)
def test_statements_screening_and_windows_are_shown_with_what_was_found(
    rule: Any, known: dict[str, Any], expected: Node
) -> None:
    assert judged(rule, **known) == expected


def test_a_legacy_module_and_a_legacy_retreat_count_under_their_own_names() -> None:
    programme = replace(demo(), legacy_to_current={"L1": "F1", "RT_OLD": "RT_EXP"})

    def found(rule: Any, **known: Any) -> Node:
        return check(parse_rule(rule), Inputs(programme, Facts(7, **known), AT, AT.date(), None))

    taken = (completed("L1"),)
    assert found(MODULE_1, completions=taken).params == {
        "module": "F1",
        "date": "2024-07-01",
        "origin": "attendance",
        "taken_as": "L1",
    }
    assert found({"completed_any": {"list": ["F1"]}}, completions=taken).status == "satisfied"
    assert found(ATTENDED, retreats=(roster_entry("RT_OLD", "attended"),)).evidence == ("roster:3",)


CHECKED_BY: dict[str, Any] = {
    "completions": [MODULE_1, TWO_OF],
    "equivalencies": [EQUIVALENT, {"retreat_equivalency": {"for": "RT_EXP"}}],
    "retreats": [ATTENDED],
    "licences": [LISTED],
    "profession": [NURSES],
    "clearances": [SCREENING],
    "attestations": [STATEMENT],
    "invitations": [INVITATION],
}


@pytest.mark.parametrize("kind", CHECKED_BY)
def test_each_condition_names_the_facts_it_needs_and_is_unknown_without_them(kind: str) -> None:
    for rule in CHECKED_BY[kind]:
        [name] = rule
        assert facts_needed(parse_rule(rule)) == {kind}
        unread = judged(rule, unavailable=frozenset({kind}))
        assert unread == leaf("unknown", name, "facts_unavailable", {}, step=CONTACT)
        others = frozenset({*RECORDS, "profession"} - {kind})
        assert judged(rule, unavailable=others).status != "unknown"


def test_a_window_needs_no_facts() -> None:
    assert facts_needed(parse_rule(WINDOW)) == frozenset()
    assert judged(WINDOW, unavailable=frozenset({*RECORDS, "profession"})).status == "satisfied"


@pytest.mark.parametrize(
    ("rule", "records", "reason"),
    [
        pytest.param({"completed": {"module": "F99"}}, [], "target_gone", id="a module that is gone"),
        pytest.param({"equivalency": {"for": "F99"}}, [], "target_gone", id="an equivalency of a module that is gone"),
        pytest.param(
            {"completed_any": {"list": ["F1"], "n": 2}}, [], "set_too_small", id="more modules than there are"
        ),
        pytest.param(EQUIVALENT, [request("F1", "lost")], "record_unreadable", id="a request in no known state"),
        pytest.param(LISTED, [licence(issued_on=None)], "check_failed", id="a licence without a date"),
    ],
)
def test_what_cannot_be_checked_names_its_place_and_the_training_team(
    rule: Any, records: list[Any], reason: str
) -> None:
    [name] = rule
    assert judged(rule, *records) == leaf("error", name, reason, {}, step=CONTACT)


def test_something_that_is_no_condition_is_an_error_without_a_place() -> None:
    inputs = Inputs(demo(), Facts(7), AT, AT.date(), None)
    assert check("F1", inputs) == Node("error", "unknown", "check_failed", next_step=CONTACT)  # type: ignore[arg-type]


def test_a_module_is_called_by_its_number_and_a_retreat_by_its_title() -> None:
    assert short_name(demo(), "F3") == "Module 3"
    assert short_name(demo(), "RT_EXP") == demo().retreats["RT_EXP"].title
