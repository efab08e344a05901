"""Who would gain or lose under another policy, and that asking changes nothing."""

from dataclasses import replace
from decimal import Decimal
from functools import partial

import pytest
from sqlalchemy import select

from lti_tool.attendance import live_sessions
from lti_tool.attendance.settlement import settle
from lti_tool.credit import claims, licences
from lti_tool.credit.rehearsal import rehearse
from lti_tool.grades.outcomes import follow_attendance
from lti_tool.programme.loader import TrialPolicy
from lti_tool.programme.model import CompletionPolicy
from lti_tool.tables.types import metadata
from tests.training_day import FIVE, WHOLE_DAY, add_licence, add_session, add_trainee, present, stay

NO_CHANGE = TrialPolicy(None, {})


@pytest.fixture
def class_of_three(database, published, now):
    """One there all day, one 18 minutes late (completes, earns no credit), one there until half past twelve."""
    with database.write() as connection:
        session_id = add_session(connection, published, now)
        whole, late, half = (add_trainee(connection, number, now) for number in (1, 2, 3))
        for each in (whole, late, half):
            add_licence(connection, each, now)
    people = [present(whole, *WHOLE_DAY), present(late, stay(18, 480)), present(half, stay(0, 210))]
    settle(database, session_id, people, FIVE, now, partial(follow_attendance, now=now))
    return session_id, people


def asked(database, class_of_three, trial: TrialPolicy):
    session_id, people = class_of_three
    with database.read() as connection:
        return rehearse(connection, live_sessions.show(connection, session_id), people, trial)


def apa(published, **changes):
    return TrialPolicy(None, {"apa": replace(published.programme.bodies["apa"].policy, **changes)})


def test_the_same_policy_changes_nothing(database, class_of_three) -> None:
    found = asked(database, class_of_three, NO_CHANGE)
    assert (found.people, found.differences) == (3, ())


def test_a_gentler_share_completes_more(database, class_of_three) -> None:
    (found,) = asked(database, class_of_three, TrialPolicy(CompletionPolicy(Decimal("0.4")), {})).differences
    assert (found.trainee_id, found.about, found.outcome) == (3, "completion", "gains")
    assert (found.before, found.after, found.seconds_present) == (False, True, 165 * 60)


def test_a_stricter_share_takes_completion(database, class_of_three) -> None:
    found = asked(database, class_of_three, TrialPolicy(CompletionPolicy(Decimal("0.99")), {})).differences
    assert [(each.trainee_id, each.about, each.outcome) for each in found] == [(2, "completion", "loses")]


def test_the_limits_of_a_body_are_tried_apart_from_completion(database, class_of_three, published) -> None:
    limits = {f"max_missed_{which}_minutes": 20 for which in ("total", "consecutive")}
    trial = apa(published, late_arrival_minutes=20, **limits)
    found = asked(database, class_of_three, trial).differences
    assert [(each.trainee_id, each.about, each.outcome) for each in found] == [(2, "apa", "gains")]


def test_estimates_leave_credit_open(database, class_of_three, published) -> None:
    session_id, people = class_of_three
    unsure = present(2, stay(18, 400), stay(400, 480, "estimated"))
    limits = {f"max_missed_{which}_minutes": 20 for which in ("total", "consecutive")}
    trial = apa(published, late_arrival_minutes=20, **limits)
    (found,) = asked(database, (session_id, [people[0], unsure, people[2]]), trial).differences
    assert (found.about, found.outcome, found.after) == ("apa", "opens", None)


def test_participation_that_nobody_was_asked_for_costs_nothing(database, class_of_three) -> None:
    trial = TrialPolicy(CompletionPolicy(Decimal("0.80"), participation_share=Decimal("1")), {})
    assert asked(database, class_of_three, trial).differences == ()


def test_people_nobody_has_matched_are_not_judged(database, class_of_three) -> None:
    session_id, people = class_of_three
    guest = present(None, *WHOLE_DAY, key="connection:a")
    assert asked(database, (session_id, [*people, guest]), NO_CHANGE).people == 3


def test_nothing_at_all_is_written(database, class_of_three) -> None:
    before = contents(database)
    asked(database, class_of_three, TrialPolicy(CompletionPolicy(Decimal("0.1")), {}))
    assert contents(database) == before


def test_a_licence_that_the_body_does_not_credit_gains_nothing(database, class_of_three, published, now) -> None:
    """The second person is a social worker in Oregon: no easier rule for nurses gives them a nurse's credit."""
    with database.write() as connection:
        for each in licences.of_trainee(connection, 2):
            licences.end_licence(connection, each.id, reason="Another licence.", actor="cli", now=now)
        add_licence(connection, 2, now, type="LCSW", jurisdiction="OR")
    limits = {f"max_missed_{which}_minutes": 20 for which in ("total", "consecutive")}
    policies = {body: published.programme.bodies[body].policy for body in ("apa", "scrc_brn")}
    easy = {body: replace(policy, late_arrival_minutes=20, **limits) for body, policy in policies.items()}
    found = asked(database, class_of_three, TrialPolicy(None, easy)).differences
    assert [(each.trainee_id, each.about, each.outcome) for each in found] == [(2, "apa", "gains")]
    assert (found[0].name, found[0].because) == ("Trainee 2", ("attendance",))


@pytest.mark.parametrize("fact", ["fee", "evaluation"])
def test_a_fact_that_becomes_required_opens_a_claim_until_it_is_recorded(
    database, class_of_three, published, now, fact
) -> None:
    trial = apa(published, **{f"{fact}_required": True})
    (found,) = asked(database, class_of_three, trial).differences
    assert (found.trainee_id, found.name, found.about, found.outcome) == (1, "Trainee 1", "apa", "opens")
    assert (found.before, found.after, found.because) == (True, None, (fact,))
    with database.write() as connection:
        given = {"trainee_id": 1, "session_id": class_of_three[0], "body_id": "apa", "actor": "cli", "now": now}
        claims.record_fact(connection, fact=fact, reason="Seen.", **given)
    assert asked(database, class_of_three, trial).differences == ()


def contents(database) -> dict[str, list]:
    with database.read() as connection:
        return {name: connection.execute(select(table)).all() for name, table in metadata.tables.items()}
