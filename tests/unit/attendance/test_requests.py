""" "This does not look right": one open request a session, answered in words, and its text nowhere else."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from lti_tool.attendance import reviews
from lti_tool.errors import GatehouseError
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.operations import audit_log
from tests.training_day import NINE

TEXT = "I was there from nine.\nMy tablet showed another name."


def ask(database, session_id, trainee_id, now, text=TEXT):
    with database.write() as connection:
        return reviews.open_request(connection, session_id=session_id, trainee_id=trainee_id, text=text, now=now)


def answer(database, made, now, text="Corrected. Thank you.", actor="staff:99"):
    with database.write() as connection:
        reviews.answer(connection, made, text=text, actor=actor, now=now)


def withdraw(database, made, trainee_id, now):
    with database.write() as connection:
        reviews.withdraw(connection, made, trainee_id=trainee_id, now=now)


def code_of(act, *given, **named):
    with pytest.raises(GatehouseError) as refusal:
        act(*given, **named)
    return refusal.value.code


def test_a_request_waits_and_is_answered(database, session_id, trainee_id, now):
    made = ask(database, session_id, trainee_id, now)
    with database.read() as connection:
        (waiting,) = reviews.queue(connection)
    assert (waiting.id, waiting.text, waiting.name, waiting.module_id) == (made, TEXT, "Trainee 1", "F1")
    answer(database, made, now)
    with database.read() as connection:
        assert reviews.queue(connection) == []
        (own,) = reviews.of_trainee_in(connection, trainee_id, session_id)
        (listed,) = reviews.answered(connection)
    assert (own.state, own.answer, own.answered_by, listed.id) == (
        "answered",
        "Corrected. Thank you.",
        "staff:99",
        made,
    )


def test_the_text_is_in_no_audit_entry(database, session_id, trainee_id, now):
    answer(database, ask(database, session_id, trainee_id, now), now, text="Your tablet was not in.")
    withdraw(database, ask(database, session_id, trainee_id, now), trainee_id, now)
    with database.read() as connection:
        entries = connection.execute(select(audit_log)).all()
    assert {"attendance_request_opened", "attendance_request_answered", "attendance_request_withdrawn"} <= {
        row.act for row in entries
    }
    assert "tablet" not in str(entries)


def test_there_is_one_open_request_a_session(database, session_id, trainee_id, now):
    first = ask(database, session_id, trainee_id, now)
    assert code_of(ask, database, session_id, trainee_id, now) == "request_open"
    withdraw(database, first, trainee_id, now)
    second = ask(database, session_id, trainee_id, now)
    answer(database, second, now)
    assert ask(database, session_id, trainee_id, now) not in (first, second)


def test_of_two_requests_at_once_one_is_kept(database, session_id, trainee_id, now):
    def send(_):
        try:
            return bool(ask(database, session_id, trainee_id, now))
        except GatehouseError as refusal:
            return refusal.code

    with ThreadPoolExecutor(8) as pool:
        said = sorted(map(str, pool.map(send, range(8))))
    assert said == ["True"] + ["request_open"] * 7


def test_of_an_answer_and_a_withdrawal_at_once_one_holds(database, session_id, trainee_id, now):
    made = ask(database, session_id, trainee_id, now)

    def close(number):
        try:
            answer(database, made, now) if number % 2 else withdraw(database, made, trainee_id, now)
        except GatehouseError as refusal:
            return refusal.code
        return "done"

    with ThreadPoolExecutor(4) as pool:
        said = sorted(pool.map(close, range(8)))
    assert said == ["done"] + ["request_state"] * 7


def test_a_locked_session_may_be_asked_about(database, session_id, trainee_id, now):
    with database.write() as connection:
        connection.execute(update(live_sessions).values(state="locked"))
    assert ask(database, session_id, trainee_id, now)


def test_what_did_not_begin_or_take_place_is_not_asked_about(database, session_id, trainee_id, now):
    assert code_of(ask, database, session_id, trainee_id, NINE - timedelta(seconds=1)) == "request_early"
    with database.write() as connection:
        connection.execute(update(live_sessions).values(state="cancelled"))
    assert code_of(ask, database, session_id, trainee_id, now) == "session_cancelled"
    assert code_of(ask, database, 999, trainee_id, now) == "session_unknown"


@pytest.mark.parametrize("text", ["", " \r\n\t ", "x" * 2001, "\a", "\ud800"])
def test_a_text_must_be_there_readable_and_short_enough(database, session_id, trainee_id, now, text):
    assert code_of(ask, database, session_id, trainee_id, now, text) == "request_text_missing"
    made = ask(database, session_id, trainee_id, now, "x" * 2000)
    assert code_of(answer, database, made, now, text) == "request_text_missing"


def test_somebody_elses_request_does_not_exist(database, session_id, trainee_id, now):
    made = ask(database, session_id, trainee_id, now)
    assert code_of(withdraw, database, made, trainee_id + 1, now) == "request_unknown"
    assert code_of(answer, database, 999, now) == "request_unknown"


def test_nobody_answers_themselves(database, session_id, trainee_id, now):
    made = ask(database, session_id, trainee_id, now)
    assert code_of(answer, database, made, now, actor=f"staff:{trainee_id}") == "own_case"


def test_one_person_asks_ten_times_a_day(database, session_id, trainee_id, now):
    for _ in range(10):
        made = ask(database, session_id, trainee_id, now)
        with database.write() as connection:
            reviews.withdraw(connection, made, trainee_id=trainee_id, now=now)
    assert code_of(ask, database, session_id, trainee_id, now + timedelta(hours=23)) == "requests_too_many"
    assert ask(database, session_id, trainee_id, now + timedelta(days=1))
