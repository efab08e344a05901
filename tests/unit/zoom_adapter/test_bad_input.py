"""Whatever is sent to the webhook: nothing recorded is lost, nothing is recorded that Zoom did not sign, every refusal
is counted."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from io import BytesIO
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from lti_tool.db import Database
from lti_tool.tables.zoom import zoom_inbox
from lti_tool.web import errors
from sandbox.zoom.training_day import encode, signed
from tests.clock import TestClock
from tests.zoom_day import people_of, whole_day
from zoom_adapter import webhook
from zoom_adapter.hash_chain import verify
from zoom_adapter.inbox import Inbox, Refusals, since
from zoom_adapter.presence import take_inbox

SECRET = "the secret of these tests"
DAY = whole_day(*people_of("breakouts", "phone_joins")[:1])
EVENTS = DAY.events()
JOINED = EVENTS[1]
CHALLENGE = b'{"event":"endpoint.url_validation","event_ts":1626230691572,"payload":{"plainToken":"qgg8vlvZRS6UYoo"}}'
MANY = 50


class Door:
    """The webhook on the test's database, with what it counts."""

    def __init__(self, database: Database, clock: TestClock) -> None:
        self.database, self.clock = database, clock
        self.inbox, self.refusals = Inbox(database), Refusals(database)
        self.app = Flask("test")
        errors.register(self.app)
        self.app.register_blueprint(webhook.blueprint((SECRET,), self.inbox, clock, self.refusals))

    def send(self, body: bytes, client: FlaskClient | None = None, **headers: str) -> int:
        given = {**signed(body, SECRET, self.clock()), **headers}
        return (client or self.app.test_client()).post("/zoom/webhook", data=body, headers=given).status_code

    def counted(self) -> dict[str, int]:
        self.refusals.flush()
        with self.database.read() as connection:
            return {code: count for code, (count, _) in since(connection, self.clock().date()).items()}

    def kept(self) -> list[Any]:
        with self.database.read() as connection:
            return list(connection.execute(select(zoom_inbox).order_by(zoom_inbox.c.id)))

    def close(self) -> None:
        self.inbox.close()
        self.refusals.close()


@pytest.fixture
def door(database: Database, clock: TestClock):
    door = Door(database, clock)
    yield door
    door.close()


def changed(**fields: Any) -> bytes:
    """The JOIN with other fields in its object."""
    event = json.loads(encode(JOINED))
    event["payload"]["object"].update(fields)
    return encode(event)


def test_every_kind_of_refusal_is_counted_under_its_own_code(door: Door, now: datetime) -> None:
    body = encode(JOINED)
    client = door.app.test_client()
    assert door.send(body, **{"x-zm-signature": "v0=" + "0" * 64}) == 401
    assert door.send(body + b" ", **signed(body, SECRET, now)) == 401
    assert client.post("/zoom/webhook", data=body).status_code == 401
    assert door.send(CHALLENGE, **{"x-zm-signature": "v0=" + "0" * 64}) == 401
    assert door.send(b"x" * 10_000_000) == 413
    assert door.counted() == {
        "zoom_signature_wrong": 2,
        "zoom_signature_missing": 1,
        "zoom_challenge_wrong": 1,
        "zoom_body_too_large": 1,
    }
    assert door.kept() == []


def test_a_body_that_ends_too_early_is_asked_for_again(door: Door, now: datetime) -> None:
    body = encode(JOINED)
    headers, says = signed(body, SECRET, now), {"CONTENT_LENGTH": str(len(body))}
    client = door.app.test_client()
    answer = client.post("/zoom/webhook", input_stream=BytesIO(body[:40]), headers=headers, environ_overrides=says)
    assert (answer.status_code, door.counted(), door.kept()) == (503, {"zoom_body_truncated": 1}, [])


def test_a_request_that_is_sent_again_as_it_was_changes_nothing(door: Door, now: datetime) -> None:
    headers = signed(encode(JOINED), SECRET, now)
    assert [door.send(encode(JOINED), **headers) for _ in range(3)] == [204, 204, 204]
    assert (len(door.kept()), door.counted()) == (1, {"duplicate": 2})


def test_a_stale_one_is_kept_and_flagged_and_the_fresh_one_after_it_counts(door: Door, now: datetime) -> None:
    old = signed(encode(JOINED), SECRET, now - timedelta(hours=3))
    assert (door.send(encode(JOINED), **old), door.send(encode(JOINED))) == (204, 204)
    assert [row.stale for row in door.kept()] == [True, False]


