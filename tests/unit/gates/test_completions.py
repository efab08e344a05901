"""Completions and exceptions as records."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from lti_tool.db import Database
from lti_tool.errors import AccessDenied, BadInput, Conflict, GatehouseError, NotFound
from lti_tool.gates import completions, decide, exceptions
from lti_tool.programme.versions import Published
from lti_tool.tables.operations import audit_log
from tests.training_day import add_session, add_trainee
from tests.unit.gates.people_and_programmes import demo
from tests.unit.people_of_tests import launched

STAFF = "staff:999"


def test_a_module_is_completed_once_whoever_says_it_again(database: Database, now: datetime) -> None:
    with database.write() as connection:
        person = launched(connection, now)
        first = completions.complete(connection, person, "F1", now.date(), "staff", actor=STAFF, now=now)
        again = completions.complete(connection, person, "F1", date(2025, 1, 1), "imported", actor="cli", now=now)
        [row] = completions.of_trainee(connection, person)
        [noted] = connection.scalars(select(audit_log.c.act))
    assert (again, row.id, row.completed_on, noted) == (None, first, now.date(), "completion_recorded")


def test_many_at_once_make_one_completion(database: Database, now: datetime) -> None:
    with database.write() as connection:
        person = launched(connection, now)

    def complete(_: int) -> int | None:
        with database.write() as connection:
            return completions.complete(connection, person, "F1", now.date(), "staff", actor="cli", now=now)

    with ThreadPoolExecutor(8) as pool:
        assert sum(made is not None for made in pool.map(complete, range(16))) == 1


def test_a_class_is_recorded_at_once_and_whoever_has_a_completion_keeps_that(
    database: Database, published: Published, now: datetime
) -> None:
    with database.write() as connection:
        session_id = add_session(connection, published, now)
        one, two, three = (add_trainee(connection, number, now) for number in (1, 2, 3))
        completions.complete(connection, two, "F1", date(2024, 7, 13), "imported", actor="cli", now=now)
        for _ in range(2):
            completions.complete_by_attendance(
                connection, [one, two, three], "F1", now.date(), live_session_id=session_id, now=now
            )
        completions.complete_by_attendance(connection, [], "F1", now.date(), live_session_id=session_id, now=now)
        kept = {each: completions.of_trainee(connection, each) for each in (one, two, three)}
        acts = connection.execute(select(audit_log).where(audit_log.c.act == "completion_recorded")).all()
    found = {each: [(row.origin, row.live_session_id) for row in rows] for each, rows in kept.items()}
    attended = [("attendance", session_id)]
    assert found == {one: attended, two: [("imported", None)], three: attended}
    by_attendance = {row.subject: row.details["trainee"] for row in acts if row.details["origin"] == "attendance"}
    assert by_attendance == {f"completion:{kept[each][0].id}": each for each in (one, three)}


def test_attendance_is_the_only_origin_with_a_live_session(database: Database, now: datetime) -> None:
    with database.write() as connection:
        person = launched(connection, now)
    for origin in ("attendance", "whim"):
        with pytest.raises(IntegrityError), database.write() as connection:
            completions.complete(connection, person, "F1", now.date(), origin, actor="cli", now=now)


def test_a_completion_is_ended_with_a_reason_and_can_be_recorded_anew(
    database: Database, published: Published, now: datetime
) -> None:
    later = now + timedelta(minutes=1)
    with database.write() as connection:
        person = launched(connection, now)
        first = completions.complete(connection, person, "F1", now.date(), "staff", actor=STAFF, now=now)
        assert first is not None
        completions.end_completion(
            connection, first, reason="another person", actor=STAFF, confirmed_by="staff:998", now=later
        )
        shut = decide.ask(connection, published, person, "F2", later)
        assert shut.unmet()[0].params["why"] == "another person"
        with pytest.raises(Conflict) as twice:
            completions.end_completion(connection, first, reason="again", actor="cli", now=later)
        assert completions.complete(connection, person, "F1", now.date(), "staff", actor=STAFF, now=later)
        assert len(completions.of_trainee(connection, person, ended=True)) == 2
        assert [row.name for row in completions.in_force(connection, "F1")] == ["Ada Example"]
        assert completions.in_force(connection, "F2") == []
    assert twice.value.code == "completion_ended"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"reason": " "}, "reason_missing"),
        ({"reason": "x" * 2001}, "reason_missing"),
        ({"completion_id": 999}, "completion_unknown"),
        ({"confirmed_by": None}, "second_person_needed"),
        ({"confirmed_by": STAFF}, "second_person_needed"),
        ({"actor": "staff:1"}, "own_case"),
    ],
)
def test_staff_end_a_completion_in_twos_and_never_their_own(
    database: Database, now: datetime, changes: dict[str, Any], code: str
) -> None:
    with database.write() as connection:
        person = launched(connection, now)
        assert person == 1
        made = completions.complete(connection, person, "F1", now.date(), "staff", actor=STAFF, now=now)
        values = {"completion_id": made, "reason": "a mistake", "actor": STAFF, "confirmed_by": "staff:998"} | changes
        with pytest.raises(GatehouseError) as caught:
            completions.end_completion(connection, **values, now=now)
    assert caught.value.code == code


class TestExceptions:
    def test_an_exception_opens_one_gate_for_one_person_for_90_days(
        self, database: Database, published: Published, now: datetime
    ) -> None:
        with database.write() as connection:
            ada, ben = launched(connection, now), launched(connection, now, "Ben Example")
            granted = exceptions.grant(
                connection, demo(), trainee_id=ada, offering_id="F2", reason=" agreed by phone ", actor=STAFF, now=now
            )
            [row] = exceptions.active(connection, now.date())
            opened = [decide.ask(connection, published, person, "F2", now).open for person in (ada, ben)]
            assert completions.of_trainee(connection, ada) == [], "it is never a completion"
            assert exceptions.active(connection, now.date() + timedelta(days=91)) == []
        assert opened == [True, False]
        assert (row.id, row.reason, row.expires_on) == (granted, "agreed by phone", now.date() + timedelta(days=90))

    def test_an_exception_is_ended_once_with_a_reason(
        self, database: Database, published: Published, now: datetime
    ) -> None:
        with database.write() as connection:
            ada = launched(connection, now)
            granted = exceptions.grant(
                connection, demo(), trainee_id=ada, offering_id="F2", reason="agreed by phone", actor=STAFF, now=now
            )
            with pytest.raises(BadInput):
                exceptions.end(connection, granted, reason="", actor=STAFF, now=now)
            exceptions.end(connection, granted, reason="no longer needed", actor=STAFF, now=now)
            assert not decide.ask(connection, published, ada, "F2", now).open
            with pytest.raises(Conflict):
                exceptions.end(connection, granted, reason="no longer needed", actor=STAFF, now=now)
            with pytest.raises(NotFound):
                exceptions.end(connection, 999, reason="no longer needed", actor=STAFF, now=now)

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"reason": "because"}, "exception_reason_short"),
            ({"reason": "because        "}, "exception_reason_short"),
            ({"offering_id": "F99"}, "offering_unknown"),
            ({"offering_id": "*"}, "offering_unknown"),
            ({"trainee_id": 999}, "trainee_unknown"),
            ({"expires_on": date(2026, 11, 30)}, "exception_date_wrong"),
        ],
    )
    def test_what_cannot_be_an_exception_is_refused(
        self, database: Database, now: datetime, changes: dict[str, Any], code: str
    ) -> None:
        with database.write() as connection:
            values: dict[str, Any] = {"trainee_id": launched(connection, now), "offering_id": "F2"}
            values |= {"reason": "agreed by phone"} | changes
            with pytest.raises(GatehouseError) as caught:
                exceptions.grant(connection, demo(), **values, actor=STAFF, now=now)
        assert caught.value.code == code

    def test_nobody_grants_to_themselves(self, database: Database, now: datetime) -> None:
        with database.write() as connection:
            ada = launched(connection, now)
            with pytest.raises(AccessDenied):
                exceptions.grant(
                    connection, demo(), trainee_id=ada, offering_id="F2", reason="agreed with myself",
                    actor=f"staff:{ada}", now=now,
                )  # fmt: skip
