"""An end that staff record, and sessions whose end is missing."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from lti_tool.attendance import live_sessions, locking
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.tables.live_sessions import live_sessions as table
from lti_tool.tables.operations import audit_log, tasks
from tests.training_day import FIVE, NINE

LATER = FIVE + timedelta(hours=2)


def end(connection, session_id, **given):
    values = {"at": FIVE, "reason": "Zoom's message was lost.", "actor": "cli", "now": LATER, **given}
    locking.end(connection, session_id, **values)


def test_an_end_by_staff_is_kept_audited_and_settled(database, session_id):
    with database.write() as connection:
        end(connection, session_id)
        session = live_sessions.show(connection, session_id)
        asked = connection.execute(select(tasks.c.key)).scalars().all()
        reason = connection.scalar(select(audit_log.c.reason).where(audit_log.c.act == "session_ended"))
    assert (session.ended_by_staff_at, session.ended_at, asked) == (FIVE, None, [f"session:{session_id}"])
    assert reason == "Zoom's message was lost."


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"reason": " "}, "reason_missing"),
        ({"reason": "x" * 2001}, "reason_missing"),
        ({"at": NINE}, "session_end_wrong"),
        ({"at": LATER + timedelta(minutes=1)}, "session_end_wrong"),
    ],
)
def test_an_end_that_cannot_be_is_refused(database, session_id, given, code):
    with database.write() as connection, pytest.raises(BadInput) as refused:
        end(connection, session_id, **given)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ({"state": "cancelled"}, "session_cancelled"),
        ({"state": "locked"}, "session_locked"),
        ({"ended_at": FIVE}, "session_ended"),
    ],
)
def test_what_is_over_or_fixed_is_not_ended_again(database, session_id, state, code):
    with database.write() as connection:
        connection.execute(update(table).values(state))
        with pytest.raises(Conflict) as refused:
            end(connection, session_id)
    assert refused.value.code == code


def test_staff_may_correct_their_own_end(database, session_id):
    with database.write() as connection:
        end(connection, session_id)
        connection.execute(update(table).values(ended_at=FIVE, state="provisional"))
        end(connection, session_id, at=FIVE - timedelta(hours=1))
        session = live_sessions.show(connection, session_id)
    assert (session.ended_by_staff_at, session.ended_at) == (FIVE - timedelta(hours=1), None)


def test_an_unknown_session_has_no_end(database):
    with database.write() as connection, pytest.raises(NotFound):
        end(connection, 99)


def test_sessions_without_an_end_are_found_once_the_last_message_could_have_come(database, session_id):
    with database.write() as connection:
        assert locking.missing(connection, FIVE + timedelta(minutes=80)) == []
        assert [each.id for each in locking.missing(connection, LATER)] == [session_id]
        connection.execute(update(table).values(state="cancelled"))
        assert locking.missing(connection, LATER) == []
        connection.execute(update(table).values(state="provisional", ended_at=FIVE))
        assert locking.missing(connection, LATER) == []
