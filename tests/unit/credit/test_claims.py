"""What follows from a settled attendance: completion, claims, awards, scores; and what happens on a correction."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from threading import Barrier, Event, Thread
from time import sleep

import pytest
from sqlalchemy import func, insert, select, update

from lti_tool.attendance.queries import attended_day
from lti_tool.attendance.settlement import settle
from lti_tool.credit import claims, licences
from lti_tool.errors import BadInput, Conflict
from lti_tool.gates import publication
from lti_tool.grades import scores
from lti_tool.grades.outcomes import follow_attendance, reconsider
from lti_tool.programme import versions
from lti_tool.tables.credit import awards as awards_table
from lti_tool.tables.gates import completions
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.operations import audit_log
from lti_tool.tables.people import trainees
from tests.conftest import DEMO_PROGRAMME
from tests.statements import before_each_statement
from tests.training_day import (
    DAY,
    FIVE,
    HALF_A_DAY,
    MODULE,
    WHOLE_DAY,
    OnePerson,
    add_licence,
    add_place,
    add_platform,
    add_session,
    add_trainee,
    at,
    enrol,
    present,
    stay,
)

MOST_OF_IT = (stay(0, 440),)


class Stage(OnePerson):
    """What follows from the settlement of that person's session."""

    def read(self, query):
        with self.database.read() as connection:
            return connection.execute(query).all()

    def claim(self, body_id="apa"):
        with self.database.read() as connection:
            found = claims.of_trainee(connection, self.trainee_id, self.session_id)
        return next((each for each in found if each.body_id == body_id), None)

    def awards(self):
        with self.database.read() as connection:
            return claims.awards_in_force(connection, self.trainee_id, MODULE)

    def completions(self):
        return self.read(select(completions).order_by(completions.c.id))

    def acts(self, act):
        return self.read(select(audit_log).where(audit_log.c.act == act))

    def licence(self, **given):
        with self.database.write() as connection:
            return add_licence(connection, self.trainee_id, self.now, **given)


@pytest.fixture
def stage(database, published, now):
    with database.write() as connection:
        return Stage(database, connection, published, now)


def lines(claim):
    return {each["name"]: each["satisfied"] for each in claim.checklist}


def test_a_full_day_with_a_licence_is_completed_and_credited(stage):
    licence_id = stage.licence()
    stage.settle(*WHOLE_DAY)
    (completion,) = stage.completions()
    assert (completion.module_id, completion.origin, completion.completed_on) == (MODULE, "attendance", DAY)
    (award,) = stage.awards()
    assert (award.body_id, award.credits, award.seconds_present) == ("apa", Decimal("6.5"), 390 * 60)
    assert award.licence_id == licence_id
    assert award.basis["licence"] == {"id": licence_id, "type": "LMFT", "state": "CA"}
    assert award.basis["policy"]["max_missed_total_minutes"] == 15
    assert award.basis["statement"]["programme_version"] == award.programme_version
    assert stage.claim().state == "awarded"
    assert len(stage.acts("credit_awarded")) == 1


def test_a_full_day_without_a_licence_is_completed_and_not_credited(stage):
    stage.settle(*WHOLE_DAY)
    assert len(stage.completions()) == 1
    assert stage.awards() == []
    assert stage.claim().state == "open"
    assert lines(stage.claim())["licence"] is False


def test_most_of_the_day_is_completed_and_not_credited(stage):
    stage.licence()
    stage.settle(*MOST_OF_IT)
    assert len(stage.completions()) == 1
    assert (stage.awards(), lines(stage.claim())["attendance"]) == ([], False)


def test_half_a_day_is_neither(stage):
    stage.licence()
    stage.settle(*HALF_A_DAY)
    assert (stage.completions(), stage.awards()) == ([], [])


def test_nothing_follows_before_the_end(stage):
    stage.licence()
    stage.settle(*WHOLE_DAY, ended_at=None)
    assert (stage.completions(), stage.awards(), stage.claim()) == ([], [], None)
    stage.settle(*WHOLE_DAY)
    assert (len(stage.completions()), len(stage.awards())) == (1, 1)


