"""Days that somebody has to look at: on the list until they are let stand, or the evidence becomes clear."""

import pytest
from sqlalchemy import event, select, update

from lti_tool.attendance import matching, queries, reviews
from lti_tool.attendance.settlement import settle
from lti_tool.errors import GatehouseError
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.operations import audit_log
from tests.training_day import FIVE, WHOLE_DAY, present, stay

DOUBTFUL = (stay(0, 480, "estimated"),)


def settled(database, session_id, now, *people, ended_at=FIVE):
    settle(database, session_id, list(people), ended_at, now, lambda *_: None)


def day_of(database, session_id, trainee_id):
    with database.read() as connection:
        return queries.of_trainee_in(connection, trainee_id, session_id)


def on_list(database):
    with database.read() as connection:
        return [(row.live_session_id, row.person_key) for row in reviews.due(connection)]


def let_stand(database, day, now, **given):
    values = {
        "session_id": day.session_id,
        "person_key": day.person_key,
        "digest": day.input_digest,
        "reason": "Two colleagues saw her all day.",
        "actor": "staff:99",
        **given,
    }
    with database.write() as connection:
        reviews.let_stand(connection, now=now, **values)


def code_of(*given, **named):
    with pytest.raises(GatehouseError) as refusal:
        let_stand(*given, **named)
    return refusal.value.code


def test_a_doubtful_day_is_on_the_list_until_it_is_let_stand(database, session_id, trainee_id, now):
    settled(database, session_id, now, present(trainee_id, *DOUBTFUL))
    assert on_list(database) == [(session_id, f"trainee:{trainee_id}")]
    let_stand(database, day_of(database, session_id, trainee_id), now)
    assert on_list(database) == []
    with database.read() as connection:
        (entry,) = connection.execute(select(audit_log).where(audit_log.c.act == "attendance_let_stand")).all()
        (said,) = reviews.of_person(connection, session_id, f"trainee:{trainee_id}")
    assert (entry.actor, entry.reason, said.reason) == ("staff:99", "Two colleagues saw her all day.", entry.reason)


def test_a_clear_day_never_is(database, session_id, trainee_id, now):
    settled(database, session_id, now, present(trainee_id, *WHOLE_DAY, flags=("concurrent", "phone")))
    assert on_list(database) == []


def test_a_session_that_still_runs_has_nothing_to_look_at(database, session_id, trainee_id, now):
    settled(database, session_id, now, present(trainee_id, *DOUBTFUL), ended_at=None)
    assert on_list(database) == []


def test_a_locked_session_has_nothing_to_look_at(database, session_id, trainee_id, now):
    settled(database, session_id, now, present(trainee_id, *DOUBTFUL))
    with database.write() as connection:
        connection.execute(update(live_sessions).values(state="locked"))
    assert on_list(database) == []


def test_new_evidence_puts_the_day_back(database, session_id, trainee_id, now):
    settled(database, session_id, now, present(trainee_id, *DOUBTFUL))
    let_stand(database, day_of(database, session_id, trainee_id), now)
    settled(database, session_id, now, present(trainee_id, stay(0, 470, "estimated")))
    assert on_list(database) == [(session_id, f"trainee:{trainee_id}")]


def test_what_was_let_stand_is_reviewed_for_the_page(database, session_id, trainee_id, now):
    settled(database, session_id, now, present(trainee_id, *DOUBTFUL))
    before = day_of(database, session_id, trainee_id)
    let_stand(database, before, now)
    after = day_of(database, session_id, trainee_id)
    assert (before.needs_review, before.is_reviewed, after.is_reviewed) == (True, False, True)


def test_the_evidence_must_be_what_was_looked_at(database, session_id, trainee_id, now):
    settled(database, session_id, now, present(trainee_id, *DOUBTFUL))
    before = day_of(database, session_id, trainee_id)
    settled(database, session_id, now, present(trainee_id, stay(0, 470, "estimated")))
    assert code_of(database, before, now) == "review_outdated"


def test_a_day_without_doubt_needs_no_review(database, session_id, trainee_id, now):
    settled(database, session_id, now, present(trainee_id, *WHOLE_DAY))
    assert code_of(database, day_of(database, session_id, trainee_id), now) == "review_outdated"


def test_refusals_have_their_codes(database, session_id, trainee_id, now):
    settled(database, session_id, now, present(trainee_id, *DOUBTFUL))
    day = day_of(database, session_id, trainee_id)
    assert code_of(database, day, now, reason=" ") == "reason_missing"
    assert code_of(database, day, now, actor=f"staff:{trainee_id}") == "own_case"
    assert code_of(database, day, now, person_key="trainee:999") == "attendance_unknown"
    let_stand(database, day, now)
    assert code_of(database, day, now) == "review_made"


def test_somebody_unmatched_may_be_left_alone_until_the_evidence_changes(database, session_id, now):
    guest = {"key": "email:host@example.org", "email": "host@example.org"}
    settled(database, session_id, now, present(None, *WHOLE_DAY, **guest))
    with database.read() as connection:
        (waiting,) = matching.unmatched_people(connection)
    let_stand(database, waiting.day, now, reason="The host of the context.")
    with database.read() as connection:
        assert matching.unmatched_people(connection) == []
    settled(database, session_id, now, present(None, stay(0, 100), **guest))
    with database.read() as connection:
        assert len(matching.unmatched_people(connection)) == 1


def test_somebody_whom_a_settlement_takes_off_the_list_while_it_is_read_is_left_out(database, session_id, now):
    settled(database, session_id, now, present(None, *WHOLE_DAY, key="connection:A1F0-0001"))
    meanwhile = iter([lambda: settled(database, session_id, now)])
    with database.read() as connection:
        event.listen(connection, "after_cursor_execute", lambda *_: next(meanwhile, bool)())
        assert [each.day.person_key for each in matching.unmatched_people(connection)] in ([], ["connection:A1F0-0001"])
