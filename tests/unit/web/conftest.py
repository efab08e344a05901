"""A training day with invented people, and a browser for each of them."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import select

from lti_tool.attendance import live_sessions
from lti_tool.attendance.settlement import settle
from lti_tool.db import Database
from lti_tool.gates import equivalency
from lti_tool.grades.outcomes import follow_attendance
from lti_tool.programme.versions import Published
from lti_tool.tables.platforms import registrations
from lti_tool.tables.programme import programme_versions
from lti_tool.web.session import COOKIE
from tests.browser_session import start
from tests.kept import KeptRows, rows_of
from tests.training_day import (
    FIVE,
    WHOLE_DAY,
    add_licence,
    add_place,
    add_platform,
    add_session,
    add_trainee,
    enrol,
    present,
    stay,
)
from tests.unit.web.browser import Browser

JOIN_URL = "https://zoom.example.org/j/85300001234"
NEXT_JOIN_URL = "https://zoom.example.org/j/next"
SECOND_JOIN_URL = "https://zoom.example.org/j/module-2"


@dataclass(frozen=True)
class TrainingDay:
    """Ids of what happened: `whole` was there all day with a licence, `half` for half of it, `elsewhere` trained with
    somebody else and waits, `new` did nothing yet, `staff` teaches. `day` is over, `next_day` is to come."""

    whole: int
    half: int
    elsewhere: int
    new: int
    staff: int
    day: int
    next_day: int
    second_module: int
    platform: int
    place: int


@pytest.fixture
def happened(database: Database, published: Published, now: datetime) -> TrainingDay:
    """It happens once for all tests that have the same programme, and is then put into each one's database."""
    with database.read() as connection:
        digest = connection.execute(select(programme_versions.c.digest)).scalar_one()
    if digest in _happened:
        day, rows = _happened[digest]
        with database.write() as connection:
            rows.put(connection)
        return day
    with database.read() as connection:
        before = rows_of(connection)
    assert not before[registrations], "a day is kept with the numbers of an empty database"
    day = happen(database, published, now)
    with database.read() as connection:
        _happened[digest] = day, KeptRows(before, rows_of(connection))
    return day


_happened: dict[str, tuple[TrainingDay, KeptRows]] = {}


def happen(database: Database, published: Published, now: datetime) -> TrainingDay:
    with database.write() as connection:
        platform = add_platform(connection, now)
        place = add_place(connection, platform, now)
        whole, half, elsewhere, new, staff = (
            add_trainee(connection, number, now - timedelta(days=3)) for number in range(1, 6)
        )
        for each in (whole, half, elsewhere, new):
            enrol(connection, platform, each, now)
        add_licence(connection, whole, now - timedelta(days=30))
        add = partial(live_sessions.add, connection, published, actor="cli", now=now)
        day = add_session(connection, published, now - timedelta(days=30), join_url=JOIN_URL)
        next_day = add(module_id="F1", starts=date(2026, 12, 15), zoom_meeting_id="85300000002", join_url=NEXT_JOIN_URL)
        second = add(module_id="F2", starts=date(2026, 12, 16), zoom_meeting_id="85300000003", join_url=SECOND_JOIN_URL)
        request_elsewhere(connection, published, elsewhere, now - timedelta(days=2))
    people = [
        present(whole, *WHOLE_DAY),
        present(half, stay(14, 60), stay(72.5, 200)),
        present(None, stay(0, 100), key="email:guest@example.org", display_name="A guest", email="guest@example.org"),
    ]
    settle(database, day, people, FIVE, now, partial(follow_attendance, now=now))
    return TrainingDay(whole, half, elsewhere, new, staff, day, next_day, second, platform, place)


def request_elsewhere(connection, published: Published, trainee_id: int, at: datetime, provider: str = "prati") -> int:
    return equivalency.submit(
        connection,
        published.programme,
        trainee_id=trainee_id,
        target="F1",
        provider_id=provider,
        course_title="Introduction to KAP",
        evidence_note="A certificate of May 2025",
        completed_on=date(2025, 5, 3),
        as_full_review=True,
        actor=f"trainee:{trainee_id}",
        now=at,
    )


@pytest.fixture
def browse(app: Flask, database: Database, happened: TrainingDay, now: datetime) -> Callable[..., Browser]:
    """A browser with a session of its own for a person; staff where the person is."""

    def browser(trainee_id: int, at: datetime = now, granted: Collection[str] | None = None) -> Browser:
        role = "staff" if trainee_id == happened.staff else "trainee"
        with database.write() as connection:
            token = start(
                connection,
                trainee_id=trainee_id,
                registration_id=happened.platform,
                context_id="course-1",
                placement_id=happened.place,
                role=role,
                granted=granted,
                now=at,
            )
        client = app.test_client()
        client.set_cookie(COOKIE, token, domain="localhost", secure=True)
        return Browser(client)

    return browser