def test_settling_again_awards_nothing_twice(stage):
    stage.licence()
    for stays in (WHOLE_DAY, (stay(0, 480),), WHOLE_DAY, (stay(1, 480),)):
        stage.settle(*stays)
    assert (len(stage.completions()), len(stage.awards()), len(stage.acts("credit_awarded"))) == (1, 1, 1)


def test_a_licence_issued_after_the_session_never_makes_it_creditable(stage):
    stage.settle(*WHOLE_DAY)
    stage.licence(issued_on=date(2026, 11, 11))
    with stage.database.write() as connection:
        reconsider(connection, stage.trainee_id, stage.session_id, stage.now + timedelta(minutes=1))
    assert (stage.awards(), lines(stage.claim())["licence"]) == ([], False)


def test_a_licence_that_was_in_force_may_be_recorded_later(stage):
    stage.settle(*WHOLE_DAY)
    stage.now += timedelta(minutes=1)
    stage.licence()
    with stage.database.read() as connection:
        assert claims.outdated(connection) == [(stage.trainee_id, stage.session_id)]
    with stage.database.write() as connection:
        reconsider(connection, stage.trainee_id, stage.session_id, stage.now)
    assert [each.credits for each in stage.awards()] == [Decimal("6.5")]
    with stage.database.read() as connection:
        assert claims.outdated(connection) == []


def test_an_award_is_contested_when_its_licence_is_corrected_later(stage):
    licence_id = stage.licence()
    stage.licence(type="RN")
    stage.settle(*WHOLE_DAY)
    assert len(stage.awards()) == 2
    stage.now += timedelta(days=1)
    stage.licence(issued_on=date(2026, 12, 1), replaces=licence_id)
    with stage.database.read() as connection:
        assert claims.outdated(connection) == [(stage.trainee_id, stage.session_id)]
    with stage.database.write() as connection:
        reconsider(connection, stage.trainee_id, stage.session_id, stage.now)
    assert (stage.claim().state, len(stage.awards())) == ("awarded", 2)
    assert (lines(stage.claim())["licence"], lines(stage.claim())["contested"]) == (False, None)
    with stage.database.read() as connection:
        assert claims.outdated(connection) == []


def test_a_licence_that_ends_after_the_award_contests_it(stage):
    licence_id = stage.licence()
    stage.settle(*WHOLE_DAY)
    with stage.database.read() as connection:
        assert claims.outdated(connection) == []
    stage.now += timedelta(days=1)
    with stage.database.write() as connection:
        licences.end_licence(connection, licence_id, reason="Typed twice.", actor="cli", now=stage.now)
        assert claims.outdated(connection) == [(stage.trainee_id, stage.session_id)]
        reconsider(connection, stage.trainee_id, stage.session_id, stage.now)
        assert claims.outdated(connection) == []
    assert (stage.claim().state, lines(stage.claim())["contested"]) == ("awarded", None)


def test_a_claim_is_never_decided_on_attendance_that_is_being_corrected(stage):
    """Whoever reconsiders waits for the settlement in hand, and then sees what it wrote."""
    stage.settle(*WHOLE_DAY)
    stage.licence()
    reconsidering = Event()

    def reconsider_meanwhile():
        with stage.database.write() as connection:
            reconsidering.set()
            reconsider(connection, stage.trainee_id, stage.session_id, stage.now)

    def correct(connection, people):
        if not other.is_alive():
            other.start()
            reconsidering.wait(0.5)
            sleep(0.2)
        follow_attendance(connection, people, stage.now)

    other = Thread(target=reconsider_meanwhile)
    settle(stage.database, stage.session_id, [present(stage.trainee_id, *HALF_A_DAY)], FIVE, stage.now, correct)
    other.join()
    assert (stage.awards(), lines(stage.claim())["attendance"]) == ([], False)


