"""What each line of the checklist says to learner and staff: its evidence, and the next step."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from lti_tool.credit.checklist import Line, StaffFact, decide_claim
from lti_tool.programme.model import ScorePolicy
from tests.training_day import MODULE, stay
from tests.unit.credit.claim_cases import LMFT, PROGRAMME, RN, case, line, with_policy


def body(name="apa", **changes):
    return replace(PROGRAMME, bodies={name: replace(PROGRAMME.bodies[name], **changes)})


def with_credits(credits):
    module = replace(PROGRAMME.modules[MODULE], credits={"apa": credits})
    return replace(PROGRAMME, modules={MODULE: module})


def writing(does):
    return f"The training team {does}. Write to ce@larkspur-hill.example."


def held(*, satisfied, says, staff, step="", **changes):
    """The line about a licence, and its evidence."""
    given = replace(LMFT, **changes)
    evidence = {
        "licence": 1,
        "issued_on": str(given.issued_on),
        "expires_on": str(given.expires_on),
        "status": given.status,
        "verified": "true" if given.verified else "false",
    }
    return PROGRAMME, case(licences=(given,)), Line("licence", satisfied, says, staff, step, evidence)


def matched(kind, place, *, satisfied, says, staff, step=""):
    given = replace(LMFT, type=kind, jurisdiction=place)
    evidence = {"licence": 1, "type": kind, "jurisdiction": place}
    return PROGRAMME, case(licences=(given,)), Line("matrix", satisfied, says, staff, step, evidence)


NOT_OFFERED = "Credit of APA is not offered for this module."
WRONG_DATA = writing("corrects the licence data if they are wrong")
RECORDED = writing("records your licence")
FEE_DUE = with_policy(fee_required=True)
EVALUATION_DUE = with_policy(evaluation_required=True)
SEEN = StaffFact("staff:4", datetime(2026, 11, 11, 9, 30, tzinfo=UTC), "Seen at the desk.")
SEEN_EVIDENCE = {"recorded_by": "staff:4", "recorded_at": "2026-11-11T09:30:00+00:00", "reason": "Seen at the desk."}
RECONCILED_ONLY = replace(PROGRAMME, scores=ScorePolicy("completion", "reconciled"))
ON_PROVISIONAL = replace(PROGRAMME, scores=ScorePolicy("completion", "provisional"))
LINES = {
    "a body without a policy": (
        body(policy=None),
        case(),
        Line(
            "offering",
            False,
            NOT_OFFERED,
            "The policy of APA is unset or incomplete: it must be set before credit can be offered.",
        ),
    ),
    "credits not announced": (
        with_credits(Decimal(0)),
        case(),
        Line(
            "offering",
            None,
            "Credits of APA have not been announced for this module.",
            "This session's programme version names no number of credits of APA.",
        ),
    ),
    "a body without approval dates": (
        body(valid_from=None),
        case(),
        Line(
            "offering",
            False,
            NOT_OFFERED,
            "The approval dates of APA are unset: they must be set before credit can be offered.",
        ),
    ),
    "a session after the approval": (
        body(valid_to=date(2026, 11, 9)),
        case(),
        Line(
            "offering",
            False,
            "Credit of APA is not offered for this date.",
            "The approval of APA does not cover 10 Nov 2026.",
        ),
    ),
    "half a credit": (
        with_credits(Decimal("0.5")),
        case(),
        Line(
            "offering",
            True,
            "This module carries 0.5 credits of APA.",
            "This module carries 0.5 credits of APA.",
            evidence={"credits": "0.5"},
        ),
    ),
    "a body with a short name": (
        PROGRAMME,
        case(body_id="scrc_brn", licences=(RN,)),
        Line(
            "offering",
            True,
            "This module carries 7.8 credits of SCRC.",
            "This module carries 7.8 credits of SCRC.",
            evidence={"credits": "7.8"},
        ),
    ),
    "no licence for the table": (
        PROGRAMME,
        case(licences=()),
        Line(
            "matrix",
            None,
            "Which document you can get depends on your licence, and none is recorded.",
            "No licence is recorded.",
            RECORDED,
        ),
    ),
    "an undecided row": matched(
        "MD",
        "CA",
        satisfied=None,
        says="It has not been decided yet whether your licence earns this credit.",
        staff="The row for MD, CA, of the document table is undecided and awards nothing.",
        step=PROGRAMME.notices["ask_staff"],
    ),
    "a licence of another body": matched(
        "associate",
        "CA",
        satisfied=False,
        says="Your licence does not earn this body's credit.",
        staff="The document table does not name APA for associate, CA.",
        step=PROGRAMME.notices["licence_needed"],
    ),
    "a licence that earns the credit": matched(
        "psychologist",
        "NY",
        satisfied=True,
        says="Your licence (psychologist, NY) earns this body's credit.",
        staff="Your licence (psychologist, NY) earns this body's credit.",
        step=PROGRAMME.notices["check_own_board"],
    ),
    "no licence at all": (
        PROGRAMME,
        case(licences=()),
        Line("licence", False, "No licence of yours is recorded.", "No licence is recorded.", RECORDED),
    ),
    "a licence issued later": held(
        issued_on=date(2026, 11, 11),
        satisfied=False,
        says="Your licence was issued on 11 Nov 2026, after the session on 10 Nov 2026. "
        "Credit is never given in advance.",
        staff="Your licence was issued on 11 Nov 2026, after the session on 10 Nov 2026.",
        step=WRONG_DATA,
    ),
    "a licence that had expired": held(
        expires_on=date(2026, 11, 9),
        satisfied=False,
        says="Your licence expired on 9 Nov 2026, before the session on 10 Nov 2026.",
        staff="Your licence expired on 9 Nov 2026, before the session on 10 Nov 2026.",
        step=WRONG_DATA,
    ),
    "a licence on probation": held(
        status="probation",
        satisfied=None,
        says="Staff decide about this licence.",
        staff="The licence is on probation: staff decide.",
    ),
    "an inactive licence": held(
        status="inactive",
        satisfied=False,
        says="Your licence is not active.",
        staff="The licence is not active.",
        step=WRONG_DATA,
    ),
    "a licence checked by staff": held(
        satisfied=True,
        says="Your licence was in force on 10 Nov 2026 (checked by staff).",
        staff="In force; checked by staff.",
    ),
    "a licence not checked": held(
        verified=False,
        satisfied=True,
        says="Your licence was in force on 10 Nov 2026 (self-declared).",
        staff="In force; self-declared.",
    ),
    "no licence data": (
        PROGRAMME,
        case(licences=()),
        Line("identity", None, "Your licence data are missing.", "No licence data.", RECORDED),
    ),
    "incomplete licence data": (
        PROGRAMME,
        case(licences=(replace(LMFT, type="", number=" ", jurisdiction="", name=""),)),
        Line(
            "identity",
            False,
            "Your licence data lack: type, number, state, name on the licence.",
            "Missing: type, number, state, name on the licence.",
            writing("completes the data"),
        ),
    ),
    "complete licence data": (
        PROGRAMME,
        case(),
        Line(
            "identity",
            True,
            "Your licence data are complete.",
            "Type, number, state and name are recorded.",
        ),
    ),
    "no fee": (PROGRAMME, case(), Line("fee", True, "This credit has no fee.", "The policy asks for no fee.")),
    "an open fee": (
        FEE_DUE,
        case(),
        Line(
            "fee",
            None,
            "The fee for this credit is open.",
            "No payment or waiver is recorded.",
            writing("explains how to pay and records the payment"),
        ),
    ),
    "a fee paid": (
        FEE_DUE,
        case(fee=SEEN),
        Line("fee", True, "The fee is settled.", "Paid or waived.", evidence=SEEN_EVIDENCE),
    ),
    "a fee paid, recorded without a reason": (
        FEE_DUE,
        case(fee=replace(SEEN, reason=None)),
        Line("fee", True, "The fee is settled.", "Paid or waived.", evidence=SEEN_EVIDENCE | {"reason": ""}),
    ),
    "no evaluation": (
        PROGRAMME,
        case(),
        Line("evaluation", True, "This credit needs no evaluation.", "The policy asks for no evaluation."),
    ),
    "an open evaluation": (
        EVALUATION_DUE,
        case(),
        Line(
            "evaluation",
            None,
            "No evaluation of the session by you is recorded.",
            "No evaluation is recorded.",
            writing("records your evaluation"),
        ),
    ),
    "an evaluation handed in": (
        EVALUATION_DUE,
        case(evaluation=SEEN),
        Line("evaluation", True, "You have handed in the evaluation.", "Handed in.", evidence=SEEN_EVIDENCE),
    ),
    "the whole day": (
        PROGRAMME,
        case(),
        Line(
            "attendance",
            True,
            "390 min of 390 min attended. Missed for this credit: 0 min, 0 min of it at a time "
            "(allowed: 15 min in all, 15 min at a time).",
            "390 min of 390 min attended. Missed for this credit: 0 min, 0 min of it at a time "
            "(allowed: 15 min in all, 15 min at a time).",
            "",
            {"missed_seconds": 0, "longest_seconds": 0, "late_seconds": 0},
        ),
    ),
    "late and away": (
        PROGRAMME,
        case(stay(5, 60), stay(75, 480)),
        Line(
            "attendance",
            False,
            "370 min of 390 min attended. Missed for this credit: 20 min, 15 min of it at a time "
            "(allowed: 15 min in all, 15 min at a time); late by 5 min (allowed: 15 min).",
            "370 min of 390 min attended. Missed for this credit: 20 min, 15 min of it at a time "
            "(allowed: 15 min in all, 15 min at a time); late by 5 min (allowed: 15 min).",
            "See your minutes; ask for a correction if they are wrong.",
            {"missed_seconds": 1200, "longest_seconds": 900, "late_seconds": 300},
        ),
    ),
    "an estimate that decides": (
        PROGRAMME,
        case(stay(0, 440), stay(440, 480, "estimated")),
        Line(
            "attendance",
            None,
            "390 min of 390 min attended. Missed for this credit: 40 min, 40 min of it at a time "
            "(allowed: 15 min in all, 15 min at a time). Part of your presence is not proven yet.",
            "390 min of 390 min attended. Missed for this credit: 40 min, 40 min of it at a time "
            "(allowed: 15 min in all, 15 min at a time). Part of your presence is not proven yet. "
            "The platform's report or a reviewer decides.",
            "See your minutes; ask for a correction if they are wrong.",
            {"missed_seconds": 2400, "longest_seconds": 2400, "late_seconds": 0},
        ),
    ),
    "by phone only": (
        PROGRAMME,
        case(flags=("phone_only",)),
        Line(
            "attendance",
            False,
            "You took part by phone only, which this body does not count.",
            "You took part by phone only, which this body does not count.",
            "See your minutes; ask for a correction if they are wrong.",
            {"missed_seconds": 0, "longest_seconds": 0, "late_seconds": 0},
        ),
    ),
    "no rule for the attendance": (
        body(policy=None),
        case(),
        Line(
            "attendance",
            None,
            "There is no rule to measure your attendance by.",
            "The body's policy is unset.",
        ),
    ),
    "a session that goes on": (
        PROGRAMME,
        case(ended=False),
        Line("evidence", None, "The session has not ended yet.", "No end of the session is known."),
    ),
    "a report that is awaited": (
        RECONCILED_ONLY,
        case(),
        Line(
            "evidence",
            None,
            "Your minutes are provisional until they are compared with the platform's report.",
            "The session is provisional; awards need it reconciled.",
        ),
    ),
    "records that contradict each other": (
        RECONCILED_ONLY,
        case(session_state="locked", is_in_doubt=True),
        Line(
            "evidence",
            None,
            "Zoom's records of your day are unclear. Staff check them before anything is awarded.",
            "The day needs a review: correct it, or let it stand.",
        ),
    ),
    "a reconciled day": (
        RECONCILED_ONLY,
        case(session_state="reconciled"),
        Line(
            "evidence",
            True,
            "Your minutes have been compared with the platform's report.",
            "The session is reconciled; awards rest on reconciled evidence.",
        ),
    ),
    "a provisional day where that is enough": (
        ON_PROVISIONAL,
        case(is_in_doubt=True),
        Line(
            "evidence",
            True,
            "Your minutes are provisional. This programme gives credit on them and does not wait for the report.",
            "The session is provisional; awards rest on provisional evidence.",
        ),
    ),
    "a first award": (
        PROGRAMME,
        case(),
        Line("duplicate", True, "You have not received this credit before.", "No earlier award."),
    ),
    "a second award": (
        PROGRAMME,
        case(credited_in=4),
        Line(
            "duplicate",
            False,
            "You have this credit already, from another session of the same module.",
            "Credited already for live session 4.",
            "The page of that session shows it.",
            {"session": 4},
        ),
    ),
}


@pytest.mark.parametrize(("programme", "claim", "expected"), LINES.values(), ids=LINES)
def test_learner_and_staff_read_each_condition_with_its_evidence_and_the_next_step(programme, claim, expected):
    assert line(decide_claim(programme, claim), expected.name) == expected


def test_where_no_address_is_given_the_step_names_none():
    silent = replace(FEE_DUE, contacts={})
    step = "The training team explains how to pay and records the payment."
    assert line(decide_claim(silent, case()), "fee").next_step == step
    unset = replace(FEE_DUE, contacts={"credits": replace(PROGRAMME.contacts["credits"], address=None)})
    assert line(decide_claim(unset, case()), "fee").next_step == step


def test_a_checklist_is_stored_with_every_field_of_its_lines():
    stored = decide_claim(FEE_DUE, case(fee=SEEN)).to_json()
    assert [each["name"] for each in stored][4:6] == ["fee", "attendance"]
    assert stored[4] == {
        "name": "fee",
        "satisfied": True,
        "says": "The fee is settled.",
        "staff": "Paid or waived.",
        "next_step": "",
        "evidence": SEEN_EVIDENCE,
    }
    assert stored[3]["evidence"] == {}
