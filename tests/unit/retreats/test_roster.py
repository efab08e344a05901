"""Who was present at a retreat."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from lti_tool.db import Database
from lti_tool.errors import GatehouseError
from lti_tool.gates import decide
from lti_tool.programme.versions import Published
from lti_tool.retreats import applications, attendance
from lti_tool.tables.retreats import retreat_applications
from tests.unit.gates.people_and_programmes import demo
from tests.unit.people_of_tests import launched
from tests.unit.retreats.test_applications import DEMO, apply, eligible

STARTS = date(2024, 9, 4)
FIRST_DAY = datetime(2024, 9, 4, 16, 0, tzinfo=UTC)
SECOND_DAY = datetime(2024, 9, 5, 16, 0, tzinfo=UTC)


def mark(connection: Connection, person: int, now: datetime = SECOND_DAY, *, no_show: bool = False, **more: Any) -> int:
    values: dict[str, Any] = {"trainee_id": person, "retreat_id": "RT_EXP", "starts_on": STARTS, "actor": "staff:99"}
    marking = attendance.mark_no_show if no_show else attendance.mark_attended
    return marking(connection, demo(), **(values | more), now=now)


def is_advanced_open(connection: Connection, person: int) -> bool:
    return decide.ask(connection, Published(1, demo()), person, "RT_ADV", SECOND_DAY).open


def test_presence_opens_the_advanced_retreat_and_absence_does_not(database: Database) -> None:
    with database.write() as connection:
        ada, ben = launched(connection, FIRST_DAY), launched(connection, FIRST_DAY, "Ben Example")
        mark(connection, ada, FIRST_DAY)
        mark(connection, ben, no_show=True)
        assert is_advanced_open(connection, ada)
        assert not is_advanced_open(connection, ben)
        entries = attendance.entries(connection, "RT_EXP")
    assert [(row.name, row.outcome) for row in entries] == [("Ada Example", "attended"), ("Ben Example", "no_show")]


def test_the_same_mark_twice_is_one_entry(database: Database) -> None:
    with database.write() as connection:
        person = launched(connection, FIRST_DAY)
        assert mark(connection, person) == mark(connection, person)
        assert len(attendance.entries(connection)) == 1


def test_turning_presence_round_needs_a_reason_and_a_second_person_and_keeps_the_old_entry(database: Database) -> None:
    with database.write() as connection:
        person = launched(connection, FIRST_DAY)
        old = mark(connection, person)
        for more, code in (
            ({"reason": "seen elsewhere"}, "second_person_needed"),
            ({"confirmed_by": "staff:98"}, "reason_missing"),
            ({"confirmed_by": "staff:98", "reason": "x" * 2001}, "reason_missing"),
            ({"confirmed_by": "staff:99", "reason": "seen elsewhere"}, "second_person_needed"),
        ):
            with pytest.raises(GatehouseError) as caught:
                mark(connection, person, no_show=True, **more)
            assert caught.value.code == code
        new = mark(connection, person, no_show=True, confirmed_by="staff:98", reason="seen elsewhere")
        assert [row.id for row in attendance.entries(connection)] == [new] != [old]
        assert not is_advanced_open(connection, person)
        with pytest.raises(GatehouseError) as back:
            mark(connection, person)
    assert back.value.code == "roster_outcome_stands"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"now": datetime(2024, 9, 4, 6, 59, tzinfo=UTC)}, "roster_too_early"),
        ({"now": FIRST_DAY, "no_show": True}, "roster_too_early"),
        ({"trainee_id": 999}, "trainee_unknown"),
        ({"retreat_id": "RT_NONE"}, "retreat_unknown"),
        ({"starts_on": date(2024, 9, 1)}, "retreat_date_unknown"),
        ({"actor": "staff:1"}, "own_case"),
    ],
)
def test_what_cannot_be_marked_is_refused(database: Database, more: dict[str, Any], code: str) -> None:
    with database.write() as connection:
        person = launched(connection, FIRST_DAY)
        assert person == 1
        with pytest.raises(GatehouseError) as caught:
            mark(connection, person, **more)
    assert caught.value.code == code


@pytest.mark.parametrize(("state", "after"), [("confirmed", "attended"), ("submitted", "submitted")])
def test_only_a_confirmed_application_follows_the_roster(database: Database, state: str, after: str) -> None:
    with database.write() as connection:
        person = eligible(connection)
        apply(connection, person, DEMO)
        connection.execute(update(retreat_applications).values(state=state))
        mark(connection, person)
        [application] = applications.of_trainee(connection, person)
        kept = connection.scalars(select(retreat_applications.c.statement_version))
        assert list(kept) == ["S2-2024"]
    assert application.state == after
