"""Settlement: the same evidence gives the same rows, a change gives a version, and nothing is doubled or lost."""

from dataclasses import replace
from random import Random
from threading import Barrier, Thread

import pytest
from sqlalchemy import insert, select, update

from lti_tool.attendance import live_sessions
from lti_tool.attendance.settlement import settle
from lti_tool.errors import Conflict
from lti_tool.gates.publication import publish
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.live_sessions import live_sessions as sessions_table
from lti_tool.tables.operations import audit_log
from tests.conftest import DEMO_PROGRAMME
from tests.training_day import DAY, FIVE, HALF_A_DAY, WHOLE_DAY, add_session, add_trainee, at, present, stay


class Heard:
    """What settlement told about."""

    def __init__(self):
        self.people = []

    def __call__(self, connection, people):
        self.people += people


@pytest.fixture
def trainees(database, now):
    with database.write() as connection:
        return [add_trainee(connection, number, now) for number in range(4)]


def rows(database, **wanted):
    query = select(attendances).order_by(attendances.c.id)
    for name, value in wanted.items():
        query = query.where(attendances.c[name] == value)
    with database.read() as connection:
        return connection.execute(query).all()


def test_present_all_day_is_completed_and_told_once(database, session_id, trainees, now):
    heard = Heard()
    result = settle(database, session_id, [present(trainees[0], *WHOLE_DAY)], FIVE, now, heard)
    (row,) = rows(database)
    assert (row.seconds_present, row.seconds_required, row.completed, row.version) == (390 * 60, 312 * 60, True, 1)
    (person,) = heard.people
    assert (person.trainee_id, person.attendance_id, person.ended) == (trainees[0], row.id, True)
    assert (result.written, result.unchanged) == (1, 0)


def test_the_same_evidence_again_changes_nothing(database, session_id, trainees, now):
    people = [present(trainee_id, stay(0, 200), stay(200, 480)) for trainee_id in trainees]
    settle(database, session_id, people, FIVE, now, Heard())
    before, heard = rows(database), Heard()
    shuffled = [replace(each, intervals=tuple(reversed(each.intervals))) for each in people]
    Random(1).shuffle(shuffled)
    result = settle(database, session_id, shuffled, FIVE, now, heard)
    assert rows(database) == before
    assert heard.people == []
    assert (result.written, result.unchanged) == (0, 4)


def test_changed_evidence_makes_a_new_version_and_keeps_the_old(database, session_id, trainees, now):
    settle(database, session_id, [present(trainees[0], *HALF_A_DAY)], FIVE, now, Heard())
    settle(database, session_id, [present(trainees[0], *WHOLE_DAY)], FIVE, now, Heard())
    assert [(row.version, row.is_current, row.completed) for row in rows(database)] == [
        (1, False, False),
        (2, True, True),
    ]


def test_evidence_that_is_gone_leaves_a_version_of_zero_and_comes_back_as_a_third(database, session_id, trainees, now):
    person, heard = present(trainees[0], *WHOLE_DAY), Heard()
    settle(database, session_id, [person], FIVE, now, Heard())
    result = settle(database, session_id, [], FIVE, now, heard)
    assert (result.withdrawn, heard.people[0].day.completed) == (1, False)
    assert settle(database, session_id, [], FIVE, now, heard).written == 0
    settle(database, session_id, [person], FIVE, now, heard)
    assert [(row.version, row.seconds_present, row.flags) for row in rows(database)] == [
        (1, 390 * 60, []),
        (2, 0, ["evidence_withdrawn", "identity_differs"]),
        (3, 390 * 60, []),
    ]


