"""The credit decision: the table of ce.md §5, M1 to M3 of ce.md §2, and every line of the checklist."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti_tool.attendance.agenda import lay_out
from lti_tool.attendance.evidence import WAITING_ROOM
from lti_tool.attendance.minutes import SettledDay, attend
from lti_tool.credit.checklist import ClaimCase, Licence, StaffFact, decide_claim, document_row
from lti_tool.programme.loader import read_programme
from lti_tool.programme.model import ScorePolicy
from tests.conftest import DEMO_PROGRAMME
from tests.training_day import DAY, MODULE, stay

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
    step = "The training team records your licence. Write to ce@polarisinsight.com."
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
    assert "The training team records your evaluation. Write to ce@polarisinsight.com." in steps


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
    assert "approval dates of apa are unset" in line(checklist, "offering").staff


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
