"""The inbox of a class that is under way: what Zoom told between two instants of a day, as if it had just come in."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert

from lti_tool.db import Database, insert_ignoring
from lti_tool.tables.zoom import zoom_inbox
from sandbox.zoom.training_day import TrainingDay, encode
from zoom_adapter.events import content_key, read_event

# How long after an edge its delivery comes in.
LATENCY = timedelta(seconds=1)


def rows_between(day: TrainingDay, since: datetime, until: datetime) -> list[dict[str, Any]]:
    """The rows for the edges after `since` and not after `until`."""
    events = [(encode(each), read_event(encode(each))) for each in [*day.registrations(), *day.events()]]
    return [
        {
            "dedupe_key": content_key(event, body),
            "event": event.event_type,
            "meeting_id": event.meeting_id,
            "meeting_uuid": event.meeting_uuid,
            "happened_at": event.at,
            "body": body,
            "headers": {},
            "secret_position": 0,
            "stale": False,
            "received_at": event.at + LATENCY,
        }
        for body, event in events
        if event.at and since < event.at <= until
    ]


def keep(database: Database, day: TrainingDay, since: datetime, until: datetime) -> None:
    """Put them into the inbox, as the webhook would: what is there already stays as it is."""
    with database.write() as connection:
        for row in rows_between(day, since, until):
            connection.execute(insert_ignoring(connection, zoom_inbox).values(row))


def keep_rows(database: Database, rows: list[dict[str, Any]]) -> None:
    with database.write() as connection:
        connection.execute(insert(zoom_inbox), rows)
