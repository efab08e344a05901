"""Zoom's log read leniently: every event once, whatever is wrong with a row."""

import json

import pytest

from sandbox.zoom.training_day import encode
from tests.zoom_day import people_of, whole_day
from zoom_adapter.events import content_key, read_event, read_log

BODIES = [encode(event) for event in whole_day(*people_of("late")).events()]


def row(body: object, **given: object) -> dict[str, object]:
    return {"event": "meeting.participant_joined", "status": 204, "request_body": body, "request_id": "rq-1", **given}


def test_each_event_is_there_once_however_often_it_was_tried() -> None:
    reading = read_log([row(body.decode(), retry_num=attempt) for attempt in range(4) for body in BODIES])
    assert (reading.rows, len(reading.events), reading.unreadable) == (4 * len(BODIES), len(BODIES), 0)
    assert [each.body for each in reading.events.values()] == BODIES


def test_an_event_has_the_key_that_its_delivery_had() -> None:
    reading = read_log([row(json.dumps(json.loads(BODIES[1]), indent=1))])
    assert list(reading.events) == [content_key(read_event(BODIES[1]), BODIES[1])]


@pytest.mark.parametrize(
    "body", ['{"event":"meeting.created","payload":{"account_id":"a","event_ts":1}', "{", "null", "\ud800", "\0", "[]"]
)
def test_a_body_that_is_no_object_is_kept_as_it_came_and_counted(body: str) -> None:
    reading = read_log([row(body), row(body)])
    (kept,) = reading.events.values()
    assert kept.body == body.encode("utf-8", "surrogatepass")
    assert (reading.unreadable, kept.event.event_type, kept.event.at) == (1, "", None)


@pytest.mark.parametrize("body", [None, "", " ", "N/A", 7, {"event": "meeting.started"}])
def test_a_row_without_a_body_is_counted_and_gives_nothing(body: object) -> None:
    reading = read_log([row(body), {}])
    assert (reading.rows, reading.without_body, len(reading.events)) == (2, 2, 0)


def test_a_challenge_is_no_evidence() -> None:
    challenge = {"event": "endpoint.url_validation", "payload": {"plainToken": "t"}}
    assert read_log([row(json.dumps(challenge)), row("{", event="endpoint.url_validation")]).events == {}


@pytest.mark.parametrize("identifier", [None, 7, [], "x" * 1000])
def test_an_odd_request_id_does_not_matter(identifier: object) -> None:
    (kept,) = read_log([row(BODIES[0].decode(), request_id=identifier)]).events.values()
    assert len(kept.request_id) <= 200
