"""A day that somebody must look at earns no credit before they have, where awards rest on the reconciled report."""

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import insert

from lti_tool.attendance import queries
from lti_tool.attendance.settlement import LAST_WORD, settle
from lti_tool.credit import claims
from lti_tool.gates.publication import publish
from lti_tool.grades.outcomes import follow_attendance, reconsider
from lti_tool.programme.versions import current
from lti_tool.tables.presence import attendance_reviews
from tests.conftest import DEMO_PROGRAMME
from tests.training_day import FIVE, MODULE, WHOLE_DAY, add_licence, add_session, add_trainee, present

LATER = FIVE + LAST_WORD


class World:
    def __init__(self, database, session_id, trainee_id):
        self.database, self.session_id, self.trainee_id = database, session_id, trainee_id

    def settle(self, *flags):
        after = partial(follow_attendance, now=LATER)
        people = [present(self.trainee_id, *WHOLE_DAY, flags=flags)]
        settle(self.database, self.session_id, people, FIVE, LATER, after, reports_settled=True)

    def review(self, at):
        with self.database.write() as connection:
            day = queries.of_trainee_in(connection, self.trainee_id, self.session_id)
            row = {"live_session_id": day.session_id, "person_key": day.person_key, "input_digest": day.input_digest}
            said = {"reason": "The room was seen by both trainers.", "made_by": "staff:1", "made_at": at}
            connection.execute(insert(attendance_reviews), row | said)

    def credited(self):
        with self.database.read() as connection:
            return bool(claims.awards_in_force(connection, self.trainee_id, MODULE))

    def evidence(self):
        with self.database.read() as connection:
            (claim, *_) = claims.of_trainee(connection, self.trainee_id, self.session_id)
        return next(each for each in claim.checklist if each["name"] == "evidence")

    def outdated(self):
        with self.database.read() as connection:
            return claims.outdated(connection)


@pytest.fixture
def world(database, now):
    text = DEMO_PROGRAMME.read_text(encoding="utf-8")
    asked = text.replace("award_evidence: provisional", "award_evidence: reconciled")
    assert "award_evidence: reconciled" in asked
    with database.write() as connection:
        publish(connection, asked, "strict.yaml", actor="cli", now=now)
        trainee_id = add_trainee(connection, 1, now)
        add_licence(connection, trainee_id, FIVE)
        return World(database, add_session(connection, current(connection), now), trainee_id)


def test_a_day_in_order_is_credited_once_reconciled(world):
    world.settle("concurrent")
    assert world.credited()


def test_a_doubtful_day_waits_for_whoever_looks_at_it(world):
    world.settle("report_differs")
    assert (world.credited(), world.evidence()["satisfied"]) == (False, None)
    assert world.outdated() == []
    world.review(LATER + timedelta(minutes=1))
    assert world.outdated() == [(world.trainee_id, world.session_id)]
    with world.database.write() as connection:
        reconsider(connection, world.trainee_id, world.session_id, LATER + timedelta(minutes=2))
    assert (world.credited(), world.outdated()) == (True, [])


def test_a_doubt_that_comes_after_the_award_takes_nothing_back_unasked(world):
    world.settle()
    world.settle("report_differs")
    assert (world.credited(), world.evidence()["satisfied"]) == (True, None)