def test_running_values_are_not_final_because_the_session_has_ended(stage):
    """A settlement that was killed after some of its groups leaves the others as they were before the end."""
    stage.licence()
    stage.settle(*WHOLE_DAY, ended_at=None)
    with stage.database.write() as connection:
        connection.execute(update(live_sessions).values(ended_at=FIVE, state="provisional"))
        reconsider(connection, stage.trainee_id, stage.session_id, stage.now)
    assert (stage.awards(), stage.claim()) == ([], None)
    stage.settle(*WHOLE_DAY)
    assert len(stage.awards()) == 1


def test_another_session_that_completes_the_module_carries_the_completion_on(stage, published):
    with stage.database.write() as connection:
        again = add_session(connection, published, stage.now, starts=date(2026, 11, 12))
    stage.settle(*WHOLE_DAY)
    stage.settle(stay(2880, 3360), session_id=again, ended_at=at(3360))
    stage.settle(*HALF_A_DAY)
    first, second = stage.completions()
    assert (first.live_session_id, first.ended_at is None) == (stage.session_id, False)
    assert (second.live_session_id, second.ended_at, second.completed_on) == (again, None, date(2026, 11, 12))


def test_a_correction_before_any_award_ends_the_completion_with_a_reason(stage):
    stage.settle(*WHOLE_DAY)
    stage.settle(*HALF_A_DAY)
    (completion,) = stage.completions()
    assert completion.ended_at is not None
    assert "threshold" in completion.ended_reason
    assert len(stage.acts("completion_ended")) == 1
    stage.settle(*WHOLE_DAY)
    assert [each.ended_at is None for each in stage.completions()] == [False, True]


def test_an_award_is_never_taken_back_silently(stage):
    stage.licence()
    stage.settle(*WHOLE_DAY)
    stage.settle(*HALF_A_DAY)
    assert [each.state for each in stage.awards()] == ["awarded"]
    assert stage.completions()[0].ended_at is None
    assert stage.claim().state == "awarded"
    assert lines(stage.claim())["contested"] is None
    stage.settle(*HALF_A_DAY[:1], stay(185, 190))
    assert len(stage.acts("award_contested")) == 1
    stage.settle(*WHOLE_DAY)
    assert "contested" not in lines(stage.claim())


def test_minutes_that_are_corrected_to_none_end_the_completion(stage):
    stage.settle(*WHOLE_DAY)
    stage.settle(stay(185, 235))
    assert stage.completions()[0].ended_at is not None


def test_evidence_that_names_another_person_all_at_once_ends_no_completion(stage):
    stage.settle(*WHOLE_DAY)
    stage.settle()
    assert stage.completions()[0].ended_at is None


def test_a_completion_recorded_by_staff_is_left_alone(stage):
    row = {"trainee_id": stage.trainee_id, "module_id": MODULE, "completed_on": DAY, "origin": "staff"}
    with stage.database.write() as connection:
        connection.execute(insert(completions).values(**row, recorded_by="cli", recorded_at=stage.now))
    stage.settle(*WHOLE_DAY)
    stage.settle(*HALF_A_DAY)
    assert [(each.origin, each.ended_at) for each in stage.completions()] == [("staff", None)]


def test_the_same_module_again_is_not_credited_twice(stage, published):
    stage.licence()
    with stage.database.write() as connection:
        again = add_session(connection, published, stage.now, starts=date(2026, 11, 12))
    stage.settle(*WHOLE_DAY)
    stage.settle(stay(2880, 3360), session_id=again, ended_at=at(3360))
    assert [each.live_session_id for each in stage.awards()] == [stage.session_id]
    with stage.database.read() as connection:
        (second,) = [each for each in claims.of_trainee(connection, stage.trainee_id, again) if each.body_id == "apa"]
    assert lines(second)["duplicate"] is False


