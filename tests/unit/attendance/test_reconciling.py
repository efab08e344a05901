"""From provisional to reconciled, what staff corrected, and days that somebody must look at."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from lti_tool.attendance import live_sessions, queries
from lti_tool.attendance.evidence import ReportComparison, RoomInterval
from lti_tool.attendance.locking import end
from lti_tool.attendance.queries import attended_day
from lti_tool.attendance.settlement import LAST_WORD, settle
from lti_tool.errors import Conflict
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.live_sessions import live_sessions as sessions_table
from lti_tool.tables.presence import attendance_corrections, attendance_reviews
from tests.training_day import FIVE, NINE, WHOLE_DAY, add_trainee, at, present, stay

SOON, LATER = FIVE + timedelta(minutes=30), FIVE + LAST_WORD


class Heard:
    def __init__(self):
        self.people = []

    def __call__(self, connection, people):
        self.people += people


@pytest.fixture
def trainee(database, now):
    with database.write() as connection:
        return add_trainee(connection, 1, now)


def show(database, session_id):
    with database.read() as connection:
        return live_sessions.show(connection, session_id)


def day_of(database, trainee_id, session_id):
    with database.read() as connection:
        return queries.of_trainee_in(connection, trainee_id, session_id)


def versions(database):
    with database.read() as connection:
        return connection.execute(select(attendances.c.version, attendances.c.is_current)).all()


def correct(database, session_id, trainee_id, start, end, *, counts=True, confirmed=True):
    row = {
        "live_session_id": session_id,
        "trainee_id": trainee_id,
        "from_at": at(start),
        "to_at": at(end),
        "counts": counts,
        "reason": "The power failed.",
        "evidence": "Both trainers saw the person.",
        "proposed_by": "staff:1",
        "proposed_at": FIVE,
        **({"confirmed_by": "staff:2", "confirmed_at": FIVE} if confirmed else {}),
    }
    with database.write() as connection:
        connection.execute(insert(attendance_corrections), row)


@pytest.mark.parametrize(
    ("now_at", "settled", "state"),
    [(SOON, True, "provisional"), (LATER, False, "provisional"), (LATER, True, "reconciled")],
)
def test_reconciled_is_what_has_its_reports_and_can_hear_no_more(database, session_id, trainee, now_at, settled, state):
    settle(database, session_id, [present(trainee, *WHOLE_DAY)], FIVE, now_at, Heard(), reports_settled=settled)
    session = show(database, session_id)
    assert session.state == state
    assert session.reconciled_at == (LATER if state == "reconciled" else None)
    assert day_of(database, trainee, session_id).is_provisional is (state == "provisional")


def test_settled_reports_of_a_running_class_reconcile_nothing(database, session_id, trainee):
    settle(database, session_id, [present(trainee, *WHOLE_DAY)], None, LATER, Heard(), reports_settled=True)
    assert show(database, session_id).state == "scheduled"


def test_becoming_reconciled_is_news_for_everybody_and_being_it_is_none(database, session_id, trainee):
    people, heard = [present(trainee, *WHOLE_DAY)], Heard()
    settle(database, session_id, people, FIVE, SOON, heard)
    settle(database, session_id, people, FIVE, LATER, heard, reports_settled=True)
    assert [each.session_state for each in heard.people] == ["provisional", "reconciled"]
    assert versions(database) == [(1, False), (2, True)]
    again = settle(database, session_id, people, FIVE, LATER + LAST_WORD, heard, reports_settled=True)
    assert (again.written, show(database, session_id).reconciled_at) == (0, LATER)


def test_whoever_could_not_be_settled_is_not_reconciled_with_the_others(database, session_id, trainee):
    people = [present(trainee, *WHOLE_DAY)]
    settle(database, session_id, people, FIVE, SOON, Heard())
    with pytest.raises(Conflict, match="settlement_incomplete"):
        settle(database, session_id, people, FIVE, LATER, lambda *_: 1 / 0, reports_settled=True)
    assert show(database, session_id).state == "reconciled"
    with database.read() as connection:
        assert attended_day(connection, trainee, session_id).session_state == "provisional"
    assert day_of(database, trainee, session_id).is_provisional
    settle(database, session_id, people, FIVE, LATER, Heard(), reports_settled=True)
    with database.read() as connection:
        assert attended_day(connection, trainee, session_id).session_state == "reconciled"
    assert not day_of(database, trainee, session_id).is_provisional


def test_the_end_that_staff_corrected_while_it_was_settled_is_theirs(database, session_id, trainee):
    people = [present(trainee, *WHOLE_DAY)]
    for ended_at in (FIVE, FIVE - timedelta(minutes=20)):
        with database.write() as connection:
            end(connection, session_id, at=ended_at, reason="The trainer says so.", actor="cli", now=LATER)
    settle(database, session_id, people, None, LATER, Heard())
    assert show(database, session_id).ended_at == FIVE - timedelta(minutes=20)


def test_a_part_of_the_class_without_report_makes_it_provisional_again(database, session_id, trainee):
    people = [present(trainee, *WHOLE_DAY)]
    settle(database, session_id, people, FIVE, LATER, Heard(), reports_settled=True)
    settle(database, session_id, people, FIVE, LATER, Heard(), reports_settled=False)
    session = show(database, session_id)
    assert (session.state, session.reconciled_at) == ("provisional", None)


def test_a_trainee_without_any_evidence_appears_by_a_correction(database, session_id, trainee):
    correct(database, session_id, trainee, 0, 480)
    heard = Heard()
    settle(database, session_id, [], FIVE, SOON, heard)
    day = day_of(database, trainee, session_id)
    assert (day.seconds_present, day.completed, day.flags) == (390 * 60, True, ["manual"])
    assert {each.evidence for each in day.day.intervals} == {"manual"}
    assert (day.display_name, day.email) == ("Trainee 1", "trainee1@example.org")
    assert [each.trainee_id for each in heard.people] == [trainee]


def test_what_staff_took_away_is_away_and_comes_back_when_they_undo_it(database, session_id, trainee):
    people = [present(trainee, *WHOLE_DAY)]
    correct(database, session_id, trainee, 0, 90, counts=False)
    settle(database, session_id, people, FIVE, SOON, Heard())
    day = day_of(database, trainee, session_id)
    assert (day.seconds_present, day.flags) == (300 * 60, ["corrected"])
    assert day.day.missed[0].why == "corrected"
    undone = {"undone_by": "staff:1", "undone_reason": "It was another person.", "undone_at": SOON}
    with database.write() as connection:
        connection.execute(update(attendance_corrections).values(undone))
    settle(database, session_id, people, FIVE, SOON, Heard())
    assert day_of(database, trainee, session_id).seconds_present == 390 * 60


def test_a_correction_that_nobody_confirmed_changes_nothing(database, session_id, trainee):
    correct(database, session_id, trainee, 0, 480, confirmed=False)
    assert settle(database, session_id, [], FIVE, SOON, Heard()).written == 0


def test_where_they_were_and_what_the_report_says_is_part_of_the_day(database, session_id, trainee):
    waiting = stay(-10, 0, counts=False, source="waiting_room")
    person = replace(
        present(trainee, waiting, *WHOLE_DAY, flags=("report_differs",)),
        rooms=(RoomInterval(at(30), at(60), "Um9vbQ=="),),
        report=ReportComparison(29_400, 29_310, -90, ("report_lacks",)),
    )
    settle(database, session_id, [person], FIVE, SOON, Heard())
    day = day_of(database, trainee, session_id).day.to_json()
    assert day["rooms"] == [{"from": at(30).isoformat(), "to": at(60).isoformat(), "room": "Um9vbQ=="}]
    assert day["waiting"] == [{"from": at(-10).isoformat(), "to": at(-5).isoformat()}]
    assert day["report"] == {
        "webhook_seconds": 29_400,
        "report_seconds": 29_310,
        "difference_seconds": -90,
        "reasons": ["report_lacks"],
    }
    assert settle(database, session_id, [replace(person, report=None)], FIVE, SOON, Heard()).written == 1


class TestDoubt:
    """A day with a flag that somebody must look at."""

    def settled(self, database, session_id, trainee, *flags):
        heard = Heard()
        people = [present(trainee, *WHOLE_DAY, flags=flags)]
        settle(database, session_id, people, FIVE, LATER, heard, reports_settled=True)
        return heard.people, day_of(database, trainee, session_id)

    def review(self, database, day, digest):
        row = {"live_session_id": day.session_id, "person_key": day.person_key, "input_digest": digest}
        with database.write() as connection:
            connection.execute(
                insert(attendance_reviews), {**row, "reason": "Seen.", "made_by": "staff:1", "made_at": LATER}
            )

    def test_a_flag_that_only_explains_leaves_the_day_final(self, database, session_id, trainee):
        (case,), day = self.settled(database, session_id, trainee, "concurrent", "phone")
        assert (case.is_in_doubt, day.needs_review, day.is_provisional) == (False, False, False)

    def test_the_day_is_provisional_until_somebody_has_looked(self, database, session_id, trainee):
        (case,), day = self.settled(database, session_id, trainee, "report_differs")
        assert (case.is_in_doubt, day.needs_review, day.is_reviewed, day.is_provisional) == (True, True, False, True)
        self.review(database, day, day.input_digest)
        day = day_of(database, trainee, session_id)
        assert (day.needs_review, day.is_reviewed, day.is_provisional) == (True, True, False)

    def test_a_review_holds_for_the_evidence_that_was_seen(self, database, session_id, trainee):
        _, day = self.settled(database, session_id, trainee, "report_differs")
        self.review(database, day, day.input_digest)
        (case,), day = self.settled(database, session_id, trainee, "report_differs", "stale")
        assert (case.is_in_doubt, day.is_reviewed, day.is_provisional) == (True, False, True)
        (case,), day = self.settled(database, session_id, trainee, "report_differs")
        assert (case.is_in_doubt, day.is_reviewed) == (False, True)

    def test_nobody_elses_review_counts(self, database, session_id, trainee):
        _, day = self.settled(database, session_id, trainee, "unconfirmed")
        self.review(database, replace(day, person_key="trainee:999"), day.input_digest)
        assert not day_of(database, trainee, session_id).is_reviewed


def test_a_locked_session_is_settled_by_nothing(database, session_id, trainee):
    settle(database, session_id, [present(trainee, *WHOLE_DAY)], FIVE, LATER, Heard(), reports_settled=True)
    with database.write() as connection:
        connection.execute(update(sessions_table).values(state="locked", locked_at=LATER))
    with pytest.raises(Exception, match="locked"):
        settle(database, session_id, [present(trainee, stay(0, 1))], NINE, LATER, Heard())
    assert versions(database) == [(1, True)]
