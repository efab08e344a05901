"""Two accounts of one person: joined by staff with a reason, and separated again."""

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select

from lti_tool import people
from lti_tool.attendance import corrections, matching, person_joins, queries
from lti_tool.attendance.settlement import PEOPLE_PER_COMMIT, settle
from lti_tool.credit import claims
from lti_tool.errors import Conflict, GatehouseError
from lti_tool.gates import completions
from lti_tool.grades.outcomes import follow_attendance
from lti_tool.tables import metadata
from lti_tool.tables.operations import audit_log, tasks
from lti_tool.tables.people import person_join_rows
from lti_tool.tables.people import person_joins as joins
from tests.training_day import FIVE, HALF_A_DAY, NINE, WHOLE_DAY, add_licence, add_session, add_trainee, present

OTHER = "https://moved.example.org"


@pytest.fixture
def session_id(database, published, now):
    with database.write() as connection:
        return add_session(connection, published, now)


@pytest.fixture
def both(database, session_id, now):
    """A person's new account, and the old one with a day, a completion and credit."""
    with database.write() as connection:
        old = add_trainee(connection, 1, now)
        add_licence(connection, old, now, type="psychologist")
    follow = partial(follow_attendance, now=now)
    settle(database, session_id, [present(old, *WHOLE_DAY)], FIVE, now, follow)
    with database.write() as connection:
        new = people.find_or_add(connection, OTHER, "u-1", name="T", email="trainee1@example.org", now=now)
    return new, old


def join(database, kept, joined, now, **given):
    with database.write() as connection:
        values = {"reason": "She showed both accounts.", "actor": "cli", "now": now} | given
        return person_joins.join(connection, kept_id=kept, joined_id=joined, **values)


def undo(database, made, now):
    with database.write() as connection:
        person_joins.undo(connection, made, reason="Two sisters.", actor="cli", now=now)


def earned(database, trainee_id, session_id):
    with database.read() as connection:
        day = queries.of_trainee_in(connection, trainee_id, session_id)
        return (
            day.seconds_present if day else None,
            len(completions.of_trainee(connection, trainee_id)),
            len(claims.awards_in_force(connection, trainee_id, "F1")),
        )


def everything(database):
    """All rows but those that say who did what, and when a session is to be settled."""
    left_out = {audit_log, tasks, joins, person_join_rows}
    with database.read() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table)).all()))
            for table in metadata.sorted_tables
            if table not in left_out
        }


def test_an_address_of_two_accounts_is_a_suggestion_and_nothing_more(database, both, session_id):
    new, old = both
    with database.read() as connection:
        (found,) = person_joins.suggestions(connection)
        assert person_joins.listed(connection) == []
    assert (found.email, [row.id for row in found.people]) == ("trainee1@example.org", [old, new])
    assert earned(database, new, session_id) == (None, 0, 0)


def test_two_people_who_share_an_address_leave_the_list_until_a_third_has_it(database, both, now):
    new, old = both
    for _ in range(2):
        with database.write() as connection:
            person_joins.keep_apart(connection, new, old, reason="Two sisters.", actor="cli", now=now)
    with database.write() as connection:
        assert person_joins.suggestions(connection) == []
        (kept,) = person_joins.kept_apart(connection)
        acts = connection.execute(select(audit_log.c.act, audit_log.c.reason)).all()
        people.find_or_add(connection, OTHER, "u-2", name="T", email="trainee1@example.org", now=now)
        (found,) = person_joins.suggestions(connection)
    assert (kept.one_id, kept.other_id, kept.made_by, kept.reason) == (old, new, "cli", "Two sisters.")
    assert [tuple(each) for each in acts if each.act == "people_kept_apart"] == [("people_kept_apart", "Two sisters.")]
    assert len(found.people) == 3