@pytest.mark.parametrize(
    ("key", "known"),
    [
        ("registrant:abc", {"registrant_id": "abc"}),
        ("email:somebody@example.org", {"email": "somebody@example.org"}),
        ("connection:a", {}),
    ],
)
def test_a_person_who_is_matched_later_is_counted_once(database, session_id, trainees, now, key, known):
    heard = Heard()
    settle(database, session_id, [present(None, *WHOLE_DAY, key=key, **known)], FIVE, now, heard)
    assert heard.people == []
    result = settle(database, session_id, [present(trainees[0], *WHOLE_DAY, **known)], FIVE, now, heard)
    assert result.superseded == 1
    assert [row.person_key for row in rows(database, is_current=True)] == [f"trainee:{trainees[0]}"]
    assert [each.trainee_id for each in heard.people] == [trainees[0]]


def test_every_row_a_person_was_known_by_gives_way(database, session_id, trainees, now):
    strangers = [present(None, stay(0, 60), key=key) for key in ("registrant:a", "registrant:b", "connection:c")]
    settle(database, session_id, strangers, FIVE, now, Heard())
    former = tuple(each.person_key for each in strangers)
    matched = replace(present(trainees[0], *WHOLE_DAY), former_keys=former)
    assert settle(database, session_id, [matched], FIVE, now, Heard()).superseded == 3
    assert [row.person_key for row in rows(database, is_current=True)] == [f"trainee:{trainees[0]}"]


def test_an_unmatched_person_whose_evidence_is_gone_leaves_the_list_but_not_the_record(database, session_id, now):
    settle(database, session_id, [present(None, *WHOLE_DAY, key="email:a@example.org")], FIVE, now, Heard())
    result = settle(database, session_id, [], FIVE, now, Heard())
    assert (result.withdrawn, rows(database, is_current=True)) == (1, [])
    assert [(row.version, row.seconds_present) for row in rows(database)] == [(1, 390 * 60)]
    settle(database, session_id, [present(None, *WHOLE_DAY, key="email:a@example.org")], FIVE, now, Heard())
    assert [(row.version, row.is_current) for row in rows(database)] == [(1, False), (2, True)]


def test_a_match_that_is_taken_back_withdraws_the_evidence_of_the_trainee(database, session_id, trainees, now):
    matched = present(trainees[0], *WHOLE_DAY, registrant_id="abc")
    settle(database, session_id, [matched], FIVE, now, Heard())
    heard = Heard()
    unmatched = replace(matched, person_key="registrant:abc", trainee_id=None)
    settle(database, session_id, [unmatched], FIVE, now, heard)
    assert [(each.trainee_id, each.day.seconds_present) for each in heard.people] == [(trainees[0], 0)]


def test_before_the_end_values_are_running_and_are_replaced_where_they_stand(database, session_id, trainees, now):
    heard = Heard()
    settle(database, session_id, [present(trainees[0], stay(0, 60))], None, at(60), heard)
    settle(database, session_id, [present(trainees[0], stay(0, 90))], None, at(90), heard)
    (row,) = rows(database)
    assert (row.version, row.seconds_present, row.flags) == (1, 90 * 60, ["in_progress"])
    assert [each.ended for each in heard.people] == [False, False]
    with database.read() as connection:
        assert live_sessions.show(connection, session_id).state == "scheduled"


def test_the_end_alone_makes_running_values_final(database, session_id, trainees, now):
    heard = Heard()
    person = present(trainees[0], *WHOLE_DAY)
    settle(database, session_id, [person], None, now, heard)
    settle(database, session_id, [person], FIVE, now, heard)
    assert [each.ended for each in heard.people] == [False, True]
    assert [(row.version, row.is_current) for row in rows(database)] == [(1, False), (2, True)]
    with database.read() as connection:
        session = live_sessions.show(connection, session_id)
    assert (session.state, session.ended_at) == ("provisional", FIVE)


def test_our_own_clock_never_ends_a_session(database, session_id, trainees, now):
    heard = Heard()
    settle(database, session_id, [present(trainees[0], *WHOLE_DAY)], None, now, heard)
    assert now > FIVE
    assert [each.ended for each in heard.people] == [False]


