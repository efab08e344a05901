"""Generated days laid into a database as if Zoom had told of them: scheduled, everybody known and enrolled."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, insert

from benchmarks.servers import ROOT
from lti_tool import people
from lti_tool.attendance import live_sessions
from lti_tool.db import Database
from lti_tool.gates import publication
from lti_tool.grades.ags import SCORE_SCOPE
from lti_tool.lti import registration
from lti_tool.migrations import migrate
from lti_tool.people import Profile
from lti_tool.programme import versions
from lti_tool.tables.courses import enrolments, placements
from sandbox.zoom.training_day import Event, TrainingDay, encode
from zoom_adapter.events import read_event
from zoom_adapter.inbox import Delivery, Inbox

MODULE = "F1"
ISSUER = "https://lms.example.org"
STARTS = datetime.fromisoformat("2026-12-01T09:00")
SENDERS = 16


def after(day: TrainingDay) -> datetime:
    """When the benchmarks begin: the class has just ended."""
    return day.closes_at + timedelta(minutes=20)


def furnish(database: Database, day: TrainingDay, gradebook_url: str) -> int:
    """Migrate, publish the demonstration, schedule the day and enrol everybody in a course with a column for it; the id
    of the live session."""
    now = day.opens_at - timedelta(days=10)
    migrate(database)
    with database.write() as connection:
        document = (ROOT / "config" / "demo.yaml").read_text(encoding="utf-8")
        publication.publish(connection, document, "demo.yaml", actor="cli", now=now)
        registration_id = _platform(connection, gradebook_url, now)
        _place(connection, registration_id, f"{gradebook_url}/lineitems/1", now)
        _enrol(connection, registration_id, day, now)
        return live_sessions.add(
            connection,
            versions.current(connection),
            module_id=MODULE,
            starts=STARTS,
            zoom_meeting_id=day.meeting_id,
            actor="cli",
            now=now,
        )


def deliver(database: Database, events: list[Event], now: datetime) -> None:
    """Append deliveries to the inbox, several at once."""
    inbox = Inbox(database)
    with ThreadPoolExecutor(SENDERS) as senders:
        list(senders.map(partial(_append, inbox, now), events, chunksize=100))
    inbox.close()


def _append(inbox: Inbox, now: datetime, event: Event) -> None:
    body = encode(event)
    inbox.append(Delivery(read_event(body), body, {}, 0, now), timeout=60)


def _platform(connection: Connection, url: str, now: datetime) -> int:
    new = registration.NewRegistration(
        issuer=ISSUER,
        client_id="bench",
        auth_login_url=f"{url}/auth",
        token_url=f"{url}/token",
        key_set_url=f"{url}/keys",
        profile="openedx",
    )
    return registration.add(connection, new, ["1"], actor="cli", now=now)


def _place(connection: Connection, registration_id: int, line_item_url: str, now: datetime) -> None:
    row = {
        "registration_id": registration_id,
        "deployment_id": "1",
        "resource_link_id": "unit-1",
        "content": f"module:{MODULE}",
        "context_id": "course-1",
        "context_title": "Foundations",
        "module_id": MODULE,
        "line_item_url": line_item_url,
        "ags_scopes": [SCORE_SCOPE],
        "updated_at": now,
        "launched_at": now,
    }
    connection.execute(insert(placements).values(row))


def _enrol(connection: Connection, registration_id: int, day: TrainingDay, now: datetime) -> None:
    said = {each.email: Profile(each.name, each.email) for each in day.attendees}
    known = people.add_missing(connection, ISSUER, said, now)
    rows = [
        {
            "registration_id": registration_id,
            "context_id": "course-1",
            "trainee_id": row.id,
            "user_id": email,
            "role": "trainee",
            "last_launch_at": now,
        }
        for email, row in known.items()
    ]
    connection.execute(insert(enrolments), rows)