def test_people_are_kept_apart_with_a_reason_and_by_others(database, both, now):
    new, old = both
    wrong = [
        (new, new, "cli", "Why."),
        (new, old, "cli", " "),
        (new, old, f"staff:{old}", "Why."),
        (new, 999, "cli", "W"),
    ]
    codes = []
    for one, other, actor, reason in wrong:
        with pytest.raises(GatehouseError) as caught, database.write() as connection:
            person_joins.keep_apart(connection, one, other, reason=reason, actor=actor, now=now)
        codes.append(caught.value.code)
    assert codes == ["join_self", "reason_missing", "own_case", "trainee_unknown"]
    made = join(database, new, old, now)
    undo(database, made, now)  # what was said before keeps no join from being made


def test_everything_earned_belongs_to_the_person(database, both, session_id, now):
    new, old = both
    join(database, new, old, now)
    assert earned(database, new, session_id) == (390 * 60, 1, 1)
    assert earned(database, old, session_id) == (None, 0, 0)
    with database.write() as connection:
        assert people.find(connection, "trainee1@example.org") == new
        assert (
            people.find_or_add(connection, "https://lms.example.org", "user-1", name=None, email=None, now=now) == new
        )
        assert person_joins.suggestions(connection) == []


def test_the_joined_person_is_recognised_by_the_address_of_either_account(database, both, now):
    new, old = both
    with database.write() as connection:
        people.find_or_add(connection, OTHER, "u-1", name=None, email="new@example.org", now=now)
    join(database, new, old, now)
    later = now + timedelta(days=1)
    with database.write() as connection:
        people.find_or_add(connection, OTHER, "u-1", name=None, email="new@example.org", now=later)
        found = people.owners(
            connection, ["trainee1@example.org", "new@example.org"], people.Interval(later, later + timedelta(hours=1))
        )
    assert {email: set(each.trainee_ids) for email, each in found.items()} == {
        "trainee1@example.org": {new},
        "new@example.org": {new},
    }


def test_undoing_restores_both_exactly(database, both, session_id, now):
    new, old = both
    before = everything(database)
    undo(database, join(database, new, old, now), now)
    assert everything(database) == before


def test_the_same_evidence_after_a_join_gives_the_same_day_and_takes_nothing(database, both, session_id, now):
    new, old = both
    made = join(database, new, old, now)
    follow = partial(follow_attendance, now=now)
    settle(database, session_id, [present(new, *WHOLE_DAY)], FIVE, now, follow)
    assert earned(database, new, session_id) == (390 * 60, 1, 1)
    undo(database, made, now)
    settle(database, session_id, [present(old, *WHOLE_DAY)], FIVE, now, follow)
    assert earned(database, old, session_id) == (390 * 60, 1, 1)
    assert earned(database, new, session_id)[1:] == (0, 0)


def test_a_join_asks_for_the_settlement_of_the_sessions_and_is_audited(database, both, session_id, now):
    made = join(database, *both, now)
    with database.read() as connection:
        assert f"session:{session_id}" in connection.scalars(select(tasks.c.key)).all()
        acts = connection.scalars(select(audit_log.c.act).where(audit_log.c.subject == f"join:{made}")).all()
    assert acts == ["person_joined"]


@pytest.mark.parametrize("case", ["self", "unknown", "reason", "twice", "own", "chain"])
def test_what_cannot_be_joined_is_refused(database, both, now, case):
    new, old = both
    with database.write() as connection:
        third = add_trainee(connection, 3, now)
    codes = {"self": "join_self", "unknown": "trainee_unknown", "reason": "reason_missing", "own": "own_case"}
    given = {
        "self": (new, new, {}),
        "unknown": (new, 999, {}),
        "reason": (new, old, {"reason": " "}),
        "twice": (third, old, {}),
        "own": (new, old, {"actor": f"staff:{old}"}),
        "chain": (third, new, {}),
    }
    if case in ("twice", "chain"):
        join(database, new, old, now)
    kept, joined, values = given[case]
    with pytest.raises(GatehouseError) as refused:
        join(database, kept, joined, now, **values)
    assert refused.value.code == codes.get(case, "join_made")


def test_a_join_is_undone_once(database, both, now):
    made = join(database, *both, now)
    undo(database, made, now)
    for join_id, code in ((made, "join_undone"), (999, "join_unknown")):
        with pytest.raises(GatehouseError) as refused:
            undo(database, join_id, now)
        assert refused.value.code == code


