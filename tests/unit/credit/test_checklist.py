"""The credit decision: the table of ce.md §5, M1 to M3 of ce.md §2, and when each condition is met."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti_tool.attendance.agenda import Segment
from lti_tool.attendance.evidence import WAITING_ROOM
from lti_tool.attendance.minutes import Question, attend
from lti_tool.credit.checklist import Line, StaffFact, body_name, decide_claim, document_row
from lti_tool.programme.model import ScorePolicy
from tests.training_day import DAY, MODULE, at, stay
from tests.unit.credit.claim_cases import LMFT, PROGRAMME, RN, SEGMENTS, attended, case, line, with_policy


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
