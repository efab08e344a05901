"""Presence by hand: reason, evidence, a second person; in force until taken back."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from lti_tool import people
from lti_tool.attendance import corrections, preview, queries
from lti_tool.attendance import live_sessions as sessions
from lti_tool.attendance.settlement import settle
from lti_tool.errors import BadInput, GatehouseError
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.operations import audit_log, tasks
from tests.training_day import DAY, FIVE, HALF_A_DAY, NINE, WHOLE_DAY, add_trainee, at, present
from tests.waiting import until_somebody_waits

GIVEN = {
    "from_at": NINE,
    "to_at": FIVE,
    "counts": True,
    "reason": "She was in the room; the house's line was down.",
    "evidence": "The signed roster in the office.",
    "actor": "staff:91",
}


def propose(database, session_id, trainee_id, now, **given):
    with database.write() as connection:
        values = {**GIVEN, **given}
        return corrections.propose(connection, session_id=session_id, trainee_id=trainee_id, now=now, **values)


def confirm(database, made, now, actor="staff:92"):
    with database.write() as connection:
        corrections.confirm(connection, made, actor=actor, now=now)


def undo(database, made, now, actor="staff:92", reason="The roster was of another day."):
    with database.write() as connection:
        corrections.undo(connection, made, reason=reason, actor=actor, now=now)


def in_force(database, session_id):
    with database.read() as connection:
        return corrections.in_force(connection, session_id)


def code_of(act, *given, **named):
    with pytest.raises(GatehouseError) as refusal:
        act(*given, **named)
    return refusal.value.code


def test_it_counts_only_once_a_second_person_has_confirmed_it(database, session_id, trainee_id, now):
    made = propose(database, session_id, trainee_id, now)
    assert in_force(database, session_id) == {}
    confirm(database, made, now)
    ((interval,),) = in_force(database, session_id).values()
    assert (interval.from_at, interval.to_at, interval.evidence, interval.counts) == (NINE, FIVE, "manual", True)
    assert interval.source == f"correction:{made}"
    undo(database, made, now)
    assert in_force(database, session_id) == {}


def test_every_step_is_audited_and_settles(database, session_id, trainee_id, now):
    made = propose(database, session_id, trainee_id, now)
    confirm(database, made, now)
    undo(database, made, now)
    with database.read() as connection:
        wanted = select(audit_log.c.act, audit_log.c.actor).where(audit_log.c.subject == f"correction:{made}")
        acts = [tuple(row) for row in connection.execute(wanted.order_by(audit_log.c.id))]
        asked = set(connection.scalars(select(tasks.c.key)))
    assert acts == [
        ("correction_proposed", "staff:91"),
        ("correction_confirmed", "staff:92"),
        ("correction_undone", "staff:92"),
    ]
    assert asked == {f"session:{session_id}"}


def test_a_proposal_alone_asks_for_no_settlement(database, session_id, trainee_id, now):
    propose(database, session_id, trainee_id, now)
    with database.read() as connection:
        assert connection.scalars(select(tasks.c.key)).all() == []


@pytest.mark.parametrize("second", ["staff:91", "trainee:91"])
def test_whoever_proposed_it_does_not_confirm_it_in_any_role(database, session_id, trainee_id, now, second):
    made = propose(database, session_id, trainee_id, now)
    assert code_of(confirm, database, made, now, second) == "second_person_needed"
    assert in_force(database, session_id) == {}


def test_nobody_proposes_confirms_or_takes_back_for_themselves(database, session_id, trainee_id, now):
    own = f"staff:{trainee_id}"
    assert code_of(propose, database, session_id, trainee_id, now, actor=own) == "own_case"
    made = propose(database, session_id, trainee_id, now)
    assert code_of(confirm, database, made, now, own) == "own_case"
    assert code_of(undo, database, made, now, own) == "own_case"


def test_of_several_at_once_one_decides(database, session_id, trainee_id, now):
    made = propose(database, session_id, trainee_id, now)

    def decide(number):
        try:
            (confirm if number % 2 else undo)(database, made, now, f"staff:{92 + number}")
        except GatehouseError as refusal:
            return refusal.code
        return "done"

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(decide, range(8)))
    # A confirmation may be taken back after it; nothing happens twice, and nothing after the taking back.
    assert 1 <= said.count("done") <= 2
    assert set(said) == {"done", "correction_state"}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"reason": " "}, "reason_missing"),
        ({"evidence": "\n"}, "evidence_missing"),
        ({"evidence": "x" * 2001}, "evidence_missing"),
        ({"from_at": FIVE, "to_at": NINE}, "correction_times_wrong"),
        ({"to_at": NINE}, "correction_times_wrong"),
        ({"from_at": at(-1)}, "correction_times_wrong"),
        ({"to_at": at(481)}, "correction_times_wrong"),
    ],
)
def test_what_cannot_be_a_correction_is_refused(database, session_id, trainee_id, now, given, code):
    assert code_of(propose, database, session_id, trainee_id, now, **given) == code


def test_nobody_is_present_in_the_future(database, session_id, trainee_id):
    assert code_of(propose, database, session_id, trainee_id, at(100)) == "correction_times_wrong"


def test_unknown_people_sessions_and_corrections_are_refused(database, session_id, trainee_id, now):
    assert code_of(propose, database, session_id, 999, now) == "trainee_unknown"
    assert code_of(propose, database, 999, trainee_id, now) == "session_unknown"
    assert code_of(confirm, database, 999, now) == "correction_unknown"


@pytest.mark.parametrize(("state", "code"), [("locked", "session_locked"), ("cancelled", "session_cancelled")])
def test_a_session_that_is_fixed_takes_no_correction(database, session_id, trainee_id, now, state, code):
    made = propose(database, session_id, trainee_id, now)
    with database.write() as connection:
        connection.execute(update(live_sessions).values(state=state))
    assert code_of(propose, database, session_id, trainee_id, now) == code
    assert code_of(confirm, database, made, now) == code
    assert code_of(undo, database, made, now) == code


def settled(database, session_id, person, now):
    settle(database, session_id, [person], FIVE, now, lambda *_: None)
    with database.read() as connection:
        return queries.of_trainee_in(connection, person.trainee_id, session_id)


def test_the_effect_shown_before_is_the_effect_afterwards(database, session_id, trainee_id, now):
    person = present(trainee_id, *HALF_A_DAY)
    settled(database, session_id, person, now)
    made = propose(database, session_id, trainee_id, now, from_at=at(150), to_at=at(400))
    with database.read() as connection:
        effect = preview.of_correction(connection, corrections.show(connection, made))
    confirm(database, made, now)
    day = settled(database, session_id, person, now)
    assert (effect.seconds_before, effect.completed_before) == (165 * 60, False)
    assert (effect.seconds_after, effect.completed_after) == (day.seconds_present, day.completed)
    assert day.seconds_present > effect.seconds_before
    assert "manual" in day.flags


def test_time_taken_away_wins_over_every_record_and_comes_back_when_undone(database, session_id, trainee_id, now):
    person = present(trainee_id, *WHOLE_DAY)
    whole = settled(database, session_id, person, now).seconds_present
    made = propose(database, session_id, trainee_id, now, from_at=at(0), to_at=at(60), counts=False)
    with database.read() as connection:
        effect = preview.of_correction(connection, corrections.show(connection, made))
    confirm(database, made, now)
    assert settled(database, session_id, person, now).seconds_present == effect.seconds_after == whole - 3600
    undo(database, made, now)
    assert settled(database, session_id, person, now).seconds_present == whole


def test_somebody_whom_no_record_shows_is_present_by_hand_alone(database, session_id, trainee_id, now):
    confirm(database, propose(database, session_id, trainee_id, now), now)
    settle(database, session_id, [], FIVE, now, lambda *_: None)
    with database.read() as connection:
        day = queries.of_trainee_in(connection, trainee_id, session_id)
    assert (day.seconds_present, day.completed) == (390 * 60, True)
    assert {each.evidence for each in day.day.intervals} == {"manual"}


def test_lists_tell_what_waits_and_what_was_decided(database, session_id, trainee_id, now):
    waiting, turned_down, done = (propose(database, session_id, trainee_id, now) for _ in range(3))
    undo(database, turned_down, now)
    confirm(database, done, now)
    with database.read() as connection:
        assert [row.id for row in corrections.waiting(connection)] == [waiting]
        listed = [(row.id, corrections.state_of(row)) for row in corrections.decided(connection)]
        everything = [row.id for row in corrections.of_person(connection, session_id, trainee_id)]
    assert listed == [(done, "in_force"), (turned_down, "undone")]
    assert everything == [done, turned_down, waiting]


def test_wall_times_are_those_of_the_sessions_zone():
    assert corrections.instant_on_wall("2026-11-10T09:00", "America/Los_Angeles") == NINE
    assert corrections.instant_on_wall("2026-07-10T09:00:05", "America/Los_Angeles") == datetime(
        2026, 7, 10, 16, 0, 5, tzinfo=UTC
    )
    assert DAY.isoformat() == "2026-11-10"


@pytest.mark.parametrize(
    "text",
    ["", "nine", "2026-03-08T02:30", "2026-11-01T01:30", "2026-11-10T09:00Z", "9" * 400, "9999-12-31T23:59"],
)
def test_a_wall_time_that_is_none_or_shown_twice_is_refused(text):
    with pytest.raises(BadInput, match="wall_time_wrong"):
        corrections.instant_on_wall(text, "America/Los_Angeles")


@pytest.mark.parametrize("appears", ["before", "after"])
def test_a_second_account_of_whoever_proposed_it_confirms_nothing(database, session_id, trainee_id, now, appears):
    with database.write() as connection:
        first = add_trainee(connection, 91, now)
        address = "trainee91@example.org" if appears == "before" else "trainee92@example.org"
        at = now if appears == "before" else now + timedelta(days=1)
        again = people.find_or_add(connection, "https://moved.example.org", "u-91", name="S", email=address, now=at)
    made = propose(database, session_id, trainee_id, now, actor=f"staff:{first}")
    assert code_of(confirm, database, made, now, f"staff:{again}") == "second_person_needed"
    assert in_force(database, session_id) == {}


def beside(database, first, second):
    """The code with which `second` is refused, if it begins while the transaction of `first` is still open."""
    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            first(connection)
            other = pool.submit(second)
            if not database.is_sqlite:  # there it waits for its turn before it begins
                with database.read() as watching:
                    until_somebody_waits(watching)
        return code_of(other.result)


def acts_on(database, made, now):
    """Each act on this correction: in a given transaction, and in one of its own."""
    within = {
        "confirm": lambda connection: corrections.confirm(connection, made, actor="staff:92", now=now),
        "undo": lambda connection: corrections.undo(connection, made, reason="Wrong day.", actor="staff:93", now=now),
    }
    alone = {"confirm": lambda: confirm(database, made, now, "staff:94"), "undo": lambda: undo(database, made, now)}
    return within, alone


@pytest.mark.parametrize(("first", "second"), [("confirm", "confirm"), ("undo", "undo"), ("undo", "confirm")])
def test_of_two_acts_at_once_only_the_first_changes_it(database, session_id, trainee_id, now, first, second):
    made = propose(database, session_id, trainee_id, now)
    within, alone = acts_on(database, made, now)
    assert beside(database, within[first], alone[second]) == "correction_state"
    with database.read() as connection:
        row = corrections.show(connection, made)
    assert (row.confirmed_by, row.undone_by) == (("staff:92", None) if first == "confirm" else (None, "staff:93"))


@pytest.mark.databases("postgresql")
def test_who_turned_a_proposal_down_while_it_was_confirmed_takes_nothing_back(database, session_id, trainee_id, now):
    made = propose(database, session_id, trainee_id, now)
    within, alone = acts_on(database, made, now)
    assert beside(database, within["confirm"], alone["undo"]) == "correction_state"
    assert in_force(database, session_id) != {}


@pytest.mark.parametrize("act", ["confirm", "undo"])
def test_a_correction_that_is_decided_during_a_lock_waits_and_is_refused(database, session_id, trainee_id, now, act):
    made = propose(database, session_id, trainee_id, now)

    def lock(connection):
        sessions.hold(connection, session_id)
        connection.execute(update(live_sessions).values(state="locked", locked_at=now))

    assert beside(database, lock, acts_on(database, made, now)[1][act]) == "session_locked"
