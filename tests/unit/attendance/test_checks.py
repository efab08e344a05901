from datetime import timedelta

import pytest
from sqlalchemy import select, update

from lti_tool.attendance import live_sessions, presence_checks
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.tables.operations import tasks
from lti_tool.tables.presence import person_links, poll_answers
from lti_tool.tables.zoom import registrants
from tests.training_day import NINE, add_trainee, at

TWO_MINUTES = timedelta(minutes=2)


def ask(database, session_id: int, minute: float, open_for: timedelta = TWO_MINUTES) -> int:
    with database.write() as connection:
        return presence_checks.ask(connection, session_id, open_for=open_for, actor="staff:1", now=at(minute))


def test_whoever_taps_in_time_is_counted_once(database, session_id, now) -> None:
    check_id = ask(database, session_id, 30)
    with database.write() as connection:
        trainee_id = add_trainee(connection, 1, now)
        assert [each.check.id for each in presence_checks.open_for(connection, trainee_id, at(31))] == [check_id]
        presence_checks.answer(connection, check_id, trainee_id, at(31))
        presence_checks.answer(connection, check_id, trainee_id, at(31.5))
        assert [each.answers for each in presence_checks.of_session(connection, session_id)] == [1]
        assert presence_checks.open_for(connection, trainee_id, at(31.6))[0].answered_at == at(31)


@pytest.mark.parametrize("minute", [29.9, 32, 33])
def test_a_tap_outside_of_the_time_is_refused(database, session_id, now, minute: float) -> None:
    check_id = ask(database, session_id, 30)
    with database.write() as connection:
        trainee_id = add_trainee(connection, 1, now)
        with pytest.raises(Conflict, match="over") as refused:
            presence_checks.answer(connection, check_id, trainee_id, at(minute))
        assert refused.value.code == "check_closed"
        assert presence_checks.open_for(connection, trainee_id, at(minute)) == []


def test_an_unknown_check_cannot_be_answered(database, session_id, now) -> None:
    with database.write() as connection, pytest.raises(NotFound) as refused:
        presence_checks.answer(connection, 99, add_trainee(connection, 1, now), at(31))
    assert refused.value.code == "check_unknown"


@pytest.mark.parametrize("minute", [-1, 480, 500])
def test_checks_are_for_the_time_of_class(database, session_id, minute: float) -> None:
    with pytest.raises(Conflict) as refused:
        ask(database, session_id, minute)
    assert refused.value.code == "session_not_running"


def test_no_check_in_a_cancelled_class(database, session_id) -> None:
    with database.write() as connection:
        live_sessions.cancel(connection, session_id, reason="ill", actor="cli", now=NINE)
    with pytest.raises(Conflict) as refused:
        ask(database, session_id, 10)
    assert refused.value.code == "session_not_running"


def test_calling_the_class_off_closes_its_question(database, session_id, now) -> None:
    check_id = ask(database, session_id, 30)
    with database.write() as connection:
        trainee_id = add_trainee(connection, 1, now)
        live_sessions.cancel(connection, session_id, reason="ill", actor="cli", now=NINE)
        assert presence_checks.open_for(connection, trainee_id, at(31)) == []
        with pytest.raises(Conflict) as refused:
            presence_checks.answer(connection, check_id, trainee_id, at(31))
    assert refused.value.code == "check_closed"


def test_one_question_at_a_time(database, session_id) -> None:
    ask(database, session_id, 30)
    with pytest.raises(Conflict) as refused:
        ask(database, session_id, 31)
    assert refused.value.code == "check_open"
    ask(database, session_id, 32)


@pytest.mark.parametrize("open_for", [timedelta(seconds=29), timedelta(minutes=15, seconds=1), timedelta(0)])
def test_a_check_is_neither_a_blink_nor_a_lesson(database, session_id, open_for: timedelta) -> None:
    with pytest.raises(BadInput) as refused:
        ask(database, session_id, 30, open_for)
    assert refused.value.code == "check_length_wrong"


def test_polls_belong_to_whoever_has_the_address_alone(database, session_id, now) -> None:
    with database.write() as connection:
        one, two = add_trainee(connection, 1, now), add_trainee(connection, 2, now)
        rows = [("trainee1@example.org", 10), ("trainee2@example.org", 12), ("guest@example.org", 11)]
        for email, minute in rows:
            row = {"live_session_id": session_id, "meeting_uuid": "u==", "poll": "p1", "email": email}
            connection.execute(poll_answers.insert().values(**row, answered_at=at(minute)))
        row = {"live_session_id": session_id, "meeting_uuid": "u==", "poll": "p2", "email": "trainee1@example.org"}
        connection.execute(poll_answers.insert().values(**row, answered_at=None))
        found = presence_checks.load(connection, session_id)
    (mine,) = found.of(one)
    assert (mine.kind, mine.from_at, mine.to_at, mine.answered_at) == ("poll", at(10), at(12), at(10))
    assert found.of(two)[0].answered_at == at(12)
    assert found.of(None)[0].answered_at is None


def test_a_tap_is_news_for_the_settlement_even_after_the_last_one(database, session_id, now) -> None:
    """A class is settled ten minutes after its end; a check of the last minute may still be open then."""
    check_id = ask(database, session_id, 479, timedelta(minutes=15))
    with database.write() as connection:
        for number, minute in ((1, 481), (2, 482), (3, 492)):
            presence_checks.answer(connection, check_id, add_trainee(connection, number, now), at(minute))
        asked = connection.execute(select(tasks.c.key, tasks.c.run_at).order_by(tasks.c.run_at)).all()
    assert [tuple(each) for each in asked] == [
        (f"session:{session_id}:over", at(490)),
        (f"session:{session_id}", at(492)),
    ]


def add_answer(connection, session_id: int, email: str, minute: float) -> None:
    row = {"live_session_id": session_id, "meeting_uuid": "u==", "poll": "p1", "email": email}
    connection.execute(poll_answers.insert().values(**row, answered_at=at(minute)))


def test_an_answer_under_an_address_that_two_people_claim_is_nobodys(database, session_id, now) -> None:
    """Staff linked the address to one; later another launches with it as their own."""
    with database.write() as connection:
        one, two = add_trainee(connection, 1, now), add_trainee(connection, 2, now)
        add_answer(connection, session_id, "trainee2@example.org", 10)
        link = {"kind": "email", "value": "trainee2@example.org", "meeting_id": "", "trainee_id": one}
        connection.execute(person_links.insert().values(**link, reason="said so", made_by="staff:3", made_at=now))
        found = presence_checks.load(connection, session_id)
    assert [found.of(each)[0].answered_at for each in (one, two)] == [None, None]


def test_an_answer_under_the_address_of_a_place_is_its_persons(database, session_id, now) -> None:
    """Zoom knows people by the address they were registered with, whatever it is today."""
    with database.write() as connection:
        one = add_trainee(connection, 1, now)
        meeting_id = live_sessions.show(connection, session_id).zoom_meeting_id
        place = {"meeting_id": meeting_id, "registrant_id": "r1", "email": "former@example.org", "trainee_id": one}
        connection.execute(registrants.insert().values(**place, matched_by="gate", recorded_at=now))
        add_answer(connection, session_id, "former@example.org", 10)
        assert presence_checks.load(connection, session_id).of(one)[0].answered_at == at(10)
        connection.execute(update(registrants).values(meeting_id="1"))
        assert presence_checks.load(connection, session_id).of(one)[0].answered_at is None
