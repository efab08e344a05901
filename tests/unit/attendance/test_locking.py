"""Locking a session's attendance, and taking the lock back."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from lti_tool.attendance import corrections, live_sessions, locking
from lti_tool.attendance.live_sessions import request_settlement
from lti_tool.attendance.settlement import settle
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.live_sessions import live_sessions as table
from lti_tool.tables.operations import audit_log, tasks
from lti_tool.tables.presence import attendance_corrections, attendance_requests, attendance_reviews
from tests.training_day import FIVE, WHOLE_DAY, add_session, add_trainee, at, present
from tests.waiting import until_somebody_waits

LATER = FIVE + timedelta(hours=2)
WHY = "The claim window is over."


@pytest.fixture
def session_id(database, published, now):
    """A session that has been reconciled."""
    with database.write() as connection:
        session_id = add_session(connection, published, now)
        reconcile(connection)
    return session_id


def reconcile(connection, **given):
    values = {"state": "reconciled", "ended_at": FIVE, "reconciled_at": LATER, **given}
    connection.execute(update(table).values(values))


def lock(connection, session_id, now=LATER, reason=WHY):
    locking.lock(connection, session_id, actor="cli", reason=reason, now=now)


def reopen(connection, session_id, reason="A trainee was on the phone."):
    locking.reopen(connection, session_id, actor="cli", reason=reason, now=LATER)


def state(database, session_id):
    with database.read() as connection:
        return live_sessions.show(connection, session_id).state


def settled(database, session_id, *flags, now=LATER):
    """One trainee's day with these flags; the session is left reconciled."""
    with database.write() as connection:
        trainee_id = add_trainee(connection, 1, now)
    settle(
        database,
        session_id,
        [present(trainee_id, *WHOLE_DAY, flags=flags)],
        FIVE,
        now,
        lambda *_: None,
        reports_settled=True,
    )
    return trainee_id


def test_a_lock_is_kept_with_its_reason(database, session_id):
    with database.write() as connection:
        lock(connection, session_id)
        session = live_sessions.show(connection, session_id)
        acts = connection.execute(select(audit_log.c.act, audit_log.c.reason, audit_log.c.subject)).all()
    assert (session.state, session.locked_at) == ("locked", LATER)
    assert acts[-1] == ("session_locked", WHY, f"session:{session_id}")


def test_a_locked_session_is_not_settled(database, session_id):
    with database.write() as connection:
        lock(connection, session_id)
    with pytest.raises(Conflict, match="session_locked"):
        settled(database, session_id)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"state": "provisional"}, "session_not_reconciled"),
        ({"state": "scheduled"}, "session_not_reconciled"),
        ({"state": "cancelled"}, "session_not_reconciled"),
        ({"state": "locked"}, "session_locked"),
        ({"ended_at": LATER - timedelta(minutes=89)}, "session_lock_early"),
    ],
)
def test_only_what_is_reconciled_and_cannot_change_any_more_is_locked(database, session_id, values, code):
    with database.write() as connection:
        reconcile(connection, **values)
        with pytest.raises(Conflict, match=code):
            lock(connection, session_id)


@pytest.mark.parametrize("act", [lock, reopen])
def test_a_reason_is_needed(database, session_id, act):
    with database.write() as connection, pytest.raises(BadInput, match="reason_missing"):
        act(connection, session_id, reason="  ")


@pytest.mark.parametrize("act", [lock, reopen])
def test_an_unknown_session_is_neither_locked_nor_reopened(database, act):
    with database.write() as connection, pytest.raises(NotFound):
        act(connection, 99)


