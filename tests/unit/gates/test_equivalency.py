"""Equivalency requests: every state and every change between them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, update

from lti_tool.attendance import person_joins
from lti_tool.db import Database
from lti_tool.errors import AccessDenied, BadInput, Conflict, GatehouseError, NotFound
from lti_tool.gates import decide as decisions
from lti_tool.gates import equivalency
from lti_tool.programme.versions import Published
from lti_tool.tables.gates import completions, equivalency_requests
from lti_tool.tables.operations import audit_log
from tests.unit.gates.people_and_programmes import demo
from tests.unit.people_of_tests import launched, licensed
from tests.waiting import until_somebody_waits

STAFF = "staff:999"


def submit(connection: Connection, person: int, now: datetime, **changes: Any) -> int:
    values: dict[str, Any] = {
        "trainee_id": person,
        "target": "F1",
        "provider_id": "prati",
        "course_title": "Foundations of KAP",
        "completed_on": date(2023, 5, 1),
        "evidence_note": "certificate of 2023\nsent by mail",
        "actor": f"trainee:{person}",
        "now": now,
    }
    return equivalency.submit(connection, demo(), **(values | changes))


def propose(connection: Connection, number: int, now: datetime, by: str = STAFF) -> None:
    equivalency.propose_revocation(connection, number, reason="a mistake", actor=by, now=now)


def confirm(connection: Connection, number: int, now: datetime, by: str = "staff:998") -> None:
    """Confirm what is proposed now."""
    seen_at = equivalency.load(connection, number).revocation_at
    equivalency.confirm_revocation(connection, number, proposed_at=seen_at, actor=by, now=now)


def revoke(connection: Connection, number: int, now: datetime) -> None:
    propose(connection, number, now)
    confirm(connection, number, now)


ACTS: dict[str, Any] = {
    "more_info": lambda connection, number, now: equivalency.ask_more(
        connection, number, question="Which year?", actor=STAFF, now=now
    ),
    "submitted": lambda connection, number, now: equivalency.answer(
        connection, number, text="In 2023.", actor="cli", now=now
    ),
    "approved": lambda connection, number, now: equivalency.approve(connection, number, actor=STAFF, now=now),
    "declined": lambda connection, number, now: equivalency.decline(
        connection, number, text="Please take Module 1.", actor=STAFF, now=now
    ),
    "withdrawn": lambda connection, number, now: equivalency.withdraw(connection, number, actor="cli", now=now),
    "revoked": lambda connection, number, now: revoke(connection, number, now),
}


@pytest.mark.parametrize("to", ACTS)
@pytest.mark.parametrize("from_state", equivalency.TRANSITIONS)
def test_only_the_changes_of_the_table_happen(database: Database, now: datetime, from_state: Any, to: Any) -> None:
    with database.write() as connection:
        number = submit(connection, launched(connection, now), now)
        connection.execute(update(equivalency_requests).values(state=from_state))
        if to in equivalency.TRANSITIONS[from_state]:
            ACTS[to](connection, number, now)
            assert equivalency.load(connection, number).state == to
            return
        with pytest.raises(Conflict) as caught:
            ACTS[to](connection, number, now)
        assert equivalency.load(connection, number).state == from_state
    assert caught.value.code == "equivalency_state"


def test_a_request_goes_its_way_and_the_gate_follows(database: Database, published: Published, now: datetime) -> None:
    with database.write() as connection:
        person = launched(connection, now)

        def status() -> str:
            return decisions.ask(connection, published, person, "F2", now).status

        assert status() == "unmet"
        number = submit(connection, person, now)
        assert status() == "pending"
        equivalency.ask_more(connection, number, question="Which year?", actor=STAFF, now=now)
        assert status() == "pending"
        assert equivalency.queue(connection) == []
        equivalency.answer(connection, number, text="In 2023.", actor=f"trainee:{person}", now=now)
        equivalency.approve(connection, number, actor=STAFF, now=now)
        assert status() == "waived"
        acts = connection.scalars(select(audit_log.c.act).where(audit_log.c.subject == f"equivalency:{number}"))
        assert list(acts) == [
            "equivalency_submitted", "equivalency_more_info", "equivalency_submitted", "equivalency_approved",
        ]  # fmt: skip
        row = equivalency.load(connection, number)
        assert (row.reason_code, row.decided_by, row.decided_at) == ("equivalent_outside", STAFF, now)
        assert "In 2023." in row.evidence_note
        assert connection.scalar(select(func.count()).select_from(completions)) == 0, "it is never a completion"


def test_an_answer_keeps_the_first_place_in_the_queue(database: Database, now: datetime) -> None:
    with database.write() as connection:
        first = submit(connection, launched(connection, now), now)
        second = submit(connection, launched(connection, now, "Ben Example"), now + timedelta(hours=1))
        equivalency.ask_more(connection, first, question="Which year?", actor=STAFF, now=now)
        equivalency.answer(connection, first, text="2023", actor="cli", now=now + timedelta(hours=2))
        queue = equivalency.queue(connection)
    assert [row.id for row in queue] == [first, second]
    assert (queue[1].name, queue[1].email) == ("Ben Example", "ben@example.org")


def test_a_provider_that_is_not_accepted_is_refused_with_the_programmes_reason(
    database: Database, now: datetime
) -> None:
    with database.write() as connection:
        person = launched(connection, now)
        with pytest.raises(Conflict) as caught:
            submit(connection, person, now, provider_id="maps")
        assert equivalency.of_trainee(connection, person) == []
        submit(connection, person, now, provider_id="maps", as_full_review=True)
    assert caught.value.code == "equivalency_not_accepted"
    assert "MAPS" in caught.value.message
    assert "not specific to ketamine" in caught.value.message
    assert "Module 1" in caught.value.next_step


def test_one_open_request_per_target(database: Database, now: datetime) -> None:
    with database.write() as connection:
        person = launched(connection, now)
        first = submit(connection, person, now)
        with pytest.raises(Conflict) as caught:
            submit(connection, person, now, provider_id="sage")
        submit(connection, person, now, target="RT_EXP", provider_id="other_retreat")
        equivalency.decline(connection, first, text="Please take Module 1.", actor=STAFF, now=now)
        second = submit(connection, person, now)
        own = [row.id for row in equivalency.of_trainee(connection, person) if row.target == "F1"]
    assert caught.value.code == "equivalency_open"
    assert own == [second, first]


def test_two_requests_at_once_make_one(database: Database, now: datetime) -> None:
    with database.write() as connection:
        person = launched(connection, now)

    def send(_: int) -> str:
        try:
            with database.write() as connection:
                submit(connection, person, now)
        except Conflict as conflict:
            return conflict.code
        return "sent"

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(send, range(8))) == ["equivalency_open"] * 7 + ["sent"]


def test_two_reviewers_at_once_decide_once(database: Database, now: datetime) -> None:
    with database.write() as connection:
        number = submit(connection, launched(connection, now), now)

    def decide(act: str) -> str:
        try:
            with database.write() as connection:
                ACTS[act](connection, number, now)
        except Conflict as conflict:
            return conflict.code
        return act

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(decide, ["approved", "declined"] * 4))
    with database.read() as connection:
        state = equivalency.load(connection, number).state
    assert sorted(outcomes) == sorted([state] + ["equivalency_state"] * 7)


@pytest.mark.parametrize("act", ["more_info", "approved", "declined"])
def test_nobody_reviews_their_own_request(database: Database, now: datetime, act: str) -> None:
    with database.write() as connection:
        person = launched(connection, now)
        number = submit(connection, person, now)
        own: dict[str, Any] = {
            "more_info": lambda: equivalency.ask_more(
                connection, number, question="?", actor=f"staff:{person}", now=now
            ),
            "approved": lambda: equivalency.approve(connection, number, actor=f"staff:{person}", now=now),
            "declined": lambda: equivalency.decline(connection, number, text="No", actor=f"staff:{person}", now=now),
        }
        with pytest.raises(AccessDenied) as caught:
            own[act]()
    assert caught.value.code == "own_case"


@pytest.mark.parametrize(
    ("second", "code"),
    [(STAFF, "second_person_needed"), ("trainee:999", "second_person_needed"), ("staff:{person}", "own_case")],
    ids=["the proposer", "the proposer's other role", "the trainee"],
)
def test_revoking_needs_a_second_person(database: Database, now: datetime, second: str, code: str) -> None:
    with database.write() as connection:
        person = launched(connection, now)
        number = submit(connection, person, now)
        equivalency.approve(connection, number, actor=STAFF, now=now)
        propose(connection, number, now)
        with pytest.raises(AccessDenied) as caught:
            confirm(connection, number, now, by=second.format(person=person))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "act",
    [
        lambda *given, by: confirm(*given, by=by),
        lambda connection, number, now, by: equivalency.drop_revocation(connection, number, actor=by, now=now),
    ],
    ids=["confirm", "drop"],
)
def test_an_account_newer_than_a_proposed_revocation_decides_nothing_about_it(
    database: Database, now: datetime, act: Callable[..., None]
) -> None:
    later = now + timedelta(hours=1)
    with database.write() as connection:
        number = submit(connection, launched(connection, now), now)
        equivalency.approve(connection, number, actor=STAFF, now=now)
        propose(connection, number, now)
        newer = launched(connection, later, name="Staff")
        with pytest.raises(AccessDenied) as caught:
            act(connection, number, later, by=f"staff:{newer}")
        assert equivalency.load(connection, number).revocation_by == STAFF
    assert caught.value.code == "own_case"


@pytest.mark.parametrize("undone", [False, True], ids=["joined", "separated again"])
def test_a_join_makes_no_second_person_of_the_proposers_other_account(
    database: Database, now: datetime, undone: bool
) -> None:
    given: dict[str, Any] = {"reason": "One person.", "actor": "cli", "now": now}
    with database.write() as connection:
        number = submit(connection, launched(connection, now), now)
        equivalency.approve(connection, number, actor=STAFF, now=now)
        kept, joined = (launched(connection, now, name, email=None) for name in ("Kept", "Joined"))
        propose(connection, number, now, by=f"staff:{joined}")
        made = person_joins.join(connection, kept_id=kept, joined_id=joined, **given)
        if undone:
            person_joins.undo(connection, made, **given)
        with pytest.raises(AccessDenied) as caught:
            confirm(connection, number, now, by=f"staff:{kept}")
    assert caught.value.code == "second_person_needed"


def test_a_revocation_that_was_proposed_anew_is_not_confirmed_unseen(database: Database, now: datetime) -> None:
    later = now + timedelta(hours=1)
    with database.write() as connection:
        number = submit(connection, launched(connection, now), now)
        equivalency.approve(connection, number, actor=STAFF, now=now)
        propose(connection, number, now)
        equivalency.drop_revocation(connection, number, actor="staff:997", now=now)
        propose(connection, number, later)
        with pytest.raises(Conflict) as caught:
            equivalency.confirm_revocation(connection, number, proposed_at=now, actor="staff:998", now=later)
        assert equivalency.load(connection, number).state == "approved"
        confirm(connection, number, later)
        assert equivalency.load(connection, number).state == "revoked"
    assert caught.value.code == "equivalency_state"


@pytest.mark.databases("postgresql")
def test_a_revocation_that_is_dropped_while_another_confirms_it_does_not_happen(
    database: Database, now: datetime
) -> None:
    with database.write() as connection:
        number = submit(connection, launched(connection, now), now)
        equivalency.approve(connection, number, actor=STAFF, now=now)
        propose(connection, number, now)

    def confirm_now() -> None:
        with database.write() as connection:
            confirm(connection, number, now)

    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            equivalency.drop_revocation(connection, number, actor="staff:997", now=now)
            confirmed = pool.submit(confirm_now)
            with database.read() as watching:
                until_somebody_waits(watching)
        with pytest.raises(Conflict):
            confirmed.result()
    with database.read() as connection:
        assert equivalency.load(connection, number).state == "approved"


def test_another_trainee_can_neither_withdraw_nor_answer(database: Database, now: datetime) -> None:
    with database.write() as connection:
        ada, ben = launched(connection, now), launched(connection, now, "Ben Example")
        number = submit(connection, ada, now)
        with pytest.raises(NotFound):
            equivalency.withdraw(connection, number, actor=f"trainee:{ben}", now=now)
        with pytest.raises(NotFound):
            equivalency.answer(connection, number, text="hello", actor=f"trainee:{ben}", now=now)
        equivalency.withdraw(connection, number, actor=f"trainee:{ada}", now=now)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"target": "F4"}, "equivalency_target_unknown"),
        ({"provider_id": "nobody"}, "equivalency_provider_unknown"),
        ({"course_title": "  "}, "equivalency_incomplete"),
        ({"course_title": "x" * 256}, "equivalency_incomplete"),
        ({"evidence_note": ""}, "equivalency_incomplete"),
        ({"evidence_note": "x" * 4001}, "equivalency_incomplete"),
        ({"evidence_note": "\x00\u200b"}, "equivalency_incomplete"),
        ({"completed_on": date(2026, 12, 2)}, "equivalency_date_wrong"),
        ({"trainee_id": 999}, "trainee_unknown"),
    ],
)
def test_what_cannot_be_a_request_is_refused(
    database: Database, now: datetime, changes: dict[str, Any], code: str
) -> None:
    with database.write() as connection:
        person = launched(connection, now)
        with pytest.raises(GatehouseError) as caught:
            submit(connection, person, now, **changes)
    assert caught.value.code == code


def test_decisions_need_a_known_reason_and_a_decline_a_text(database: Database, now: datetime) -> None:
    with database.write() as connection:
        number = submit(connection, launched(connection, now), now)
        with pytest.raises(BadInput) as unknown:
            equivalency.approve(connection, number, reason_code="liked it", actor=STAFF, now=now)
        with pytest.raises(BadInput) as silent:
            equivalency.decline(connection, number, text=" ", actor=STAFF, now=now)
        with pytest.raises(BadInput) as past:
            equivalency.approve(connection, number, expires_on=date(2026, 11, 30), actor=STAFF, now=now)
        with pytest.raises(NotFound):
            equivalency.approve(connection, 999, actor=STAFF, now=now)
    codes = [each.value.code for each in (unknown, silent, past)]
    assert codes == ["equivalency_reason_unknown", "equivalency_incomplete", "equivalency_date_wrong"]


def test_an_approval_ends_after_its_last_day(database: Database, published: Published, now: datetime) -> None:
    last = now.date() + timedelta(days=30)
    with database.write() as connection:
        person = launched(connection, now)
        number = submit(connection, person, now)
        equivalency.approve(connection, number, expires_on=last, actor=STAFF, now=now)
        assert decisions.ask(connection, published, person, "F2", now + timedelta(days=30)).open
        after = now + timedelta(days=31)
        shut = decisions.ask(connection, published, person, "F2", after)
        assert (shut.open, shut.unmet()[1].status) == (False, "expired")
        assert equivalency.expire_due(connection, today=last, now=after) == 0
        assert equivalency.expire_due(connection, today=after.date(), now=after) == 1
        assert equivalency.expire_due(connection, today=after.date(), now=after) == 0
        assert equivalency.load(connection, number).state == "expired"


@pytest.mark.parametrize("second", ["same address", "same licence", "newer account"])
def test_no_one_decides_about_their_own_request_with_a_second_account(database, now: datetime, second: str) -> None:
    with database.write() as connection:
        person = launched(connection, now)
        licensed(connection, person, now)
        number = submit(connection, person, now)
        appeared_at = now + timedelta(minutes=1) if second == "newer account" else now
        address = "ada@example.org" if second == "same address" else "staff@example.org"
        staff = launched(connection, appeared_at, name="Staff", email=address)
        if second == "same licence":
            licensed(connection, staff, now)
        with pytest.raises(AccessDenied) as caught:
            equivalency.approve(connection, number, actor=f"staff:{staff}", now=now + timedelta(hours=1))
    assert caught.value.code == "own_case"


def test_a_trainee_sends_five_requests_a_day_and_staff_any_number(database: Database, now: datetime) -> None:
    with database.write() as connection:
        person = launched(connection, now)
        for _ in range(5):
            equivalency.withdraw(connection, submit(connection, person, now), actor=f"trainee:{person}", now=now)
        with pytest.raises(Conflict) as caught:
            submit(connection, person, now + timedelta(hours=23))
        by_staff = submit(connection, person, now, actor=STAFF)
        equivalency.withdraw(connection, by_staff, actor=f"trainee:{person}", now=now)
        submit(connection, person, now + timedelta(days=1))
    assert (caught.value.code, caught.value.status) == ("requests_too_many", 429)
