"""What machines ask: counts and ages, never anybody's id."""

from datetime import timedelta

from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert

from lti_tool.attendance import evidence_gaps
from lti_tool.attendance.evidence_gaps import GAPS, of_session
from lti_tool.tables.zoom import zoom_refusals
from zoom_adapter.events import read_event
from zoom_adapter.inbox import Delivery, Inbox
from zoom_adapter.presence import take_inbox


def gauges(client) -> dict[str, dict[str, float]]:
    """Name → code (empty where the gauge has none) → value."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return {
        family.name.removeprefix("gatehouse_"): {each.labels.get("code", ""): each.value for each in family.samples}
        for family in text_string_to_metric_families(answer.text)
    }


def test_an_empty_house_counts_nothing(client):
    metrics = gauges(client)
    assert (metrics["zoom_deliveries"], metrics["zoom_deliveries_sealed"]) == ({"": 0}, {"": 0})
    assert metrics["zoom_last_delivery_seconds"] == {"": -1}
    assert metrics["zoom_gaps"] == dict.fromkeys(GAPS, 0)
    assert metrics["zoom_refused_today"] == {}


def test_deliveries_seals_gaps_and_refusals_are_told(client, database, clock, now):
    inbox = Inbox(database)
    for number in range(3):
        body = b'{"event": "meeting.%d"}' % number
        inbox.append(Delivery(read_event(body), body, {}, 0, now))
    inbox.close()
    take_inbox(database, now)
    with database.write() as connection:
        evidence_gaps.record(connection, [of_session("quiet", 7, now), of_session("quiet", 8, now)], now)
        for day, count in ((now.date(), 4), (now.date() - timedelta(days=1), 9)):
            row = {"day": day, "code": "zoom_signature_wrong", "count": count, "last_at": now}
            connection.execute(insert(zoom_refusals).values(row))
    clock.at += timedelta(minutes=2)
    metrics = gauges(client)
    assert (metrics["zoom_deliveries"], metrics["zoom_deliveries_sealed"]) == ({"": 3}, {"": 3})
    assert metrics["zoom_last_delivery_seconds"] == {"": 120}
    assert {code: value for code, value in metrics["zoom_gaps"].items() if value} == {"quiet": 2}
    assert metrics["zoom_refused_today"] == {"zoom_signature_wrong": 4}