def test_links_of_both_lead_to_the_person(database, both, now):
    new, old = both
    with database.write() as connection:
        given = {"kind": "email", "value": "guest@example.org", "meeting_id": "", "trainee_id": old, "reason": "Rang."}
        matching.link(connection, **given, actor="cli", now=now)
    join(database, new, old, now)
    with database.read() as connection:
        assert matching.in_force(connection, "1").email == {"guest@example.org": new}


@pytest.mark.parametrize("act", ["link", "link in force", "join", "join in force", "correction"])
def test_an_unrelated_decision_of_staff_explains_no_loss_of_evidence(database, both, session_id, now, act):
    """A mistyped address, an account without a day and a correction never confirmed have nothing to do with the day."""
    new, old = both
    later = now + timedelta(hours=1)
    if act.startswith("link"):
        with database.write() as connection:
            given = {
                "kind": "email",
                "value": "typo@example.org",
                "meeting_id": "",
                "trainee_id": old,
                "reason": "Rang.",
            }
            made = matching.link(connection, **given, actor="cli", now=later)
            if act == "link":
                matching.undo(connection, made, reason="Mistyped.", actor="cli", now=later)
    elif act == "correction":
        with database.write() as connection:
            times = {"from_at": NINE, "to_at": NINE + timedelta(hours=1), "counts": True}
            why = {"reason": "Rang.", "evidence": "A note.", "actor": "cli", "now": later}
            made = corrections.propose(connection, session_id=session_id, trainee_id=old, **times, **why)
            corrections.undo(connection, made, reason="No proof.", actor="cli", now=later)
    else:
        made = join(database, old, new, later)
        if act == "join":
            undo(database, made, later)
    follow = partial(follow_attendance, now=later)
    settle(database, session_id, [present(old, *WHOLE_DAY)], FIVE, later, follow)
    settle(database, session_id, [], FIVE, later + timedelta(days=30), follow)
    assert earned(database, old, session_id) == (0, 1, 1)
    assert "identity_differs" in flags_of(database, old, session_id)


def flags_of(database, trainee_id, session_id):
    with database.read() as connection:
        return queries.of_trainee_in(connection, trainee_id, session_id).flags


def test_a_join_between_two_groups_of_one_settlement_stops_the_second(database, both, session_id, now):
    new, old = both
    with database.write() as connection:
        others = [add_trainee(connection, number, now) for number in range(10, 10 + PEOPLE_PER_COMMIT)]
    people_present = [present(each, *HALF_A_DAY) for each in [*others, old]]

    def join_meanwhile(connection, settled):
        person_joins.join(connection, kept_id=new, joined_id=old, reason="One person.", actor="cli", now=now)

    with pytest.raises(Conflict, match="identities_changed"):
        settle(database, session_id, people_present, FIVE, now, join_meanwhile)
    assert earned(database, new, session_id) == (390 * 60, 1, 1)
    assert earned(database, old, session_id) == (None, 0, 0)


def test_after_an_undoing_neither_has_the_name_or_an_address_of_the_other(database, both, now):
    """The joined account launches during the join, at first as before and then with a new address."""
    new, old = both
    with database.write() as connection:
        people.find_or_add(connection, OTHER, "u-1", name="Sis", email="sis@example.org", now=now)
    before = everything(database)
    made = join(database, new, old, now)
    with database.write() as connection:
        for email in ("trainee1@example.org", "changed@example.org"):
            given = {"name": "Trainee 1", "email": email, "now": now}
            assert people.find_or_add(connection, "https://lms.example.org", "user-1", **given) == new
    undo(database, made, now)
    assert everything(database) == before
    later = people.Interval(now, now + timedelta(days=1))
    with database.write() as connection:
        assert people.owners(connection, ["changed@example.org"], later) == {}
        people.find_or_add(
            connection, "https://lms.example.org", "user-1", name=None, email="changed@example.org", now=now
        )
        found = people.owners(connection, ["changed@example.org"], later)["changed@example.org"]
    assert found.trainee_ids == {old}