class TestOpenCases:
    """What waits for somebody keeps a session from being locked."""

    def refused(self, database, session_id):
        with database.write() as connection, pytest.raises(Conflict, match="session_has_open_cases") as refused:
            lock(connection, session_id)
        return refused.value.message

    def test_a_day_to_be_reviewed_until_somebody_has(self, database, session_id):
        settled(database, session_id, "estimated")
        assert "days to be reviewed" in self.refused(database, session_id)
        with database.write() as connection:
            day = connection.execute(select(attendances).where(attendances.c.is_current)).one()
            review = {"person_key": day.person_key, "input_digest": day.input_digest, "reason": "Seen.", "made_by": "i"}
            connection.execute(insert(attendance_reviews).values(live_session_id=session_id, made_at=LATER, **review))
            lock(connection, session_id)
        assert state(database, session_id) == "locked"

    def test_a_request_until_it_is_answered(self, database, session_id):
        trainee_id = settled(database, session_id)
        row = {"live_session_id": session_id, "trainee_id": trainee_id, "text": "I was there.", "created_at": LATER}
        with database.write() as connection:
            connection.execute(insert(attendance_requests).values(state="open", **row))
        assert "requests" in self.refused(database, session_id)
        with database.write() as connection:
            connection.execute(update(attendance_requests).values(state="withdrawn"))
            lock(connection, session_id)

    def test_a_correction_until_a_second_person_confirmed_it(self, database, session_id):
        trainee_id = settled(database, session_id)
        row = {"live_session_id": session_id, "trainee_id": trainee_id, "from_at": at(0), "to_at": at(9)}
        said = {"counts": True, "reason": "r", "evidence": "e", "proposed_by": "staff:1", "proposed_at": LATER}
        with database.write() as connection:
            connection.execute(insert(attendance_corrections).values(**row, **said))
        assert "corrections" in self.refused(database, session_id)
        with database.write() as connection:
            connection.execute(update(attendance_corrections).values(confirmed_by="staff:2", confirmed_at=LATER))
            lock(connection, session_id)

    def test_evidence_that_is_not_settled_yet(self, database, session_id):
        with database.write() as connection:
            request_settlement(connection, session_id, LATER)
        assert "a settlement" in self.refused(database, session_id)


class TestReopening:
    def test_it_is_what_it_was_until_the_settlement_it_asks_for(self, database, session_id):
        with database.write() as connection:
            lock(connection, session_id)
            reopen(connection, session_id)
            session = live_sessions.show(connection, session_id)
            asked = connection.execute(select(tasks.c.key)).scalars().all()
            act = connection.execute(select(audit_log).order_by(audit_log.c.id.desc())).first()
        assert (session.state, session.locked_at, asked) == ("reconciled", None, [f"session:{session_id}"])
        assert (act.act, act.reason) == ("session_reopened", "A trainee was on the phone.")
        assert act.details["locked_at"] == LATER.isoformat()

    def test_a_session_that_was_never_reconciled_is_provisional_again(self, database, session_id):
        with database.write() as connection:
            reconcile(connection, state="locked", reconciled_at=None)
            reopen(connection, session_id)
        assert state(database, session_id) == "provisional"

    @pytest.mark.parametrize("given", ["reconciled", "provisional", "scheduled", "cancelled"])
    def test_only_a_lock_can_be_taken_back(self, database, session_id, given):
        with database.write() as connection:
            reconcile(connection, state=given)
            with pytest.raises(Conflict, match="session_not_locked"):
                reopen(connection, session_id)


class TestByItself:
    def due(self, database, now, days=14):
        with database.write() as connection:
            return locking.lock_due(connection, now, days)

    def test_a_session_is_locked_so_many_days_after_its_end(self, database, session_id):
        settled(database, session_id)
        fourteen = FIVE + timedelta(days=14)
        assert self.due(database, fourteen - timedelta(seconds=1)) == []
        assert self.due(database, fourteen) == [session_id]
        assert self.due(database, fourteen) == []
        with database.read() as connection:
            assert connection.scalar(select(audit_log.c.actor).where(audit_log.c.act == "session_locked")) == "system"

    def test_zero_days_mean_never(self, database, session_id):
        assert self.due(database, FIVE + timedelta(days=999), days=0) == []

    def test_one_that_waits_for_somebody_stays_open_and_the_others_are_locked(
        self, database, published, now, session_id
    ):
        settled(database, session_id, "estimated")
        with database.write() as connection:
            other = add_session(connection, published, now, zoom_meeting_id="85300009999")
            reconcile(connection)
        assert self.due(database, FIVE + timedelta(days=20)) == [other]
        assert state(database, session_id) == "reconciled"


@pytest.mark.databases("postgresql")
def test_a_correction_that_is_proposed_during_a_lock_waits_and_is_refused(database, session_id, now):
    with database.write() as connection:
        trainee_id = add_trainee(connection, 1, now)

    def propose():
        times = {"from_at": at(0), "to_at": at(60), "counts": True}
        why = {"reason": "She rang.", "evidence": "A note.", "actor": "cli", "now": LATER}
        with database.write() as connection:
            corrections.propose(connection, session_id=session_id, trainee_id=trainee_id, **times, **why)

    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            lock(connection, session_id)
            proposed = pool.submit(propose)
            with database.read() as watching:
                until_somebody_waits(watching)
        with pytest.raises(Conflict) as refusal:
            proposed.result()
    assert refusal.value.code == "session_locked"
