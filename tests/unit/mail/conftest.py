"""A course with people, a mail server that takes their messages, and the worker that sends them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date

import pytest

from lti_tool.attendance import live_sessions
from lti_tool.context import build_context
from lti_tool.db import Database
from lti_tool.programme.versions import Published
from lti_tool.settings import SmtpServer
from lti_tool.worker import build_worker
from tests.mail_server import HOST, Mailbox, free_port, listening
from tests.training_day import add_place, add_platform, add_trainee, enrol

FROM = "training@polaris.example.org"
ONE, TWO, STAFF, STRANGER = (f"trainee{number}@example.org" for number in (1, 2, 8, 9))


@dataclass(frozen=True)
class Course:
    """Ids: two trainees and one teacher of a course with a unit of Module 1; `stranger` is in no course."""

    one: int
    two: int
    staff: int
    stranger: int


@pytest.fixture
def course(database: Database, published: Published, now) -> Course:
    with database.write() as connection:
        platform = add_platform(connection, now)
        add_place(connection, platform, now, confirmed_at=now, confirmed_by="cli")
        one, two, staff, stranger = (add_trainee(connection, number, now) for number in (1, 2, 8, 9))
        enrol(connection, platform, one, now)
        enrol(connection, platform, two, now)
        enrol(connection, platform, staff, now, role="staff")
    return Course(one, two, staff, stranger)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def mail_settings(settings, port: int):
    return replace(settings, smtp_url=SmtpServer(HOST, port, None, None, is_smtps=False), mail_from=FROM)


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def server(mailbox: Mailbox, port: int) -> Iterator[Mailbox]:
    with listening(mailbox, port):
        yield mailbox


@pytest.fixture
def work(mail_settings, database: Database, clock) -> Callable[[], object]:
    """Let the worker do everything that is due now."""
    return build_worker(build_context(mail_settings, clock, database=database)).run_once


@pytest.fixture
def schedule(database: Database, published: Published, clock) -> Callable[..., int]:
    def add(day: date = date(2026, 12, 15), **given) -> int:
        values = {"module_id": "F1", "starts": day, "zoom_meeting_id": "85300000002", "actor": "cli", **given}
        with database.write() as connection:
            return live_sessions.add(connection, published, now=clock(), **values)

    return add
