"""Facts from the database, and the one front door to every gate."""

import logging
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import Connection, select

from lti_tool.db import Database
from lti_tool.gates import completions, decide, equivalency, exceptions
from lti_tool.gates.decide import KINDS, load_facts
from lti_tool.gates.evaluate import evaluate
from lti_tool.programme.versions import Published
from lti_tool.retreats import attendance
from lti_tool.tables.gates import decisions as table
from tests.statements import listening
from tests.unit.gates.people_and_programmes import demo, with_gate
from tests.unit.people_of_tests import launched, licensed


def prati(connection: Connection, person: int, now: datetime) -> int:
    return equivalency.submit(
        connection, demo(), trainee_id=person, target="F1", provider_id="prati", course_title="Foundations",
        evidence_note="certificate of 2023", actor=f"trainee:{person}", now=now,
    )  # fmt: skip


def test_every_kind_of_fact_is_loaded(database: Database, now: datetime) -> None:
    with database.write() as connection:
        person = launched(connection, now)
        done = completions.complete(connection, person, "F1", now.date(), "staff", actor="staff:99", now=now)
        asked = prati(connection, person, now)
        held = licensed(connection, person, now)
        present = attendance.mark_attended(
            connection, demo(), trainee_id=person, retreat_id="RT_EXP", starts_on=date(2024, 9, 4), actor="cli", now=now
        )
        granted = exceptions.grant(
            connection, demo(), trainee_id=person, offering_id="F3", reason="agreed by phone", actor="cli", now=now
        )
        facts = load_facts(connection, [person])[person]
    found = (facts.completions, facts.equivalencies, facts.licences, facts.retreats, facts.exceptions)
    assert [[record.id for record in records] for records in found] == [[done], [asked], [held], [present], [granted]]
    assert (facts.trainee_id, facts.unavailable, facts.attestations) == (person, frozenset(), ())
    assert facts.latest_at == now


def test_facts_of_many_take_one_query_per_table(database: Database, now: datetime) -> None:
    with database.write() as connection:
        people = [launched(connection, now, f"Person{number} Example") for number in range(30)]
        for person in people:
            completions.complete(connection, person, "F1", now.date(), "staff", actor="cli", now=now)
    with database.read() as connection, listening(database) as statements:
        facts = load_facts(connection, people)
    assert len(statements) <= len(KINDS)
    assert [len(facts[person].completions) for person in people] == [1] * 30


def test_somebody_unknown_has_no_facts(database: Database) -> None:
    with database.read() as connection:
        assert load_facts(connection, [999])[999].completions == ()
        assert load_facts(connection, []) == {}


def test_asking_reads_only_what_the_gate_needs(database: Database, published: Published, now: datetime) -> None:
    with database.write() as connection:
        person = launched(connection, now)
    with database.read() as connection, listening(database) as statements:
        assert not decide.ask(connection, published, person, "F2", now).open
    assert len(statements) == 3, "completions, requests, exceptions"


def test_facts_that_were_not_read_never_open_anything(database: Database, now: datetime) -> None:
    with database.write() as connection:
        person = launched(connection, now)
        completions.complete(connection, person, "F1", now.date(), "staff", actor="cli", now=now)
        facts = load_facts(connection, [person], {"equivalencies"})[person]
    decision = evaluate(demo(), 1, "F2", facts, now)
    assert (decision.open, decision.status) == (False, "unknown")


def test_a_new_fact_opens_at_the_next_question_and_the_past_stays_as_it_was(
    database: Database, published: Published, now: datetime
) -> None:
    later = now + timedelta(hours=1)
    with database.write() as connection:
        person = launched(connection, now)
        shut = decide.ask(connection, published, person, "F2", now)
        completions.complete(connection, person, "F1", now.date(), "staff", actor="cli", now=later)
        opened = decide.ask(connection, published, person, "F2", later)
        again = decide.ask(connection, published, person, "F2", now)
    assert (shut.open, opened.open) == (False, True)
    assert again.digest == shut.digest


def test_a_recorded_decision_can_be_read_again(database: Database, published: Published, now: datetime) -> None:
    with database.write() as connection:
        person = launched(connection, now)
        decision = decide.ask(connection, published, person, "F2", now)
        decide.record(connection, decision, "launch")
        row = connection.execute(select(table)).one()
    assert (row.trainee_id, row.offering_id, row.route, row.open, row.status) == (
        person,
        "F2",
        "launch",
        False,
        "unmet",
    )
    assert (row.digest, row.tree) == (decision.digest, decision.to_json())
    assert row.programme_version == published.version


def test_a_broken_rule_is_told_to_the_log_with_its_path(
    database: Database, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Published(4, with_gate({"any": [{"completed": {"module": "F99"}}]}))
    unreadable = Published(5, with_gate({"bogus": 1}))
    with caplog.at_level(logging.ERROR), database.read() as connection:
        assert not decide.ask(connection, broken, 7, "F2", now).open
        assert not decide.ask(connection, unreadable, 7, "F2", now).open
    first, second = caplog.records
    assert vars(first)["path"] == "gates.F2.rule.any[0].completed"
    assert vars(second)["reason"] == "rule_unreadable"


def test_an_ordinary_closed_gate_is_no_incident(
    database: Database, published: Published, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR), database.read() as connection:
        decide.ask(connection, published, 7, "F2", now)
        decide.ask(connection, published, 7, "RT_DIA", now)
    assert caplog.records == []
