"""Places in Zoom meetings: what the gate wants, and what people and staff ask for."""

from datetime import timedelta

import pytest

from lti_tool.errors import NotFound
from lti_tool.tables.presence import zoom_places
from lti_tool.tables.zoom import registrants
from tests.training_day import MEETING, add_trainee
from zoom_adapter import places
from zoom_adapter.places import REASONS, standing

LINK = "https://zoom.example.org/w/1?tk=own"


@pytest.fixture
def people(database, now):
    with database.write() as connection:
        return [add_trainee(connection, number, now) for number in range(1, 4)]


def want(database, people, now):
    with database.write() as connection:
        places.want(connection, people, MEETING, "meeting", now)


def drop(database, people, now):
    with database.write() as connection:
        places.drop(connection, people, MEETING, now)


def ask(database, trainee_id, now):
    with database.write() as connection:
        return places.ask(connection, trainee_id, MEETING, "meeting", now)


def of(database, trainee_id):
    with database.read() as connection:
        return places.of(connection, trainee_id, MEETING)


def change(database, trainee_id, **values):
    with database.write() as connection:
        mine = zoom_places.update().where(zoom_places.c.trainee_id == trainee_id)
        connection.execute(mine.values(**values))


def registered(database, trainee_id):
    change(database, trainee_id, state="registered", registrant_id="rg-1", join_url=LINK, due_at=None)


def test_whom_the_gate_wants_is_due_and_who_has_a_place_keeps_it(database, people, now):
    want(database, people[:2], now)
    registered(database, people[0])
    want(database, people, now + timedelta(minutes=1))
    first, second, third = (of(database, each) for each in people)
    assert (first.is_ready, first.due_at, first.join_url) == (True, None, LINK)
    assert (second.due_at, third.due_at) == (now, now + timedelta(minutes=1))


def test_a_place_that_is_dropped_and_wanted_again_is_due_each_time(database, people, now):
    want(database, people[:1], now)
    registered(database, people[0])
    drop(database, people, now + timedelta(minutes=1))
    dropped = of(database, people[0])
    assert (dropped.wanted, dropped.is_ready, dropped.due_at) == (False, False, now + timedelta(minutes=1))
    want(database, people[:1], now + timedelta(minutes=2))
    again = of(database, people[0])
    assert (again.wanted, again.is_ready, again.due_at) == (True, False, now + timedelta(minutes=2))


def test_who_asks_at_the_door_gets_a_place_that_is_due_now(database, people, now):
    place = ask(database, people[0], now)
    assert (place.wanted, place.state, place.due_at, place.asked_at) == (True, "none", now, now)
    with database.read() as connection:
        assert places.wanted(connection, MEETING) == {people[0]: now}


def test_asking_again_brings_nothing_forward_that_zoom_has_put_off(database, people, now):
    tomorrow = now + timedelta(days=1)
    ask(database, people[0], now)
    change(database, people[0], due_at=tomorrow, last_code="zoom_daily_limit")
    place = ask(database, people[0], now + timedelta(seconds=1))
    assert (place.due_at, place.is_put_off(now)) == (tomorrow, True)


def test_asking_wakes_no_place_that_was_refused(database, people, now):
    ask(database, people[0], now)
    change(database, people[0], state="refused", due_at=None, last_code="zoom_host_cannot_register")
    place = ask(database, people[0], now)
    assert (place.due_at, place.is_put_off(now)) == (None, True)


def test_a_registered_person_who_asks_costs_no_call(database, people, now):
    want(database, people[:1], now)
    registered(database, people[0])
    assert ask(database, people[0], now).is_ready


def test_staff_can_let_a_refused_place_be_tried_again(database, people, now):
    ask(database, people[0], now)
    change(database, people[0], state="refused", due_at=None, last_code="address_shared")
    with database.write() as connection:
        place = places.try_again(connection, of(database, people[0]).id, actor="staff:9", now=now)
    assert (place.state, place.due_at, place.last_code) == ("none", now, None)
    with database.write() as connection, pytest.raises(NotFound) as refused:
        places.try_again(connection, 999, actor="staff:9", now=now)
    assert refused.value.code == "place_unknown"


def test_the_own_link_is_encrypted_in_the_database(database, people, now):
    want(database, people[:1], now)
    registered(database, people[0])
    with database.read() as connection:
        (stored,) = connection.exec_driver_sql("SELECT join_url FROM zoom_places").one()
    assert b"zoom" not in bytes(stored)


def test_staff_see_everybody_with_a_state_and_what_can_be_done(database, people, now):
    want(database, people, now)
    registered(database, people[0])
    change(database, people[1], state="refused", due_at=None, last_code="zoom_host_cannot_register")
    with database.write() as connection:
        connection.exec_driver_sql(f"UPDATE trainees SET email = NULL WHERE id = {people[2]}")
    with database.read() as connection:
        listed = places.listed(connection, MEETING)
        assert places.counts(connection, MEETING) == {"registered": 1, "refused": 1, "no_address": 1}
    words = [standing(each.place, each.email) for each in listed]
    assert [each.name for each in listed] == ["Trainee 1", "Trainee 2", "Trainee 3"]
    assert [each.word for each in words] == ["Registered", "Refused", "No address"]
    assert words[1].says == REASONS["zoom_host_cannot_register"]


def test_a_code_nobody_knows_still_has_words(database, people, now):
    want(database, people[:1], now)
    change(database, people[0], last_code="something_new")
    assert "Zoom refused it" in standing(of(database, people[0]), "trainee1@example.org").says


def test_who_waits_at_zoom_and_is_nobody_we_know_is_shown(database, people, now):
    rows = [
        {"registrant_id": "rg-stranger", "status": "pending", "trainee_id": None, "email": "guest@example.org"},
        {"registrant_id": "rg-known", "status": "pending", "trainee_id": people[0], "email": "trainee1@example.org"},
        {"registrant_id": "rg-approved", "status": "approved", "trainee_id": None, "email": "other@example.org"},
    ]
    with database.write() as connection:
        connection.execute(registrants.insert(), [{**each, "meeting_id": MEETING, "recorded_at": now} for each in rows])
    with database.read() as connection:
        assert [each.registrant_id for each in places.strangers(connection, MEETING)] == ["rg-stranger"]
