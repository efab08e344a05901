"""Licences: recorded, corrected, ended."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from lti_tool.credit import licences
from lti_tool.db import Database
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.tables.operations import audit_log
from tests.unit.gates.people_and_programmes import demo
from tests.unit.people_of_tests import launched, licensed


def test_a_licence_is_recorded_with_its_number_encrypted(database: Database, now: datetime) -> None:
    with database.write() as connection:
        person = launched(connection, now)
        licensed(connection, person, now, jurisdiction=" ca ", number=" LMFT-12345 ")
        [row] = licences.of_trainee(connection, person)
        stored = connection.execute(text("select number from licences")).scalar_one()
        log = connection.execute(select(audit_log)).all()
    assert (row.type, row.jurisdiction, row.number, row.status, row.verified) == (
        "LMFT", "CA", "LMFT-12345", "active", False,
    )  # fmt: skip
    assert b"12345" not in bytes(stored)
    assert "12345" not in str(log)


def test_a_correction_is_a_new_row_and_the_old_one_stays_readable(database: Database, now: datetime) -> None:
    later = now + timedelta(days=1)
    with database.write() as connection:
        person = launched(connection, now)
        old = licensed(connection, person, now)
        new = licensed(connection, person, later, number="LMFT-54321", replaces=old)
        assert [row.id for row in licences.of_trainee(connection, person)] == [new]
        newest, oldest = licences.of_trainee(connection, person, ended=True)
    assert (newest.id, oldest.id, oldest.ended_at, oldest.number) == (new, old, later, "LMFT-12345")


def test_a_licence_is_corrected_once_and_only_for_its_owner(database: Database, now: datetime) -> None:
    with database.write() as connection:
        ada, ben = launched(connection, now), launched(connection, now, "Ben Example")
        old = licensed(connection, ada, now)
        with pytest.raises(NotFound) as foreign:
            licensed(connection, ben, now, replaces=old)
        licensed(connection, ada, now, replaces=old)
        with pytest.raises(Conflict) as twice:
            licensed(connection, ada, now, replaces=old)
    assert (foreign.value.code, twice.value.code) == ("licence_unknown", "licence_ended")


def test_ending_needs_a_reason_and_happens_once(database: Database, now: datetime) -> None:
    with database.write() as connection:
        person = launched(connection, now)
        held = licensed(connection, person, now)
        for reason in (" ", "x" * 2001):
            with pytest.raises(BadInput) as unreasoned:
                licences.end_licence(connection, held, reason=reason, actor="cli", now=now)
            assert unreasoned.value.code == "reason_missing"
        licences.end_licence(connection, held, reason="surrendered", actor="cli", now=now)
        with pytest.raises(Conflict) as twice:
            licences.end_licence(connection, held, reason="surrendered", actor="cli", now=now)
        with pytest.raises(NotFound):
            licences.end_licence(connection, 999, reason="surrendered", actor="cli", now=now)
        assert licences.of_trainee(connection, person) == []
    assert twice.value.code == "licence_ended"


def test_what_is_pasted_into_a_licence_is_cleaned(database: Database, now: datetime) -> None:
    with database.write() as connection:
        person = launched(connection, now)
        licensed(connection, person, now, number="LMFT\u00a01\u00ad2\u200b3", name_on_licence="Marie\u3000Lefevre\n")
        (row,) = licences.of_trainee(connection, person)
    assert (row.number, row.name_on_licence) == ("LMFT 123", "Marie Lefevre")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"type": " "}, "licence_incomplete"),
        ({"number": ""}, "licence_incomplete"),
        ({"number": "1" * 65}, "licence_incomplete"),
        ({"number": "\x00\u200b"}, "licence_incomplete"),
        ({"jurisdiction": "x" * 17}, "licence_incomplete"),
        ({"expires_on": date(2019, 12, 31)}, "licence_dates_wrong"),
        ({"status": "lapsed"}, "licence_status_unknown"),
    ],
)
def test_what_cannot_be_a_licence_is_refused(
    database: Database, now: datetime, changes: dict[str, Any], code: str
) -> None:
    with database.write() as connection:
        person = launched(connection, now)
        with pytest.raises(BadInput) as caught:
            licensed(connection, person, now, **changes)
        assert licences.of_trainee(connection, person) == []
    assert caught.value.code == code


def test_nobody_unknown_holds_a_licence(database: Database, now: datetime) -> None:
    with database.write() as connection, pytest.raises(NotFound):
        licensed(connection, 999, now)


def test_the_programme_says_which_types_there_are() -> None:
    known = licences.known_types(demo())
    assert known["lmft"] == "LMFT"
    assert known["psychologist"] == "psychologist"
    assert known["np"] == "NP"


@pytest.mark.parametrize(("number", "shown"), [("LMFT-12345", "••••••••45"), ("12", "••"), ("12345", "•••45")])
def test_a_masked_number_shows_two_characters_at_most(number: str, shown: str) -> None:
    assert licences.masked(number) == shown
