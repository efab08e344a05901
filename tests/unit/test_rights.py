"""Grants of roles: what is in force, what stays, and two admins who end each other at once."""

from datetime import date, datetime, timedelta
from threading import Barrier, Thread

import pytest

from lti_tool import audit, rights
from lti_tool.attendance import person_joins
from lti_tool.errors import Conflict
from tests.training_day import add_trainee

WHY = {"reason": "Runs the training.", "actor": "cli"}


@pytest.fixture
def pair(database, now) -> list[int]:
    with database.write() as connection:
        return [add_trainee(connection, number, now) for number in (1, 2)]


def roles_at(database, trainee_id: int, at: datetime) -> frozenset[str]:
    with database.read() as connection:
        return rights.roles_of(connection, trainee_id, at)


def test_a_role_counts_until_the_end_of_its_last_day_in_the_zone_of_the_programme(database, pair, now) -> None:
    with database.write() as connection:
        last = {"last_day": date(2026, 12, 20), "zone": "America/Los_Angeles"}
        rights.grant(connection, pair[0], rights.COORDINATOR, now=now, **last, **WHY)
    ends = datetime.fromisoformat("2026-12-21T08:00:00+00:00")
    assert roles_at(database, pair[0], ends - timedelta(seconds=1)) == {rights.COORDINATOR}
    assert roles_at(database, pair[0], ends) == frozenset()


def test_several_roles_are_held_at_once_and_one_only_once(database, pair, now) -> None:
    with database.write() as connection:
        for role in (rights.REGISTRAR, rights.AUDITOR):
            rights.grant(connection, pair[0], role, now=now, **WHY)
        with pytest.raises(Conflict, match="role_held"):
            rights.grant(connection, pair[0], rights.AUDITOR, now=now, **WHY)
    assert roles_at(database, pair[0], now) == {rights.REGISTRAR, rights.AUDITOR}


def test_the_first_programme_admin_has_no_last_day(database, pair, now) -> None:
    with database.write() as connection, pytest.raises(Conflict, match="role_needs_holder"):
        rights.grant(connection, pair[0], rights.PROGRAMME_ADMIN, now=now, last_day=date(2027, 1, 1), **WHY)


def test_of_two_admins_who_end_each_other_at_once_one_stays(database, pair, now) -> None:
    with database.write() as connection:
        grants = [rights.grant(connection, each, rights.PROGRAMME_ADMIN, now=now, **WHY) for each in pair]
    refused, both = [], Barrier(2)

    def end(grant: int) -> None:
        both.wait()
        try:
            with database.write() as connection:
                rights.end(connection, grant, now=now, **WHY)
        except Conflict as refusal:
            refused.append(refusal.code)

    threads = [Thread(target=end, args=(grant,)) for grant in grants]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert refused == ["role_needs_holder"]
    assert sum(rights.PROGRAMME_ADMIN in roles_at(database, each, now) for each in pair) == 1


@pytest.mark.parametrize("right", rights.RIGHTS, ids=lambda right: right.name)
def test_somebody_may_do_each_thing(right: rights.Right) -> None:
    assert right.roles & set(rights.ROLES)


def test_an_account_that_was_joined_to_another_gets_no_role_and_is_no_candidate(database, pair, now) -> None:
    with database.write() as connection:
        audit.record(connection, actor=f"staff:{pair[1]}", act="decisions_viewed", subject="trainee:9", at=now)
        person_joins.join(connection, kept_id=pair[0], joined_id=pair[1], reason="The same.", actor="cli", now=now)
        with pytest.raises(Conflict, match="role_for_joined"):
            rights.grant(connection, pair[1], rights.PROGRAMME_ADMIN, now=now, **WHY)
        assert rights.candidates(connection, now) == []