def test_an_end_at_lunch_is_believed_only_after_the_day(database, session_id, trainees):
    heard = Heard()
    person = present(trainees[0], *HALF_A_DAY)
    settle(database, session_id, [person], at(200), at(201), heard)
    settle(database, session_id, [person], at(200), at(490), heard)
    assert [each.ended for each in heard.people] == [False, True]


def test_what_has_ended_stays_ended(database, session_id, trainees, now):
    heard = Heard()
    settle(database, session_id, [present(trainees[0], *WHOLE_DAY)], FIVE, now, heard)
    settle(database, session_id, [present(trainees[0], *HALF_A_DAY)], None, now, heard)
    assert [each.ended for each in heard.people] == [True, True]


@pytest.mark.parametrize("state", ["locked", "cancelled"])
def test_a_session_that_is_locked_or_cancelled_is_not_settled(database, session_id, trainees, now, state):
    with database.write() as connection:
        connection.execute(update(sessions_table).values(state=state))
    with pytest.raises(Conflict) as refused:
        settle(database, session_id, [present(trainees[0], *WHOLE_DAY)], FIVE, now, Heard())
    assert refused.value.code == f"session_{state}"
    assert rows(database) == []


def test_the_share_is_that_of_the_stamped_programme_version(database, published, session_id, trainees, now):
    text = DEMO_PROGRAMME.read_text(encoding="utf-8").replace("share: 0.80", "share: 0.40")
    with database.write() as connection:
        assert publish(connection, text, "later.yaml", actor="cli", now=now) > published.version
    settle(database, session_id, [present(trainees[0], *HALF_A_DAY)], FIVE, now, Heard())
    assert [row.completed for row in rows(database)] == [False]


def test_one_person_who_cannot_be_settled_stops_nobody_else_and_leaves_nothing_behind(
    database, session_id, trainees, now
):
    def after(connection, people):
        for person in people:
            subject = f"trainee:{person.trainee_id}"
            row = {"at": now, "actor": "system", "act": "heard", "subject": subject, "details": {}}
            connection.execute(insert(audit_log).values(row))
            if person.trainee_id == trainees[1]:
                raise ValueError("broken")

    people = [present(trainee_id, *WHOLE_DAY) for trainee_id in trainees]
    with pytest.raises(Conflict) as refused:
        settle(database, session_id, people, FIVE, now, after)
    assert refused.value.code == "settlement_incomplete"
    others = [trainees[0], *trainees[2:]]
    assert [row.trainee_id for row in rows(database)] == others
    with database.read() as connection:
        heard = connection.execute(select(audit_log.c.subject).where(audit_log.c.act == "heard")).scalars().all()
    assert heard == [f"trainee:{each}" for each in others]
    settle(database, session_id, people, FIVE, now, Heard())
    assert sorted(row.trainee_id for row in rows(database)) == sorted(trainees)


def test_two_workers_at_once_double_nothing(database, session_id, now):
    with database.write() as connection:
        people = [present(add_trainee(connection, 100 + n, now), *WHOLE_DAY) for n in range(60)]
    heard, start, results = Heard(), Barrier(2), []

    def work():
        start.wait()
        results.append(settle(database, session_id, people, FIVE, now, heard))

    workers = [Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(rows(database)) == len(heard.people) == 60
    assert sum(each.written for each in results) == 60


def test_nobody_present_is_settled_too(database, session_id, now):
    result = settle(database, session_id, [], FIVE, now, Heard())
    assert (result.written, result.ended) == (0, True)


def test_a_session_of_another_day_has_rows_of_its_own(database, published, session_id, trainees, now):
    with database.write() as connection:
        other = add_session(connection, published, now, starts=DAY.replace(day=12))
    settle(database, session_id, [present(trainees[0], *WHOLE_DAY)], FIVE, now, Heard())
    settle(database, other, [present(trainees[0], stay(2880, 3360))], at(3360), now, Heard())
    assert [row.live_session_id for row in rows(database, is_current=True)] == [session_id, other]