@pytest.mark.parametrize("settled_first", [False, True], ids=["settled later", "decided again"])
def test_a_taught_session_is_never_decided_by_a_later_programme(stage, published, settled_first):
    """Neither when it is settled after a publication, nor when its claims are decided again after one."""
    if settled_first:
        stage.settle(*WHOLE_DAY)
    stage.licence()
    text = DEMO_PROGRAMME.read_text(encoding="utf-8").replace("apa: 6.5", "apa: 5.5")
    with stage.database.write() as connection:
        publication.publish(connection, text, "later.yaml", actor="cli", now=stage.now)
        if settled_first:
            reconsider(connection, stage.trainee_id, stage.session_id, stage.now)
    if not settled_first:
        stage.settle(*WHOLE_DAY)
    (award,) = stage.awards()
    assert (award.credits, award.programme_version) == (Decimal("6.5"), published.version)
    assert lines(stage.claim())["offering"] is True


def test_the_fee_that_staff_record_makes_the_claim_ready(database, now, stage):
    text = DEMO_PROGRAMME.read_text(encoding="utf-8").replace("fee_required: false", "fee_required: true")
    with database.write() as connection:
        from_now_on = publication.publish(connection, text, "fees.yaml", actor="cli", now=now)
        stage.session_id = add_session(
            connection, versions.version(connection, from_now_on), now, starts=date(2026, 11, 12)
        )
    stage.licence()
    stage.settle(stay(2880, 3360), ended_at=at(3360))
    assert lines(stage.claim())["fee"] is None
    fact = {"trainee_id": stage.trainee_id, "session_id": stage.session_id, "body_id": "apa", "fact": "fee"}
    with database.write() as connection:
        claims.record_fact(connection, **fact, reason="Paid by card.", actor="cli", now=now)
        reconsider(connection, stage.trainee_id, stage.session_id, now)
        with pytest.raises(Conflict, match="fact_recorded"):
            claims.record_fact(connection, **fact, reason="Paid again.", actor="cli", now=now)
        for wrong, code in (
            ({"reason": " "}, "reason_missing"),
            ({"reason": "x" * 2001}, "reason_missing"),
            ({"fact": "gift"}, "fact_unknown"),
        ):
            with pytest.raises(BadInput, match=code):
                claims.record_fact(connection, **{**fact, "reason": "Seen.", **wrong}, actor="cli", now=now)
    assert (stage.claim().state, len(stage.awards())) == ("awarded", 1)


