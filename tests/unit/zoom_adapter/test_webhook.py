"""What the webhook answers, and what it keeps."""

import hmac
import json
import time
from datetime import datetime, timedelta
from hashlib import sha256

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
from zoom_adapter.inbox import Delivery, Inbox, InboxUnavailable, Refusals, Stored
from zoom_adapter.signature import matching_secret, secret_mark, sign

SECRETS = ("the current secret", "the previous secret")
EVENTS = whole_day(*people_of("breakouts")).events()
JOINED = encode(EVENTS[1])
CHALLENGE = b'{"event":"endpoint.url_validation","event_ts":1626230691572,"payload":{"plainToken":"qgg8vlvZRS6UYoo"}}'


class HurriedInbox(Inbox):
    """An inbox that notes how long it is given."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.timeouts: list[float] = []

    def append(self, delivery: Delivery, timeout: float = -1) -> Stored:
        self.timeouts.append(timeout)
        return super().append(delivery, timeout)


class AwayInbox(Inbox):
    """An inbox whose database does not answer."""

    def __init__(self) -> None:
        pass

    def append(self, delivery: Delivery, timeout: float = 2.0) -> str:
        raise InboxUnavailable("zoom_inbox_unavailable", "The delivery could not be stored.")


def browser(inbox: Inbox, clock: TestClock, refusals: Refusals, secrets: tuple[str, ...] = SECRETS) -> FlaskClient:
    app = Flask("test")
    errors.register(app)
    app.register_blueprint(webhook.blueprint(secrets, inbox, clock, refusals))
    return app.test_client()


@pytest.fixture
def refusals(database: Database):
    refusals = Refusals(database)
    yield refusals
    refusals.close()


@pytest.fixture
def client(database: Database, clock: TestClock, refusals: Refusals):
    inbox = Inbox(database)
    yield browser(inbox, clock, refusals)
    inbox.close()


def send(client: FlaskClient, body: bytes, now: datetime, secret: str = SECRETS[0], **headers: str):
    return client.post("/zoom/webhook", data=body, headers={**signed(body, secret, now), **headers})


def rows(database: Database) -> list:
    with database.read() as connection:
        return list(connection.execute(select(zoom_inbox).order_by(zoom_inbox.c.id)))


def test_a_signed_delivery_is_kept_and_answered_204(database: Database, client: FlaskClient, now: datetime) -> None:
    answer = send(client, JOINED, now)
    assert (answer.status_code, answer.data) == (204, b"")
    (row,) = rows(database)
    assert (row.body, row.event, row.meeting_id) == (JOINED, "meeting.participant_joined", "86400001234")
    assert (row.secret_position, row.stale, row.taken_at) == (0, False, None)
    assert set(row.headers) == {"x-zm-request-timestamp", "x-zm-signature", "x-zm-request-id", "content-type"}


def test_what_is_kept_is_enough_to_prove_the_delivery_again(
    database: Database, client: FlaskClient, now: datetime
) -> None:
    send(client, JOINED, now, SECRETS[1])
    (row,) = rows(database)
    timestamp, signature = row.headers["x-zm-request-timestamp"], row.headers["x-zm-signature"]
    assert matching_secret(SECRETS, timestamp, row.body, signature) == row.secret_position == 1
    assert row.secret_mark == secret_mark(SECRETS[1]) != secret_mark(SECRETS[0])


def test_a_copy_is_answered_204_too(database: Database, client: FlaskClient, now: datetime) -> None:
    assert [send(client, JOINED, now).status_code for _ in range(3)] == [204, 204, 204]
    assert len(rows(database)) == 1


def test_the_previous_secret_still_opens(database: Database, client: FlaskClient, now: datetime) -> None:
    assert send(client, JOINED, now, SECRETS[1]).status_code == 204
    assert rows(database)[0].secret_position == 1


def test_non_ascii_topics_and_odd_spacing_verify(database: Database, client: FlaskClient, now: datetime) -> None:
    event = json.loads(JOINED)
    event["payload"]["object"]["topic"] = "Übung für Ärztinnen 🌱"
    for body in (json.dumps(event, ensure_ascii=False, indent=3).encode(), json.dumps(event).encode()):
        assert send(client, body, now).status_code == 204


@pytest.mark.parametrize(
    "headers",
    [
        {"x-zm-signature": "v0=" + "0" * 64},
        {"x-zm-signature": "vö=\xff"},
        {"x-zm-signature": "nonsense"},
        {"x-zm-signature": ""},
        {"x-zm-request-timestamp": "1626230691"},
        {"x-zm-request-timestamp": "gëstern"},
    ],
)
def test_a_wrong_signature_is_401_and_nothing_is_kept(
    database: Database, client: FlaskClient, now: datetime, headers: dict[str, str]
) -> None:
    answer = send(client, JOINED, now, **headers)
    assert (answer.status_code, answer.json["error"]) == (401, "zoom_signature_wrong")
    assert rows(database) == []


def test_a_changed_body_is_401(database: Database, client: FlaskClient, now: datetime) -> None:
    answer = client.post("/zoom/webhook", data=JOINED + b" ", headers=signed(JOINED, SECRETS[0], now))
    assert answer.status_code == 401


@pytest.mark.parametrize("missing", ["x-zm-signature", "x-zm-request-timestamp"])
def test_a_missing_header_is_401(client: FlaskClient, now: datetime, missing: str) -> None:
    headers = {name: value for name, value in signed(JOINED, SECRETS[0], now).items() if name != missing}
    answer = client.post("/zoom/webhook", data=JOINED, headers=headers)
    assert (answer.status_code, answer.json["error"]) == (401, "zoom_signature_missing")


@pytest.mark.parametrize("stamp", ["soon", "1626230691572"])
def test_a_signed_text_that_is_no_timestamp_is_kept_as_stale(
    database: Database, client: FlaskClient, stamp: str
) -> None:
    """Zoom signed it, and after 401 Zoom would not send it again."""
    headers = {"x-zm-request-timestamp": stamp, "x-zm-signature": sign(SECRETS[0], stamp, JOINED)}
    assert client.post("/zoom/webhook", data=JOINED, headers=headers).status_code == 204
    assert rows(database)[0].stale


@pytest.mark.parametrize("minutes", [-101, 6])
def test_outside_the_replay_window_it_is_kept_as_stale(
    database: Database, client: FlaskClient, now: datetime, minutes: int
) -> None:
    assert send(client, JOINED, now + timedelta(minutes=minutes)).status_code == 204
    assert rows(database)[0].stale


def test_the_last_retry_counts_as_fresh(database: Database, client: FlaskClient, now: datetime) -> None:
    send(client, JOINED, now - timedelta(minutes=85))
    assert not rows(database)[0].stale


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b"{", b"\xff\xfe\x00", b"[]", b"[" * 200_000, b'{"event": "brand.new"}', b'{"a":' * 50_000],
)
def test_signed_nonsense_is_kept_and_answered_204(
    database: Database, client: FlaskClient, now: datetime, body: bytes
) -> None:
    assert send(client, body, now).status_code == 204
    assert rows(database)[0].body == body


def test_a_challenge_is_answered_with_the_secret_that_signed_it(
    database: Database, client: FlaskClient, now: datetime
) -> None:
    for secret in SECRETS:
        answer = send(client, CHALLENGE, now, secret)
        token = hmac.new(secret.encode(), b"qgg8vlvZRS6UYoo", sha256).hexdigest()
        assert (answer.status_code, answer.json) == (200, {"plainToken": "qgg8vlvZRS6UYoo", "encryptedToken": token})
    assert [row.event for row in rows(database)] == ["endpoint.url_validation"]


def test_an_unsigned_challenge_is_not_answered(client: FlaskClient, now: datetime) -> None:
    answer = send(client, CHALLENGE, now, "another secret")
    assert answer.status_code == 401
    assert "encryptedToken" not in answer.text


def test_ten_megabytes_are_refused_unread(database: Database, client: FlaskClient, now: datetime) -> None:
    body = b'{"event": "' + b"x" * 10_000_000 + b'"}'
    answer = send(client, body, now)
    assert (answer.status_code, answer.json["error"]) == (413, "zoom_body_too_large")
    assert rows(database) == []


def test_half_a_megabyte_is_no_reason_to_lose_an_event(client: FlaskClient, now: datetime) -> None:
    event = json.loads(JOINED)
    event["payload"]["object"]["custom"] = "x" * 500_000
    assert send(client, encode(event), now).status_code == 204


def test_without_a_secret_zoom_is_asked_to_come_again(clock: TestClock, refusals: Refusals) -> None:
    answer = send(browser(AwayInbox(), clock, refusals, ()), JOINED, clock())
    assert (answer.status_code, answer.json["error"]) == (503, "zoom_not_configured")


def test_storage_trouble_is_503(clock: TestClock, refusals: Refusals) -> None:
    answer = send(browser(AwayInbox(), clock, refusals), JOINED, clock())
    assert (answer.status_code, answer.json["error"]) == (503, "zoom_inbox_unavailable")


def test_a_database_that_does_not_answer_is_503_before_zoom_gives_up(
    database: Database, clock: TestClock, refusals: Refusals
) -> None:
    """Zoom waits three seconds (zoom.md §1). The table is held until the answer has come."""
    assert webhook.ANSWER_SECONDS < 3
    inbox = Inbox(database)
    with database.write() as connection:
        # Somebody else's transaction holds the table (on SQLite, every writer's turn).
        if not database.is_sqlite:
            connection.exec_driver_sql("LOCK TABLE zoom_inbox IN ACCESS EXCLUSIVE MODE")
        answer = send(browser(inbox, clock, refusals), JOINED, clock())
    assert answer.status_code == 503
    inbox.close()


def test_the_time_that_a_request_has_waited_counts(database: Database, clock: TestClock, refusals: Refusals) -> None:
    """For its body, or for a thread: Zoom counts from when it sent the request."""
    inbox = HurriedInbox(database)
    client = browser(inbox, clock, refusals)
    arrived = {webhook.ARRIVED_AT: time.monotonic() - 2}
    client.post("/zoom/webhook", data=JOINED, headers=signed(JOINED, SECRETS[0], clock()), environ_overrides=arrived)
    send(client, JOINED, clock())
    assert inbox.timeouts[0] <= webhook.ANSWER_SECONDS - 2 < inbox.timeouts[1] <= webhook.ANSWER_SECONDS
    inbox.close()


def test_only_post_is_served_and_the_view_is_public(client: FlaskClient) -> None:
    assert client.get("/zoom/webhook").status_code == 405
    assert client.application.view_functions["zoom.webhook"].access == "public"
