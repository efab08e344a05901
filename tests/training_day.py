"""A training day for tests: a live session of the demonstration's programme, invented people, their presence, and a
course that they are enrolled in. Minutes count from 9:00 am of the day."""

from datetime import UTC, date, datetime, timedelta
from functools import partial

from sqlalchemy import Connection, insert

from lti_tool import people
from lti_tool.attendance import live_sessions
from lti_tool.attendance.evidence import PersonPresence, PresenceInterval
from lti_tool.attendance.settlement import SettleResult, settle
from lti_tool.credit import licences
from lti_tool.db import Database
from lti_tool.grades.ags import SCORE_SCOPE
from lti_tool.grades.outcomes import follow_attendance
from lti_tool.programme.versions import Published
from lti_tool.tables.courses import enrolments, placements
from lti_tool.tables.platforms import registrations

MODULE = "F1"
DAY = date(2026, 11, 10)
NINE = datetime(2026, 11, 10, 17, 0, tzinfo=UTC)
FIVE = NINE + timedelta(hours=8)
MEETING = "85300001234"


def at(minutes: float) -> datetime:
    return NINE + timedelta(minutes=minutes)


def add_session(connection: Connection, published: Published, now: datetime, **given) -> int:
    starts = datetime.fromisoformat("2026-11-10T09:00")
    values = {"module_id": MODULE, "starts": starts, "zoom_meeting_id": MEETING, **given}
    return live_sessions.add(connection, published, actor="cli", now=now, **values)


def add_trainee(connection: Connection, number: int, now: datetime) -> int:
    email = f"trainee{number}@example.org"
    return people.find_or_add(
        connection, "https://lms.example.org", f"user-{number}", name=f"Trainee {number}", email=email, now=now
    )


def add_licence(connection: Connection, trainee_id: int, now: datetime, **given) -> int:
    values = {
        "type": "LMFT",
        "jurisdiction": "CA",
        "number": "MFT 12345",
        "name_on_licence": "Trainee One",
        "issued_on": date(2020, 1, 1),
        "expires_on": date(2027, 12, 31),
        **given,
    }
    return licences.record_licence(connection, trainee_id, actor="cli", now=now, **values)


def add_platform(connection: Connection, now: datetime, profile: str = "openedx", **given) -> int:
    row = {
        "issuer": "https://lms.example.org",
        "client_id": f"client-{profile}",
        "auth_login_url": "https://lms.example.org/auth",
        "token_url": "https://lms.example.org/token",
        "key_set_url": "https://lms.example.org/keys",
        "profile": profile,
        "status": "active",
        "came_by": "command",
        "service_origins": [],
        "created_at": now,
        **given,
    }
    return connection.execute(insert(registrations).values(row).returning(registrations.c.id)).scalar_one()


def add_place(connection: Connection, registration_id: int, now: datetime, **given) -> int:
    """A unit of a course that shows the module, with its line item."""
    row = {
        "registration_id": registration_id,
        "deployment_id": "1",
        "resource_link_id": "unit-1",
        "content": f"module:{MODULE}",
        "context_id": "course-1",
        "context_title": "Foundations",
        "module_id": MODULE,
        "line_item_url": "https://lms.example.org/lineitems/1",
        "ags_scopes": [SCORE_SCOPE],
        "updated_at": now,
        "launched_at": now,
        **given,
    }
    return connection.execute(insert(placements).values(row).returning(placements.c.id)).scalar_one()


def enrol(connection: Connection, registration_id: int, trainee_id: int, now: datetime, **given) -> None:
    row = {
        "registration_id": registration_id,
        "context_id": "course-1",
        "trainee_id": trainee_id,
        "user_id": f"user-{trainee_id}",
        "role": "trainee",
        "last_launch_at": now,
        **given,
    }
    connection.execute(insert(enrolments).values(row))


def stay(start: float, end: float, evidence: str = "webhook", *, counts: bool = True, source: str = "connection:a"):
    return PresenceInterval(at(start), at(end), evidence, counts, source)


WHOLE_DAY = (stay(-5, 485),)
HALF_A_DAY = (stay(0, 180),)


def present(trainee_id: int | None, *stays: PresenceInterval, key: str | None = None, **given) -> PersonPresence:
    values = {
        "person_key": key or f"trainee:{trainee_id}",
        "trainee_id": trainee_id,
        "display_name": "Trainee in Zoom",
        "email": None,
        "registrant_id": None,
        "flags": (),
        **given,
    }
    former = (f"registrant:{values['registrant_id']}", f"email:{values['email']}", *(each.source for each in stays))
    return PersonPresence(intervals=tuple(stays), former_keys=former, **values)


class OnePerson:
    """One session of Module 1 and one person, who is settled again and again."""

    def __init__(self, database: Database, connection: Connection, published: Published, now: datetime) -> None:
        self.database, self.now = database, now
        self.session_id = add_session(connection, published, now)
        self.trainee_id = add_trainee(connection, 1, now)

    def settle(
        self, *stays: PresenceInterval, session_id: int | None = None, ended_at: datetime | None = FIVE
    ) -> SettleResult:
        people = [present(self.trainee_id, *stays)] if stays else []
        after = partial(follow_attendance, now=self.now)
        return settle(self.database, session_id or self.session_id, people, ended_at, self.now, after)