def test_fifty_copies_at_the_same_moment_leave_one_row(door: Door) -> None:
    together = Barrier(MANY)

    def send(number: int) -> int:
        client = door.app.test_client()
        # Another spacing each time: a retry need not be the same bytes.
        body = json.dumps(JOINED, indent=number % 5 or None, ensure_ascii=bool(number % 2)).encode()
        together.wait()
        return door.send(body, client)

    with ThreadPoolExecutor(MANY) as pool:
        assert Counter(pool.map(send, range(MANY))) == {204: MANY}
    assert (len(door.kept()), door.counted()) == (1, {"duplicate": MANY - 1})


def test_a_whole_day_fifty_times_at_once_is_kept_once_and_sealed_once(
    door: Door, database: Database, now: datetime
) -> None:
    def send(body: bytes) -> int:
        while (answer := door.send(body)) == 503:
            pass  # on a slow machine it took too long, and Zoom comes again
        return answer

    bodies = [encode(event) for event in EVENTS]
    with ThreadPoolExecutor(32) as pool:
        sent = Counter(pool.map(send, bodies * MANY))
        takes = [pool.submit(take_inbox, database, now) for _ in range(4)]
    assert sent == {204: len(bodies) * MANY}
    assert all(each.exception() is None for each in takes)
    while take_inbox(database, now):
        pass
    assert sorted(row.body for row in door.kept()) == sorted(bodies)
    with database.read() as connection:
        verdict = verify(connection, (SECRET,))
    assert (verdict.broken, verdict.waiting, verdict.signatures) == (0, 0, {"valid": len(bodies)})


@pytest.mark.parametrize(
    "body",
    [
        b'{"event": "meeting.participant_joined", "payload": {"object": {"topic": "\xe9\xff"}}}',
        "{}".encode("utf-16"),
        b"\x00" * 100,
        b'{"event": "meeting.started"',
        b'{"event": {"a": 1}, "payload": [1, 2]}',
        b'{"event": null, "payload": {"object": {"id": true, "uuid": 17, "participant": "nobody"}}}',
        b'{"event": "\xed\xa0\x80"}',
        b'{"event": "\\ud800 half a pair", "payload": {"object": {"id": "\\u0000"}}}',
        b'{"event": 1e999, "payload": {"object": {"id": -1e400}}}',
    ],
)
def test_what_zoom_signed_is_kept_byte_by_byte_however_odd(door: Door, database: Database, now: datetime, body) -> None:
    assert door.send(body) == 204
    assert [row.body for row in door.kept()] == [body]
    assert take_inbox(database, now)


def test_an_id_as_a_number_and_as_a_text_is_the_same_delivery(door: Door) -> None:
    assert door.send(changed(id=int(DAY.meeting_id))) == 204
    assert door.send(changed(id=DAY.meeting_id)) == 204
    assert [row.meeting_id for row in door.kept()] == [DAY.meeting_id]


@pytest.mark.parametrize("uuid", ["/abc==", "a//b==", "a+b/c==", "=", "é 🌱"])
def test_a_uuid_of_any_form_is_kept_as_it_is(door: Door, uuid: str) -> None:
    assert door.send(changed(uuid=uuid)) == 204
    assert [row.meeting_uuid for row in door.kept()] == [uuid]


def test_unknown_events_and_fields_are_kept_and_no_reason_to_stop(
    door: Door, database: Database, now: datetime
) -> None:
    bodies = [
        b'{"event": "meeting.risen_from_the_dead", "payload": {"object": {"id": 1, "uuid": "x", "new": [{}]}}}',
        b'{"event": "phone.callee_ringing", "payload": {"object": {}}}',
        changed(brand_new_field={"deep": [1, {"er": None}]}),
    ]
    assert [door.send(body) for body in bodies] == [204, 204, 204]
    assert [row.body for row in door.kept()] == bodies
    assert take_inbox(database, now)


@pytest.mark.parametrize(
    "join_time",
    ["2126-12-01T17:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "", None, 17],
)
def test_a_time_far_off_or_missing_is_kept(door: Door, database: Database, now: datetime, join_time: Any) -> None:
    event = json.loads(encode(JOINED))
    event["payload"]["object"]["participant"]["join_time"] = join_time
    assert door.send(encode(event)) == 204
    assert [row.body for row in door.kept()] == [encode(event)]
    assert take_inbox(database, now)
