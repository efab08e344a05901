"""Reading deliveries, and what makes one the same as another."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.zoom_day import people_of, whole_day
from zoom_adapter.events import ZoomEvent, content_key, instant, read_event, text

EVENTS = whole_day(*people_of("breakouts", "waiting_room")).events()
JOINED = next(event for event in EVENTS if event["event"] == "meeting.participant_joined")


def changed(event: dict[str, Any], **participant: Any) -> bytes:
    copy = json.loads(json.dumps(event))
    copy["payload"]["object"]["participant"].update(participant)
    return json.dumps(copy).encode()


def key(body: bytes, *, stale: bool = False) -> str:
    return content_key(read_event(body, stale=stale), body)


def test_a_join_says_who_where_and_when() -> None:
    event = read_event(json.dumps(JOINED).encode())
    subject = JOINED["payload"]["object"]
    assert (event.kind, event.meeting_id, event.meeting_uuid) == ("joined", subject["id"], subject["uuid"])
    assert event.at == instant(subject["participant"]["join_time"])
    assert event.registrant_id == subject["participant"]["registrant_id"]


@pytest.mark.parametrize("number", [86400001234, "86400001234"])
def test_a_meeting_id_is_text_whether_it_came_as_a_number_or_not(number: int | str) -> None:
    body = json.dumps({"event": "meeting.started", "payload": {"object": {"id": number}}}).encode()
    assert read_event(body).meeting_id == "86400001234"


def test_a_webinar_is_read_like_a_meeting() -> None:
    body = json.dumps(JOINED).replace("meeting.participant", "webinar.participant").encode()
    assert read_event(body).kind == "joined"


def test_unknown_keys_and_events_do_no_harm() -> None:
    assert read_event(changed(JOINED, brand_new={"deep": [1, 2]})).kind == "joined"
    assert read_event(b'{"event": "meeting.sharing_started", "payload": {"object": {"id": 5}}}').kind == ""


def test_the_address_is_lower_cased_and_trimmed() -> None:
    assert read_event(changed(JOINED, email=" Ada@Example.ORG ")).email == "ada@example.org"


@pytest.mark.parametrize(
    "other",
    [
        {"participant_uuid": "another-connection"},
        {"user_id": "16778241"},
        {"join_time": "2026-12-01T17:00:59Z"},
    ],
)
def test_another_connection_stay_or_time_is_another_delivery(other: dict[str, str]) -> None:
    assert key(changed(JOINED, **other)) != key(changed(JOINED))


def test_what_zoom_words_otherwise_in_a_retry_is_the_same_delivery() -> None:
    assert key(changed(JOINED, user_name="Renamed", email="other@example.org")) == key(changed(JOINED))


ODD_BODIES = (
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"{",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"event": ["meeting.ended"]}',
    b'{"event": "meeting.participant_left", "payload": "x"}',
    b'{"event": "meeting.ended", "payload": {"object": []}}',
)


@pytest.mark.parametrize("body", ODD_BODIES)
def test_odd_bodies_are_read_as_nothing(body: bytes) -> None:
    event = read_event(body)
    assert (event.at, event.meeting_uuid) == (None, "")
    assert len(content_key(event, body)) == 64


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["participant_uuid", "user_id", "registrant_id", "email", "user_name", "join_time"])


@given(FIELDS, JSON)
def test_any_value_of_any_field_can_be_read_and_stored(field: str, value: Any) -> None:
    body = changed(JOINED, **{field: value})
    event = read_event(body)
    assert all("\0" not in each and each.encode() is not None for each in event if isinstance(each, str))
    assert len(content_key(event, body)) == 64


def test_texts_lose_what_no_database_stores() -> None:
    assert text("a\0b\ud800") == "ab?"
    assert len(text("x" * 10_000)) == 200


@pytest.mark.parametrize("value", ["2026-12-01T17:00:00Z", "2026-12-01T17:00:00.000Z", "2026-12-01T09:00:00-08:00"])
def test_instants_are_utc(value: str) -> None:
    assert instant(value) == datetime(2026, 12, 1, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize("value", [None, "", "yesterday", 1626230691572, "0001-01-01T00:00:00+14:00", {}])
def test_what_is_no_instant_is_none(value: object) -> None:
    assert instant(value) is None


def test_a_retry_and_an_overlapping_subscription_have_the_key_of_the_first() -> None:
    again = json.loads(json.dumps(JOINED))
    again["event_ts"] += 2000
    again["payload"]["object"]["topic"] = "renamed"
    assert key(json.dumps(JOINED).encode()) == key(json.dumps(again, indent=2).encode())


def test_every_event_of_a_day_has_its_own_key() -> None:
    bodies = [json.dumps(event).encode() for event in EVENTS]
    assert len({key(body) for body in bodies}) == len(bodies)


@pytest.mark.parametrize("field", ["participant_uuid", "user_id", "join_time"])
def test_another_stay_or_time_is_another_delivery(field: str) -> None:
    other = "2026-12-01T20:00:00Z" if field == "join_time" else "another"
    assert key(changed(JOINED)) != key(changed(JOINED, **{field: other}))


def test_without_enough_to_go_by_only_equal_bytes_are_the_same() -> None:
    nameless = changed(JOINED, participant_uuid="", user_id="")
    assert key(nameless) == key(bytes(nameless))
    assert key(nameless) != key(nameless + b" ")


def test_registrations_are_told_apart_by_registrant_and_time() -> None:
    first, second = whole_day(*people_of("all_day", "late")).registrations()
    bodies = [json.dumps(each).encode() for each in (first, {**first, "event_ts": 5}, second)]
    assert len({key(body) for body in bodies}) == 3
    assert read_event(bodies[0])._replace(event_ts="", at=None) == ZoomEvent(
        event_type="meeting.registration_created",
        kind="registration",
        meeting_id="86400001234",
        meeting_uuid=first["payload"]["object"]["uuid"],
        registrant_id=first["payload"]["object"]["registrant"]["id"],
        registrant_status="approved",
        email="all_day@example.org",
        name="Person all_day",
    )


def test_a_stale_copy_does_not_take_the_place_of_a_fresh_one() -> None:
    body = json.dumps(JOINED).encode()
    assert key(body, stale=True) != key(body)
    assert key(body, stale=True) == key(body, stale=True)


PERSON = {
    "user_id": "16778240",
    "user_name": "Ada Lindholm",
    "id": "iFxeBPYun6SAiWUzBcEkX",
    "participant_uuid": "A1F0B2C3-0000-4000-8000-000000000001",
    "email": "ada@example.org",
    "registrant_id": "rgQuill-0001",
}
AT = "2026-12-01T17:00:00Z"
EVERY_EVENT = {
    "started": ("started", {"start_time": AT}),
    "ended": ("ended", {"start_time": AT, "end_time": AT}),
    "participant_joined": ("joined", {"participant": PERSON | {"join_time": AT}}),
    "participant_left": ("left", {"participant": PERSON | {"leave_time": AT}}),
    "participant_joined_waiting_room": ("waiting", {"participant": PERSON | {"date_time": AT}}),
    "participant_put_in_waiting_room": ("put_waiting", {"participant": PERSON | {"date_time": AT}}),
    "participant_left_waiting_room": ("waited", {"participant": PERSON | {"date_time": AT}}),
    "participant_admitted": ("waited", {"participant": PERSON | {"date_time": AT}}),
    "participant_joined_breakout_room": ("room_joined", {"participant": PERSON | {"join_time": AT}}),
    "participant_left_breakout_room": ("room_left", {"participant": PERSON | {"leave_time": AT}}),
    "participant_role_changed": ("role", {"participant": PERSON | {"date_time": AT}}),
    "participant_bind": ("bind", {"participant": PERSON | {"join_time": AT}}),
}
OF_NO_INSTANCE = {
    "participant_jbh_waiting": "tried",
    "participant_jbh_joined": "tried",
    "participant_jbh_waiting_left": "tried",
    "registration_created": "registration",
    "registration_approved": "registration",
    "registration_denied": "registration",
    "registration_cancelled": "registration",
    "converted_to_webinar": "converted",
    "converted_to_meeting": "converted",
    "created": "created",
    "updated": "updated",
    "deleted": "deleted",
}


def delivery(event: str, **subject: Any) -> bytes:
    whole = {"id": 86400001234, "uuid": "4444AAAiAAAAAiAiAiiAii==", **subject}
    return json.dumps({"event": event, "event_ts": 1626230691572, "payload": {"object": whole}}).encode()


@pytest.mark.parametrize("prefix", ["meeting", "webinar"])
@pytest.mark.parametrize("name", EVERY_EVENT)
def test_every_event_of_an_instance_is_read_alike_for_meetings_and_webinars(prefix: str, name: str) -> None:
    kind, subject = EVERY_EVENT[name]
    event = read_event(delivery(f"{prefix}.{name}", **subject))
    assert (event.kind, event.at, event.meeting_id) == (kind, instant(AT), "86400001234")


@pytest.mark.parametrize("prefix", ["meeting", "webinar"])
@pytest.mark.parametrize("name", OF_NO_INSTANCE)
def test_what_happens_in_no_instance_has_no_time_in_one(prefix: str, name: str) -> None:
    """Who tries to join before the host is never present by it."""
    person = PERSON | {"date_time": AT}
    event = read_event(delivery(f"{prefix}.{name}", participant=person, registrant={"id": "rg-1"}, start_time=AT))
    assert (event.kind, event.at) == (OF_NO_INSTANCE[name], None)


@pytest.mark.parametrize(
    ("name", "status", "read"),
    [
        ("created", "approved", "approved"),
        ("created", "pending", "pending"),
        ("approved", "", "approved"),
        ("denied", "approved", "denied"),
        ("cancelled", "", "cancelled"),
    ],
)
def test_a_registration_stands_as_its_last_event_says(name: str, status: str, read: str) -> None:
    body = delivery(f"meeting.registration_{name}", registrant={"id": "rg-1", "status": status})
    assert read_event(body).registrant_status == read


def test_the_host_is_known_by_the_account_that_scheduled_the_meeting() -> None:
    person = PERSON | {"join_time": AT}
    events = [read_event(delivery("meeting.participant_joined", participant=person, host_id=host)) for host in HOSTS]
    assert [each.is_host for each in events] == [True, False, False]
    nameless = delivery("meeting.participant_joined", participant=person | {"id": ""}, host_id="")
    assert not read_event(nameless).is_host


HOSTS = (PERSON["id"], "x1yCzABCDEfg23HiJKl4mN", "")


def test_what_only_some_events_say() -> None:
    roles = {"date_time": AT, "old_role": "attendee", "new_role": "co-host"}
    bound = {"date_time": AT, "bind_user_id": "16778999", "bind_participant_uuid": "P9"}
    room = {"join_time": AT, "user_id": "167782401796400000", "parent_user_id": "16778240"}
    role = read_event(delivery("meeting.participant_role_changed", participant=PERSON | roles))
    bind = read_event(delivery("meeting.participant_bind", participant=PERSON | bound))
    entered = delivery(
        "meeting.participant_joined_breakout_room", participant=PERSON | room, breakout_room_uuid="FkQbpP2UR028=="
    )
    assert (role.old_role, role.new_role) == ("attendee", "co-host")
    assert (bind.bind_user_id, bind.bind_participant_uuid) == ("16778999", "P9")
    assert (read_event(entered).room, read_event(entered).parent_user_id) == ("FkQbpP2UR028==", "16778240")


def test_a_participant_is_named_and_addressed_in_clean_text() -> None:
    participant = {
        "user_name": "佐藤\u3000花子",
        "email": "Jose\u0301@example.org\u200b",
        "participant_uuid": "a\u00a0b",
    }
    body = {"event": "meeting.participant_joined", "payload": {"object": {"participant": participant}}}
    event = read_event(json.dumps(body).encode())
    assert (event.name, event.email) == ("佐藤 花子", "josé@example.org")
    assert event.participant_uuid == "a\u00a0b", "an id is never changed"
