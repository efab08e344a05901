"""What services answered last: written seldom, kept without a body."""

from datetime import datetime

from sqlalchemy import text

from lti_tool.db import Database
from lti_tool.lti.service_log import AnswerBook, ServiceAnswer, of_registration, record, subject_digest
from tests.clock import TestClock
from tests.platform import Platform
from tests.statements import listening

URL = "https://lms.example.org/members"


def note(database: Database, platform: Platform, status: int, code: str, now: datetime, subject: str = URL) -> None:
    with database.write() as connection:
        record(connection, platform.registration_id, "roster", subject, status, code, now)


def answers(database: Database, platform: Platform) -> list[ServiceAnswer]:
    with database.read() as connection:
        return of_registration(connection, platform.registration_id)


def test_the_last_answer_of_each_subject_is_kept(database: Database, clock: TestClock, platform: Platform) -> None:
    now = clock()
    note(database, platform, 200, "", now)
    note(database, platform, 200, "", now, subject="")
    refused_at = clock.advance(seconds=1)
    note(database, platform, 403, "roster_refused", refused_at)
    assert answers(database, platform) == [
        ServiceAnswer("roster", "", 200, "", now, well_at=now),
        ServiceAnswer("roster", subject_digest(URL), 403, "roster_refused", refused_at, well_at=now),
    ]


def test_the_same_answer_is_written_again_a_minute_later(
    database: Database, clock: TestClock, platform: Platform
) -> None:
    first = clock()
    note(database, platform, 200, "", first)
    note(database, platform, 200, "", clock.advance(seconds=59))
    assert [each.answered_at for each in answers(database, platform)] == [first]
    note(database, platform, 200, "", clock.advance(seconds=1))
    assert [each.answered_at for each in answers(database, platform)] == [clock()]


def test_what_could_not_be_written_is_written_the_next_time(
    database: Database, clock: TestClock, platform: Platform
) -> None:
    book = AnswerBook(database, clock)
    for name, other in (("service_answers", "away"), ("away", "service_answers")):
        with database.write() as connection:
            connection.execute(text(f"ALTER TABLE {name} RENAME TO {other}"))
        book.note(platform.registration_id, "scores", URL, 200, "")
    assert [each.service for each in answers(database, platform)] == ["scores"]


def test_an_address_is_not_kept(database: Database, clock: TestClock, platform: Platform) -> None:
    note(database, platform, 200, "", clock())
    assert "lms.example.org" not in repr(answers(database, platform))


def test_a_process_that_has_just_written_does_not_even_look(
    database: Database, clock: TestClock, platform: Platform
) -> None:
    book = AnswerBook(database, clock)
    with listening(database) as statements:
        book.note(platform.registration_id, "scores", URL, 200, "")
        assert any("INSERT" in each for each, _ in statements)
        statements.clear()
        for _ in range(50):
            book.note(platform.registration_id, "scores", URL, 200, "")
        assert statements == []
    book.note(platform.registration_id, "scores", URL, 409, "service_refused")
    assert [(each.status, each.is_well) for each in answers(database, platform)] == [(409, False)]