def test_two_sessions_settled_at_once_award_the_module_once(stage, published):
    stage.licence()
    with stage.database.write() as connection:
        again = add_session(connection, published, stage.now, starts=date(2026, 11, 12))
    start, failures = Barrier(2), []

    def work(stays, session_id, ended_at):
        start.wait()
        try:
            stage.settle(*stays, session_id=session_id, ended_at=ended_at)
        except Exception as error:
            failures.append(error)

    jobs = [(WHOLE_DAY, stage.session_id, FIVE), ((stay(2880, 3360),), again, at(3360))]
    workers = [Thread(target=work, args=job) for job in jobs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
    assert len(stage.awards()) == 1
    assert len([each for each in stage.completions() if each.ended_at is None]) == 1
    assert stage.read(select(func.count()).select_from(awards_table))[0][0] == 1


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("again", [False, True], ids=["settled", "decided again"])
def test_a_person_is_locked_while_their_claims_are_decided(stage, again):
    """On SQLite there is one writer."""
    stage.licence()
    if again:
        stage.settle(*WHOLE_DAY)
    free = (
        select(trainees.c.id).where(trainees.c.id == stage.trainee_id).with_for_update(key_share=True, skip_locked=True)
    )
    found = {}

    def look(statement, _parameters):
        table = next(
            (name for name in ("licences", "claim_facts", "claims", "awards") if f"FROM {name}" in statement), ""
        )
        if table and table not in found:
            found[table] = None
            found[table] = "free" if stage.read(free) else "locked"

    with before_each_statement(stage.database, look):
        if again:
            with stage.database.write() as connection:
                reconsider(connection, stage.trainee_id, stage.session_id, stage.now)
        else:
            stage.settle(*WHOLE_DAY)
    assert found == dict.fromkeys(("licences", "claim_facts", "claims", "awards"), "locked")


@pytest.mark.databases("postgresql")
def test_a_claim_is_decided_again_when_another_session_is_awarded_first(stage, published):
    """The other award is committed after the evidence was read and before this one is written. On SQLite there is one
    writer."""
    stage.licence()
    with stage.database.write() as connection:
        other = add_session(connection, published, stage.now, starts=date(2026, 11, 12))
    stage.settle(*WHOLE_DAY, ended_at=None)
    with stage.database.read() as connection:
        day = replace(attended_day(connection, stage.trainee_id, stage.session_id), ended=True)
    overtaking = iter([partial(stage.settle, stay(2880, 3360), session_id=other, ended_at=at(3360))])

    def overtake(statement, _parameters):
        if statement.startswith("INSERT INTO awards"):
            for settle_the_other in overtaking:
                settle_the_other()

    with before_each_statement(stage.database, overtake), stage.database.write() as connection:
        claims.decide(connection, published.programme, [day], stage.now)
    assert [each.live_session_id for each in stage.awards()] == [other]
    assert (stage.claim().state, lines(stage.claim())["duplicate"]) == ("open", False)


def test_an_ended_licence_is_not_used(stage):
    licence_id = stage.licence()
    with stage.database.write() as connection:
        licences.end_licence(connection, licence_id, reason="Typed twice.", actor="cli", now=stage.now)
    stage.settle(*WHOLE_DAY)
    assert stage.awards() == []


def test_the_score_follows_in_the_same_transaction(stage):
    stage.licence()
    with stage.database.write() as connection:
        registration_id = add_platform(connection, stage.now)
        add_place(connection, registration_id, stage.now)
        enrol(connection, registration_id, stage.trainee_id, stage.now)
    stage.settle(*WHOLE_DAY)
    with stage.database.read() as connection:
        (score,) = scores.rows(connection)
    assert (score.desired_given, score.desired_maximum, score.status) == (100.0, 100.0, "waiting")
    assert score.desired_comment == "390 of 390 instructional minutes. CE: 6.5 credits (APA)."


def test_a_version_names_the_attendance_that_the_award_rests_on(stage):
    stage.licence()
    stage.settle(*HALF_A_DAY)
    stage.settle(*WHOLE_DAY)
    current = stage.read(select(attendances.c.id).where(attendances.c.is_current))
    assert [each.attendance_id for each in stage.awards()] == [current[0].id]


def test_reconsidering_somebody_who_was_not_there_does_nothing(stage):
    with stage.database.write() as connection:
        reconsider(connection, stage.trainee_id, stage.session_id, stage.now)
    assert stage.claim() is None


def test_a_module_without_credit_bodies_has_no_claims(stage, published):
    module = replace(published.programme.modules[MODULE], credits={})
    programme = replace(published.programme, modules={MODULE: module})
    stage.settle(*WHOLE_DAY, ended_at=None)
    with stage.database.write() as connection:
        day = attended_day(connection, stage.trainee_id, stage.session_id)
        claims.decide(connection, programme, [day], stage.now)
    assert stage.claim() is None


@pytest.mark.databases("postgresql")
def test_facts_of_two_people_of_one_session_are_recorded_at_once(database, published, now):
    """Each transaction refers to the session before it holds it."""
    with database.write() as connection:
        session_id = add_session(connection, published, now)
        both = [add_trainee(connection, number, now) for number in (1, 2)]
    together = Barrier(2)

    def record(trainee_id):
        given = {"body_id": "apa", "fact": claims.FACTS[0], "reason": "She paid.", "actor": "cli", "now": now}
        with database.write() as connection:
            claims.record_fact(connection, trainee_id=trainee_id, session_id=session_id, **given)
            together.wait(timeout=10)
            reconsider(connection, trainee_id, session_id, now)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(record, both)) == [None, None]
