"""The inbox of a class that is under way: what Zoom told between two instants of a day, as if it had just come in."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert

from lti_tool.db import Database, insert_ignoring
from lti_tool.tables.zoom import zoom_inbox
from sandbox.zoom.training_day import TrainingDay, encode
from zoom_adapter.events import content_key, read_notice

# How long after an edge its delivery comes in.
LATENCY = timedelta(seconds=1)


def rows_between(day: TrainingDay, since: datetime, until: datetime) -> list[dict[str, Any]]:
    """The rows for the edges after `since` and not after `until`."""
    notices = [(encode(each), read_notice(encode(each))) for each in [*day.registrations(), *day.events()]]
    return [
        {
            "dedupe_key": content_key(notice, body),
            "event": notice.event,
            "meeting_id": notice.meeting_id,
            "meeting_uuid": notice.meeting_uuid,
            "happened_at": notice.at,
            "body": body,
            "headers": {},
            "secret_position": 0,
            "stale": False,
            "received_at": notice.at + LATENCY,
        }
        for body, notice in notices
        if notice.at and since < notice.at <= until
    ]


def keep(database: Database, day: TrainingDay, since: datetime, until: datetime) -> None:
    """Put them into the inbox, as the webhook would: what is there already stays as it is."""
    with database.write() as connection:
        for row in rows_between(day, since, until):
            connection.execute(insert_ignoring(connection, zoom_inbox).values(row))


def keep_rows(database: Database, rows: list[dict[str, Any]]) -> None:
    with database.write() as connection:
        connection.execute(insert(zoom_inbox), rows)
