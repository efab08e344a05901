"""Applying for a retreat: the gate, the statement, one application per date."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from lti_tool.db import Database
from lti_tool.errors import Conflict, GatehouseError, NotFound
from lti_tool.gates import completions, equivalency
from lti_tool.programme.versions import Published
from lti_tool.retreats import applications, attendance
from lti_tool.retreats.applications import eligibility, next_date, retreat_of
from lti_tool.tables.gates import decisions
from lti_tool.tables.operations import audit_log
from lti_tool.tables.retreats import retreat_applications
from tests.unit.gates.people_and_programmes import demo
from tests.unit.people_of_tests import launched, licensed

NOW = datetime(2024, 8, 1, 16, 0, tzinfo=UTC)
SEPTEMBER, OCTOBER, NOVEMBER = date(2024, 9, 4), date(2024, 10, 3), date(2024, 11, 15)
DEMO = Published(1, demo())


def eligible(connection: Connection, name: str = "Ada Example") -> int:
    person = launched(connection, NOW, name)
    licensed(connection, person, NOW)
    completions.complete(connection, person, "F1", date(2024, 7, 13), "staff", actor="cli", now=NOW)
    return person


def apply(connection: Connection, person: int, published: Published = DEMO, **changes: Any) -> int:
    values: dict[str, Any] = {
        "trainee_id": person,
        "retreat_id": "RT_EXP",
        "starts_on": SEPTEMBER,
        "statement_version": "S2-2024",
        "actor": f"trainee:{person}",
        "now": NOW,
    }
    return applications.apply(connection, published, **(values | changes))


def test_somebody_eligible_applies_and_the_statement_is_a_version_and_a_time(database: Database) -> None:
    with database.write() as connection:
        person = eligible(connection)
        made = apply(connection, person)
        row = applications.load(connection, made)
        kept = connection.execute(select(decisions)).one()
        acts = list(connection.scalars(select(audit_log.c.act).where(audit_log.c.subject == f"application:{made}")))
    assert (row.state, row.statement_version, row.statement_at, row.submitted_at) == ("submitted", "S2-2024", NOW, NOW)
    assert (kept.route, kept.offering_id, kept.digest) == ("retreat_application", "RT_EXP", row.decision_digest)
    assert acts == ["application_submitted"]


def test_an_equivalency_alone_does_not_open_the_form_and_with_another_module_it_does(database: Database) -> None:
    with database.write() as connection:
        person = launched(connection, NOW)
        licensed(connection, person, NOW)
        request = equivalency.submit(
            connection, demo(), trainee_id=person, target="F1", provider_id="prati", course_title="Foundations",
            evidence_note="certificate", actor="cli", now=NOW,
        )  # fmt: skip
        equivalency.approve(connection, request, actor="staff:99", now=NOW)
        with pytest.raises(Conflict) as caught:
            apply(connection, person)
        completions.complete(connection, person, "ST_MUS", date(2024, 7, 13), "staff", actor="cli", now=NOW)
        assert apply(connection, person)
    assert caught.value.code == "retreat_gate_closed"


def test_the_licence_is_judged_on_the_first_day_of_the_chosen_date(database: Database) -> None:
    with database.write() as connection:
        person = launched(connection, NOW)
        licensed(connection, person, NOW, expires_on=date(2024, 10, 1))
        completions.complete(connection, person, "F1", date(2024, 7, 13), "staff", actor="cli", now=NOW)
        assert eligibility(connection, DEMO, person, "RT_EXP", NOW, starts_on=SEPTEMBER).may_apply
        later = eligibility(connection, DEMO, person, "RT_EXP", NOW, starts_on=NOVEMBER)
    assert (later.may_apply, [node.reason for node in later.decision.unmet()]) == (False, ["licence_ends_before"])


def test_a_pending_equivalent_retreat_may_apply_and_shows_as_pending(database: Database) -> None:
    with database.write() as connection:
        person = launched(connection, NOW)
        equivalency.submit(
            connection, demo(), trainee_id=person, target="RT_EXP", provider_id="other_retreat",
            course_title="A retreat elsewhere", evidence_note="letter", actor="cli", now=NOW,
        )  # fmt: skip
        asked = eligibility(connection, DEMO, person, "RT_ADV", NOW)
        assert (asked.decision.open, asked.decision.is_pending, asked.may_apply) == (False, True, True)
        assert apply(connection, person, retreat_id="RT_ADV", starts_on=OCTOBER)


def test_attending_the_first_retreat_opens_the_advanced_one(database: Database) -> None:
    after = datetime(2024, 9, 9, 16, 0, tzinfo=UTC)
    with database.write() as connection:
        person = eligible(connection)
        apply(connection, person)
        assert not eligibility(connection, DEMO, person, "RT_ADV", after).may_apply, "an application is no attendance"
        attendance.mark_attended(
            connection, demo(), trainee_id=person, retreat_id="RT_EXP", starts_on=SEPTEMBER, actor="cli", now=after
        )
        assert eligibility(connection, DEMO, person, "RT_ADV", after).may_apply


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"retreat_id": "RT_DIA", "starts_on": date(2024, 7, 26)}, "retreat_not_offered"),
        ({"retreat_id": "RT_NONE"}, "retreat_unknown"),
        ({"retreat_id": "F1"}, "retreat_unknown"),
        ({"starts_on": date(2024, 9, 5)}, "retreat_date_unknown"),
        ({"now": datetime(2024, 9, 5, 16, tzinfo=UTC)}, "retreat_date_past"),
        ({"retreat_id": "RT_ADV", "starts_on": OCTOBER}, "retreat_gate_closed"),
        ({"statement_version": None}, "statement_missing"),
        ({"statement_version": "S2-2023"}, "statement_outdated"),
        ({"trainee_id": 999}, "trainee_unknown"),
    ],
)
def test_what_cannot_be_applied_for_is_refused_and_leaves_nothing(
    database: Database, changes: dict[str, Any], code: str
) -> None:
    with database.write() as connection:
        person = eligible(connection)
        with pytest.raises(GatehouseError) as caught:
            apply(connection, person, **changes)
        assert applications.of_trainee(connection, person) == []
    assert caught.value.code == code


def test_a_retreat_that_is_not_published_cannot_be_applied_for(database: Database) -> None:
    retreats = {**demo().retreats, "RT_EXP": replace(demo().retreats["RT_EXP"], publish=False)}
    with database.write() as connection:
        person = eligible(connection)
        with pytest.raises(Conflict) as caught:
            apply(connection, person, Published(1, replace(demo(), retreats=retreats)))
    assert caught.value.code == "retreat_not_offered"


def test_where_no_statement_is_asked_for_none_is_kept(database: Database) -> None:
    retreats = {**demo().retreats, "RT_EXP": replace(demo().retreats["RT_EXP"], attestation_required=False)}
    with database.write() as connection:
        person = eligible(connection)
        made = apply(connection, person, Published(1, replace(demo(), retreats=retreats)))
        row = applications.load(connection, made)
    assert (row.statement_version, row.statement_at) == (None, None)


def test_whether_a_statement_is_needed_is_asked_for_while_nobody_has_said(database: Database) -> None:
    retreats = {**demo().retreats, "RT_EXP": replace(demo().retreats["RT_EXP"], attestation_required=None)}
    with database.write() as connection:
        person = eligible(connection)
        with pytest.raises(GatehouseError) as caught:
            apply(connection, person, Published(1, replace(demo(), retreats=retreats)), statement_version=None)
    assert caught.value.code == "statement_missing"


def test_one_live_application_per_date_and_after_its_end_only_a_coordinator_reopens(database: Database) -> None:
    with database.write() as connection:
        person = eligible(connection)
        first = apply(connection, person)
        with pytest.raises(Conflict) as twice:
            apply(connection, person)
        assert apply(connection, person, starts_on=NOVEMBER), "another date is another application"
        applications.withdraw(connection, first, actor=f"trainee:{person}", now=NOW)
        with pytest.raises(Conflict) as again:
            apply(connection, person)
        states = {row.starts_on: row.state for row in applications.of_trainee(connection, person)}
    assert (twice.value.code, again.value.code) == ("application_exists", "application_closed")
    assert states == {SEPTEMBER: "withdrawn", NOVEMBER: "submitted"}


def test_two_clicks_at_once_make_one_application(database: Database) -> None:
    with database.write() as connection:
        person = eligible(connection)

    def click(_: int) -> str:
        try:
            with database.write() as connection:
                apply(connection, person)
        except Conflict as conflict:
            return conflict.code
        return "sent"

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(click, range(8))) == ["application_exists"] * 7 + ["sent"]


@pytest.mark.parametrize("state", ["declined", "withdrawn", "attended", "no_show"])
def test_what_has_ended_cannot_be_withdrawn(database: Database, state: str) -> None:
    with database.write() as connection:
        made = apply(connection, eligible(connection))
        connection.execute(update(retreat_applications).values(state=state))
        with pytest.raises(Conflict) as caught:
            applications.withdraw(connection, made, actor="cli", now=NOW)
    assert caught.value.code == "application_transition"


def test_nobody_withdraws_anothers_application(database: Database) -> None:
    with database.write() as connection:
        made = apply(connection, eligible(connection))
        with pytest.raises(NotFound):
            applications.withdraw(connection, made, actor="trainee:999", now=NOW)


def test_staff_list_applications_in_the_order_of_submission(database: Database) -> None:
    with database.write() as connection:
        for name in ("Ada Example", "Ben Example"):
            apply(connection, eligible(connection, name))
        rows = applications.list_applications(connection)
        assert applications.list_applications(connection, "RT_ADV") == []
    assert [row.name for row in rows] == ["Ada Example", "Ben Example"]


def test_the_next_date_is_taken_and_after_the_last_the_last() -> None:
    retreat = retreat_of(demo(), "RT_EXP")
    last = max(each.starts_on for each in retreat.dates)
    starts = [next_date(retreat, day) for day in (SEPTEMBER, date(2024, 9, 5), date(2099, 1, 1))]
    assert [each.starts_on for each in starts if each] == [SEPTEMBER, NOVEMBER, last]
    guessed = replace(retreat, dates=tuple(replace(each, confidence="high") for each in retreat.dates))
    assert next_date(guessed, SEPTEMBER) is None
