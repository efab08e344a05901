"""The credit decision: the table of ce.md §5, M1 to M3 of ce.md §2, and every line of the checklist."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti_tool.attendance.agenda import Segment, lay_out
from lti_tool.attendance.evidence import WAITING_ROOM
from lti_tool.attendance.minutes import Question, SettledDay, attend
from lti_tool.credit.checklist import ClaimCase, Licence, Line, StaffFact, body_name, decide_claim, document_row
from lti_tool.programme.loader import read_programme
from lti_tool.programme.model import ScorePolicy
from tests.conftest import DEMO_PROGRAMME
from tests.training_day import DAY, MODULE, at, stay

PROGRAMME = read_programme(DEMO_PROGRAMME.read_text(encoding="utf-8"), "demo.yaml").programme
assert PROGRAMME is not None
SEGMENTS = lay_out(PROGRAMME.agendas["full_day"], DAY, PROGRAMME.zone)
LMFT = Licence(1, "LMFT", "CA", "MFT 12345", "Trainee One", date(2020, 1, 1), date(2027, 12, 31), "active", True)
RN = replace(LMFT, id=2, type="RN", number="RN 1")


def attended(*stays):
    return attend(stays, SEGMENTS, PROGRAMME.completion.share)


def case(*stays, **given):
    attendance = attended(*(stays or (stay(0, 480),)))
    of_day = {
        "trainee_id": 1,
        "session_id": 1,
        "module_id": MODULE,
        "programme_version": 1,
        "held_on": DAY,
        "session_state": "provisional",
        "ended": True,
        "attendance_id": 1,
        "day": attendance,
        "flags": attendance.flags,
    }
    of_day |= {name: given.pop(name) for name in list(given) if name in SettledDay.__slots__}
    return ClaimCase(SettledDay(**of_day), **{"body_id": "apa", "licences": (LMFT,), **given})


def with_policy(body_id="apa", **changes):
    body = PROGRAMME.bodies[body_id]
    changed = replace(body, policy=replace(body.policy, **changes))
    return replace(PROGRAMME, bodies={**PROGRAMME.bodies, body_id: changed})


def line(checklist, name):
    return next(each for each in checklist.lines if each.name == name)


def unmet(checklist):
    return {each.name: each.satisfied for each in checklist.lines if each.satisfied is not True}


RECONNECTS = tuple(
    stay(start + 40 / 60, end) for start, end in ((0, 20), (20, 40), (40, 60), (60, 80), (80, 160), (160, 480))
)
TABLE_T = {
    "present throughout, Zoom left during lunch": ((stay(0, 180), stay(240, 480)), True, True),
    "joins 14 minutes late": ((stay(14, 480),), True, True),
    "joins 16 minutes late": ((stay(16, 480),), True, False),
    "one gap of 20 minutes": ((stay(0, 120), stay(140, 480)), True, False),
    "six reconnects, 40 seconds each": (RECONNECTS, True, True),
    "leaves 20 minutes before the end": ((stay(0, 460),), True, False),
    "300 minutes present": ((stay(0, 390),), False, False),
    "two devices all day": ((stay(0, 480), stay(0, 480, source="connection:b")), True, True),
    "30 minutes in the waiting room": (
        (stay(0, 105), stay(105, 135, counts=False, source=WAITING_ROOM), stay(135, 480)),
        True,
        False,
    ),
    "311 minutes 59 seconds": ((stay(0, 402 - 1 / 60),), False, False),
    "312 minutes": ((stay(0, 402),), True, False),
    "nobody seen": ((stay(500, 510),), False, False),
}


@pytest.mark.parametrize("name", TABLE_T)
def test_completion_and_credit_are_two_decisions_from_the_same_minutes(name):
    stays, completes, earns = TABLE_T[name]
    checklist = decide_claim(PROGRAMME, case(*stays))
    assert attended(*stays).completed is completes
    assert (checklist.state == "ready") is earns
    assert unmet(checklist) == ({} if earns else {"attendance": False})


def test_two_devices_are_390_minutes_and_not_780():
    assert attended(stay(0, 480), stay(0, 480, source="connection:b")).seconds_present == 390 * 60


def test_a_ready_claim_pays_the_full_credits_of_the_offering():
    checklist = decide_claim(PROGRAMME, case())
    assert (checklist.state, checklist.credits, checklist.licence) == ("ready", Decimal("6.5"), LMFT)
    assert [each.name for each in checklist.lines] == [
        "offering",
        "matrix",
        "licence",
        "identity",
        "fee",
        "attendance",
        "evidence",
        "evaluation",
        "duplicate",
    ]


def test_small_absences_add_up_to_the_limit_and_no_further():
    fifteen = (stay(5, 60), stay(65, 120), stay(125, 480))
    assert decide_claim(PROGRAMME, case(*fifteen)).state == "ready"
    one_second_more = (stay(5, 60), stay(65, 120), stay(125 + 1 / 60, 480))
    assert unmet(decide_claim(PROGRAMME, case(*one_second_more))) == {"attendance": False}


def test_a_break_does_not_divide_an_absence():
    programme = with_policy(max_missed_total_minutes=60, max_missed_consecutive_minutes=15)
    around_the_break = (stay(0, 80), stay(115, 480))
    assert unmet(decide_claim(programme, case(*around_the_break))) == {"attendance": False}
    two_absences = (stay(0, 80), stay(90, 110), stay(120, 480))
    assert decide_claim(programme, case(*two_absences)).state == "ready"


def test_gaps_up_to_the_reconnect_gap_are_not_missed():
    strict = with_policy(max_missed_total_minutes=3)
    assert unmet(decide_claim(strict, case(*RECONNECTS))) == {"attendance": False}
    lenient = with_policy(max_missed_total_minutes=3, reconnect_gap_seconds=40)
    assert decide_claim(lenient, case(*RECONNECTS)).state == "ready"


def test_estimated_presence_earns_no_credit_until_it_is_proven():
    checklist = decide_claim(PROGRAMME, case(stay(0, 440), stay(440, 480, "estimated")))
    assert unmet(checklist) == {"attendance": None}
    assert "not proven" in line(checklist, "attendance").says


def test_an_estimate_within_what_may_be_missed_does_no_harm():
    assert decide_claim(PROGRAMME, case(stay(0, 470), stay(470, 480, "estimated"))).state == "ready"


def test_an_unconfirmed_stay_leaves_the_claim_open():
    checklist = decide_claim(PROGRAMME, case(stay(0, 440), stay(440, 480, "estimated", counts=False)))
    assert unmet(checklist) == {"attendance": None}


def test_what_no_proof_could_mend_is_not_met():
    checklist = decide_claim(PROGRAMME, case(stay(0, 300), stay(440, 480, "estimated")))
    assert unmet(checklist) == {"attendance": False}


def test_phone_alone_does_not_count_unless_the_body_says_so():
    phone = case(flags=("phone_only",))
    assert unmet(decide_claim(PROGRAMME, phone)) == {"attendance": False}
    assert decide_claim(with_policy(phone_only_counts=True), phone).state == "ready"


@pytest.mark.parametrize(
    ("licence", "satisfied"),
    [
        (replace(LMFT, issued_on=DAY), True),
        (replace(LMFT, expires_on=DAY), True),
        (replace(LMFT, issued_on=date(2026, 11, 11)), False),
        (replace(LMFT, expires_on=date(2026, 11, 9)), False),
        (replace(LMFT, status="probation"), None),
        (replace(LMFT, status="inactive"), False),
        (replace(LMFT, verified=False), True),
    ],
)
def test_the_licence_must_be_active_on_the_date_of_the_session(licence, satisfied):
    checklist = decide_claim(PROGRAMME, case(licences=(licence,)))
    assert line(checklist, "licence").satisfied is satisfied
    assert (checklist.state == "ready") is (satisfied is True)


def test_a_self_declared_licence_is_shown_as_such():
    says = line(decide_claim(PROGRAMME, case(licences=(replace(LMFT, verified=False),))), "licence").says
    assert "self-declared" in says


def test_without_a_licence_there_is_no_credit_and_the_list_says_why():
    checklist = decide_claim(PROGRAMME, case(licences=()))
    assert unmet(checklist) == {"matrix": None, "licence": False, "identity": None}
    step = "The training team records your licence. Write to ce@larkspur-hill.example."
    assert {line(checklist, each).next_step for each in ("matrix", "licence", "identity")} == {step}


def test_the_licence_that_was_in_force_is_taken_among_several():
    expired = replace(LMFT, id=7, expires_on=date(2021, 1, 1))
    later = replace(LMFT, id=8, issued_on=date(2026, 12, 1))
    checklist = decide_claim(PROGRAMME, case(licences=(expired, LMFT, later, RN)))
    assert (checklist.state, checklist.licence) == ("ready", LMFT)


def test_a_person_with_two_licences_may_claim_once_per_body():
    both = (LMFT, RN)
    apa, nurses = (decide_claim(PROGRAMME, case(licences=both, body_id=body)) for body in ("apa", "scrc_brn"))
    assert (apa.state, apa.licence, apa.credits) == ("ready", LMFT, Decimal("6.5"))
    assert (nurses.state, nurses.licence, nurses.credits) == ("ready", RN, Decimal("7.8"))


@pytest.mark.parametrize(
    ("kind", "place", "body", "satisfied"),
    [
        ("psychologist", "CA", "apa", True),
        ("psychologist", "NY", "apa", True),
        ("LCSW", "OR", "apa", True),
        ("lmft", "CA", "apa", True),
        ("RN", "CA", "scrc_brn", True),
        ("RN", "NV", "scrc_brn", None),
        ("LVN", "CA", "scrc_brn", None),
        ("MD", "CA", "apa", None),
        ("associate", "CA", "apa", False),
        ("chaplain", "CA", "apa", False),
        ("astrologer", "CA", "apa", False),
        ("psychologist", "CA", "scrc_brn", False),
        ("RN", "CA", "apa", False),
    ],
)
def test_the_table_says_which_licence_earns_which_credit_and_an_undecided_row_awards_nothing(
    kind, place, body, satisfied
):
    licence = replace(LMFT, type=kind, jurisdiction=place)
    checklist = decide_claim(PROGRAMME, case(licences=(licence,), body_id=body))
    assert line(checklist, "matrix").satisfied is satisfied
    assert (checklist.state == "ready") is (satisfied is True)


def test_another_state_gets_the_notice_to_ask_its_own_board():
    licence = replace(LMFT, jurisdiction="OR")
    matrix = line(decide_claim(PROGRAMME, case(licences=(licence,))), "matrix")
    assert matrix.next_step == PROGRAMME.notices["check_own_board"]


@pytest.mark.parametrize(("place", "notice"), [("CA", "ask_staff"), ("OR", "check_own_board")])
def test_a_physician_gets_the_notice_of_their_own_state(place, notice):
    licence = replace(LMFT, type="MD", jurisdiction=place)
    matrix = line(decide_claim(PROGRAMME, case(licences=(licence,))), "matrix")
    assert (matrix.satisfied, matrix.next_step) == (None, PROGRAMME.notices[notice])


def test_no_line_names_a_step_that_nobody_can_take():
    poor = replace(LMFT, number="", expires_on=date(2021, 1, 1))
    policies = with_policy(fee_required=True, evaluation_required=True)
    lists = [decide_claim(policies, case(licences=each, fee=None, evaluation=None)) for each in ((), (poor,))]
    lists.append(decide_claim(policies, case(licences=(replace(LMFT, type="chaplain"),))))
    steps = {each.next_step for checklist in lists for each in checklist.lines} | {
        each.says for checklist in lists for each in checklist.lines
    }
    lead_nowhere = ("Record your", "Hand in", "Complete the", "Correct the", "Pay the fee", "certificate of attendance")
    assert [step for step in steps if step.startswith(lead_nowhere[:5]) or lead_nowhere[5] in step] == []
    assert "The training team records your evaluation. Write to ce@larkspur-hill.example." in steps


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("provisional", "Your minutes are provisional."),
        ("reconciled", "Your minutes have been compared"),
        ("locked", "Your minutes have been compared"),
    ],
)
def test_a_provisional_day_is_never_called_settled(state, says):
    scores = replace(PROGRAMME.scores, award_evidence="provisional")
    shown = line(decide_claim(replace(PROGRAMME, scores=scores), case(session_state=state)), "evidence")
    assert shown.satisfied
    assert shown.says.startswith(says)
    assert "settled" not in shown.says


def test_an_empty_table_names_no_body():
    assert document_row((), "LMFT", "CA") is None
    checklist = decide_claim(replace(PROGRAMME, document_matrix=()), case())
    assert unmet(checklist) == {"matrix": False}


def test_a_body_without_a_policy_offers_nothing():
    body = replace(PROGRAMME.bodies["apa"], policy=None)
    checklist = decide_claim(replace(PROGRAMME, bodies={"apa": body}), case())
    assert line(checklist, "offering").satisfied is False
    assert "not offered" in line(checklist, "offering").says


@pytest.mark.parametrize(
    "limit", ["late_arrival_minutes", "max_missed_total_minutes", "max_missed_consecutive_minutes"]
)
def test_a_policy_with_an_empty_limit_offers_nothing(limit):
    checklist = decide_claim(with_policy(**{limit: None}), case())
    assert line(checklist, "offering").satisfied is False
    assert checklist.state == "open"


@pytest.mark.parametrize("credits", [{}, {"apa": None}, {"apa": Decimal(0)}])
def test_credits_that_nobody_has_announced_are_not_awarded(credits):
    module = replace(PROGRAMME.modules[MODULE], credits=credits)
    programme = replace(PROGRAMME, modules={**PROGRAMME.modules, MODULE: module})
    checklist = decide_claim(programme, case())
    assert unmet(checklist) == {"offering": None}
    assert "not been announced" in line(checklist, "offering").says


@pytest.mark.parametrize(
    ("valid", "satisfied"),
    [
        ({"valid_from": DAY, "valid_to": DAY}, True),
        ({"valid_from": date(2026, 11, 11)}, False),
        ({"valid_to": date(2026, 11, 9)}, False),
        ({"valid_from": None}, False),
        ({"valid_to": None}, False),
    ],
)
def test_the_approval_must_cover_the_date(valid, satisfied):
    body = replace(PROGRAMME.bodies["apa"], **valid)
    checklist = decide_claim(replace(PROGRAMME, bodies={"apa": body}), case())
    assert line(checklist, "offering").satisfied is satisfied


def test_a_body_without_approval_dates_awards_nothing_and_says_so():
    body = replace(PROGRAMME.bodies["apa"], valid_from=None, valid_to=None)
    checklist = decide_claim(replace(PROGRAMME, bodies={"apa": body}), case())
    assert unmet(checklist) == {"offering": False}
    assert "approval dates of APA are unset" in line(checklist, "offering").staff


@pytest.mark.parametrize("missing", ["type", "number", "jurisdiction", "name"])
def test_an_incomplete_identity_is_named(missing):
    checklist = decide_claim(PROGRAMME, case(licences=(replace(LMFT, **{missing: " "}),)))
    assert line(checklist, "identity").satisfied is False
    assert checklist.state == "open"


@pytest.mark.parametrize(("rule", "fact"), [("fee_required", "fee"), ("evaluation_required", "evaluation")])
def test_fee_and_evaluation_are_open_until_staff_record_them(rule, fact):
    programme = with_policy(**{rule: True})
    assert unmet(decide_claim(programme, case())) == {fact: None}
    known = StaffFact("cli", datetime(2026, 11, 11, tzinfo=UTC), "Seen.")
    assert decide_claim(programme, case(**{fact: known})).state == "ready"


def test_the_open_fee_names_the_address_to_write_to():
    fee = line(decide_claim(with_policy(fee_required=True), case()), "fee")
    assert PROGRAMME.contacts["credits"].address in fee.next_step


def test_credit_given_for_another_session_is_not_given_twice():
    assert unmet(decide_claim(PROGRAMME, case(credited_in=4))) == {"duplicate": False}


def test_nothing_is_awarded_before_the_session_has_ended():
    assert unmet(decide_claim(PROGRAMME, case(ended=False))) == {"evidence": None}


@pytest.mark.parametrize(
    ("state", "satisfied"), [("scheduled", None), ("provisional", None), ("reconciled", True), ("locked", True)]
)
def test_where_the_programme_asks_for_it_awards_wait_for_the_reconciled_report(state, satisfied):
    programme = replace(PROGRAMME, scores=ScorePolicy("completion", "reconciled"))
    assert line(decide_claim(programme, case(session_state=state)), "evidence").satisfied is satisfied


def test_an_unknown_body_offers_nothing():
    assert line(decide_claim(PROGRAMME, case(body_id="nobody")), "offering").satisfied is False


@given(
    st.lists(st.tuples(st.integers(-10, 490), st.integers(1, 200)), min_size=1, max_size=8).map(
        lambda spans: [stay(start, start + length) for start, length in spans]
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_and_repetition_of_the_evidence_decide_nothing(stays, random):
    shuffled = stays + stays[:2]
    random.shuffle(shuffled)
    assert decide_claim(PROGRAMME, case(*stays)) == decide_claim(PROGRAMME, case(*shuffled))


@given(st.integers(0, 480), st.integers(0, 480))
def test_credit_without_completion_does_not_exist(first, second):
    stays = (stay(min(first, second), max(first, second) + 1),)
    if decide_claim(PROGRAMME, case(*stays)).state == "ready":
        assert attended(*stays).completed


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


def asked(*answers):
    """A whole day with one question for each answer."""
    questions = [
        Question("check", at(10 * n), at(10 * n + 2), at(10 * n + 1) if hit else None) for n, hit in enumerate(answers)
    ]
    day = attend([stay(0, 480)], SEGMENTS, PROGRAMME.completion.share, questions=questions)
    return case(day=day)


QUESTIONS_DUE = with_policy(participation_share=Decimal("0.75"))


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        pytest.param(
            asked(),
            Line(
                "participation",
                True,
                "You were asked no question in this session.",
                "No presence check and no poll while the person was there.",
            ),
            id="no question",
        ),
        pytest.param(
            asked(True, True, True, False),
            Line(
                "participation",
                True,
                "You answered 3 of 4 questions; 75% are needed.",
                "3 of 4 answered; 75% are needed.",
                "",
                {"put": 4, "answered": 3},
            ),
            id="enough answers",
        ),
        pytest.param(
            asked(True, True, False, False),
            Line(
                "participation",
                False,
                "You answered 2 of 4 questions; 75% are needed.",
                "2 of 4 answered; 75% are needed.",
                "Ask for a correction if an answer of yours is missing.",
                {"put": 4, "answered": 2},
            ),
            id="too few answers",
        ),
    ],
)
def test_a_body_may_ask_for_a_share_of_the_answers(claim, expected):
    assert line(decide_claim(QUESTIONS_DUE, claim), "participation") == expected
    assert "participation" not in {each.name for each in decide_claim(PROGRAMME, claim).lines}


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


def test_a_module_that_is_gone_pays_nothing():
    checklist = decide_claim(replace(PROGRAMME, modules={}), case())
    assert (line(checklist, "offering").satisfied, checklist.credits) == (None, None)


def test_the_first_row_that_fits_decides_and_the_last_one_where_none_does():
    matrix = PROGRAMME.document_matrix
    assert document_row(matrix, "astrologer", "CA") is matrix[-1]
    assert document_row(matrix, "rn", "NV") is next(
        row for row in matrix if row.licences == ("RN",) and not row.decided
    )
    doubled = (replace(matrix[0], notice="ask_staff"), *matrix)
    assert document_row(doubled, "psychologist", "CA") is doubled[0]


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        pytest.param([{"status": "inactive", "id": 2}], 1, id="active before inactive"),
        pytest.param([{"expires_on": date(2026, 11, 9), "id": 2}], 1, id="in force before expired"),
        pytest.param([{"issued_on": DAY, "expires_on": DAY, "id": 2}], 2, id="the later of two in force"),
        pytest.param([{"expires_on": date(2021, 1, 1), "id": 2}, {"status": "inactive", "id": 3}], 1, id="of three"),
        pytest.param([{"type": "MD", "id": 2}], 1, id="decided before undecided"),
        pytest.param([{"type": "RN", "id": 2}], 1, id="its own body before another"),
        pytest.param([{"type": "RN", "status": "inactive", "id": 2}], 1, id="its own body first of all"),
    ],
)
def test_the_licence_that_carries_a_claim_furthest_is_taken(others, chosen):
    licences = (LMFT, *(replace(LMFT, **changes) for changes in others))
    for order in (licences, licences[::-1]):
        assert decide_claim(PROGRAMME, case(licences=order)).licence.id == chosen


def test_a_nurse_of_california_is_taken_before_one_of_another_state():
    licences = (RN, replace(RN, id=9, jurisdiction="NV"))
    assert decide_claim(PROGRAMME, case(licences=licences, body_id="scrc_brn")).licence == RN


LIMITS = {"late_arrival_minutes": 5, "max_missed_consecutive_minutes": 10, "max_missed_total_minutes": 15}
GENEROUS = dict.fromkeys(LIMITS, 60)


@pytest.mark.parametrize("limit", LIMITS)
def test_each_limit_is_kept_to_the_second(limit):
    """Late by 5 minutes and away for 10 minutes, or a second longer each time."""
    programme = with_policy(**GENEROUS | {limit: LIMITS[limit]})
    just = case(stay(5, 60), stay(70, 480))
    longer = case(stay(5 + 1 / 60, 60), stay(70 + 1 / 60, 480))
    assert line(decide_claim(programme, just), "attendance").satisfied is True
    assert line(decide_claim(programme, longer), "attendance").satisfied is False


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_of_nothing_allows_no_second(limit):
    programme = with_policy(**GENEROUS | {limit: 0})
    assert line(decide_claim(programme, case()), "attendance").satisfied is True
    assert line(decide_claim(programme, case(stay(1 / 60, 480))), "attendance").satisfied is False


@pytest.mark.parametrize(
    ("stays", "satisfied"),
    [
        pytest.param((), False, id="not there"),
        pytest.param((stay(0, 10, counts=False, source=WAITING_ROOM),), False, id="in the waiting room"),
        pytest.param((stay(0, 10, "estimated", counts=False),), None, id="not proven"),
        pytest.param((stay(0, 10),), True, id="there"),
    ],
)
def test_a_session_shorter_than_what_may_be_missed_is_not_earned_by_staying_away(stays, satisfied):
    day = attend(stays, [Segment(at(0), at(10), "Short", True)], PROGRAMME.completion.share)
    assert line(decide_claim(PROGRAMME, case(day=day)), "attendance").satisfied is satisfied


def test_a_row_whose_notice_the_programme_lacks_gives_no_next_step():
    silent = replace(PROGRAMME, notices={})
    assert line(decide_claim(silent, case()), "matrix").next_step == ""
    psychologist = case(licences=(replace(LMFT, type="psychologist"),))
    assert line(decide_claim(PROGRAMME, psychologist), "matrix").next_step == ""


def test_on_a_day_without_instruction_nothing_was_missed_and_nothing_is_earned():
    empty = case(day=attend([stay(0, 480)], (), PROGRAMME.completion.share))
    shown = line(decide_claim(PROGRAMME, empty), "attendance")
    assert (shown.satisfied, shown.evidence) == (False, {"missed_seconds": 0, "longest_seconds": 0, "late_seconds": 0})


def test_a_body_is_called_by_its_short_name_or_by_its_id():
    assert body_name(PROGRAMME.bodies["scrc_brn"], "scrc_brn") == "SCRC"
    assert body_name(PROGRAMME.bodies["apa"], "apa") == "APA"
    assert body_name(None, "new_body") == "NEW BODY"
