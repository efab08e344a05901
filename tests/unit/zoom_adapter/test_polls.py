"""Polls: that somebody answered and when, never what."""

import zlib
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import quote

import pytest
from sqlalchemy import select, update

from lti_tool.attendance import presence_checks
from lti_tool.db import Database
from lti_tool.http import Http
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.operations import tasks
from lti_tool.tables.presence import poll_answers
from lti_tool.tables.types import metadata
from lti_tool.tables.zoom import zoom_report_fetches, zoom_reports
from tests.training_day import FIVE, add_session, add_trainee, at
from zoom_adapter import reports
from zoom_adapter.api import ZoomApi
from zoom_adapter.reconcile import PollAnswer, PollReader, keep_answers, read_answers

UUID = "a/b+c=="
REST, TOKEN = "https://api.zoom.example.org/v2", "https://zoom.example.org/oauth/token"
REPORT = f"{REST}/report/meetings/{quote(quote(UUID, safe=''), safe='')}/polls"
SECRET_ANSWER = "I feel the sorrow of last spring"


def person(email: object, *answers: tuple[object, object]) -> dict[str, object]:
    said = {"question": "How?", "answer": SECRET_ANSWER}
    details = [{"polling_id": poll, "date_time": when, **said} for poll, when in answers]
    return {"email": email, "name": "Somebody", "question_details": details}


def zulu(minute: float) -> str:
    return at(minute).strftime("%Y-%m-%dT%H:%M:%SZ")


class TestReading:
    def test_the_first_answer_to_each_poll_is_the_one(self) -> None:
        rows = [person("Trainee1@Example.org", ("p1", zulu(12)), ("p1", zulu(10)), ("p2", zulu(30)))]
        assert read_answers(rows) == [
            PollAnswer("p1", "trainee1@example.org", at(10)),
            PollAnswer("p2", "trainee1@example.org", at(30)),
        ]

    @pytest.mark.parametrize(
        "row",
        [
            {},
            {"email": "a@example.org"},
            {"email": "a@example.org", "question_details": "none"},
            {"email": "a@example.org", "question_details": [None, 7, {"answer": "x"}]},
            person("", ("p1", zulu(1))),
            person(None, ("p1", zulu(1))),
        ],
    )
    def test_odd_rows_show_nobodys_participation(self, row) -> None:
        assert read_answers([row]) == []

    @pytest.mark.parametrize("when", [None, 5, "noon", "2022-13-09T08:11:38Z"])
    def test_an_answer_without_a_time_is_kept_without_one(self, when) -> None:
        assert read_answers([person("a@example.org", ("p1", when))]) == [PollAnswer("p1", "a@example.org", None)]


@pytest.fixture
def session_id(database: Database, published, clock) -> int:
    """A class that is over, with a settled report of its one instance."""
    clock.at = FIVE + timedelta(hours=1)
    with database.write() as connection:
        session_id = add_session(connection, published, clock())
        ended = {"ended_at": FIVE, "state": "provisional"}
        connection.execute(update(live_sessions).where(live_sessions.c.id == session_id).values(ended))
        for minute in (5, 15):
            reports.keep(connection, session_id, UUID, "report", [{"id": "x"}], FIVE + timedelta(minutes=minute))
    return session_id


@pytest.fixture
def reader(settings, database, clock, wire) -> PollReader:
    zoom = {f"zoom_{name}": name for name in ("account_id", "client_id", "client_secret")}
    with_api = replace(settings, **zoom, zoom_api_url=REST, zoom_token_url=TOKEN, allow_private_addresses=True)
    wire.post(TOKEN, json={"access_token": "t", "expires_in": 3600, "token_type": "bearer"})
    http = Http(allow_private_addresses=True, resolve=lambda _name, _port: ["203.0.113.7"])
    return PollReader(database, ZoomApi(http, with_api, clock), clock)


def run(reader: PollReader, database: Database, session_id: int) -> bool:
    """The plan, and the task it made; whether there was one."""
    reader.plan()
    with database.write() as connection:
        made = connection.execute(select(tasks).where(tasks.c.kind == "polls")).all()
        connection.execute(tasks.delete())
    for row in made:
        reader.read_due(row.payload)
    return bool(made)


def test_whoever_answered_has_participated(database, session_id, reader, wire) -> None:
    wire.get(REPORT, json={"questions": [person("trainee1@example.org", ("p1", zulu(10)))]})
    with database.write() as connection:
        trainee_id = add_trainee(connection, 1, at(0))
    assert run(reader, database, session_id)
    with database.read() as connection:
        (mine,) = presence_checks.load(connection, session_id).of(trainee_id)
        assert (mine.kind, mine.answered_at) == ("poll", at(10))
        asked = connection.scalars(select(tasks.c.kind)).all()
    assert asked == ["settle"]


def test_a_report_is_read_until_it_says_the_same_twice(database, session_id, reader, wire, clock) -> None:
    """The first answer may be empty or half: Zoom's reports grow for a while."""
    one, two = person("trainee1@example.org", ("p1", None)), person("trainee2@example.org", ("p1", zulu(12)))
    timed = person("trainee1@example.org", ("p1", zulu(10)))
    made = []
    for rows in ([], [one], [timed, two], [timed, two], [timed, two]):
        said = wire.get(REPORT, json={"questions": rows})
        made += [run(reader, database, session_id), run(reader, database, session_id)]
        wire.remove(said)
        clock.advance(hours=16)
    assert made == [True, False] * 4 + [False, False]
    with database.read() as connection:
        kept = connection.execute(select(poll_answers.c.email, poll_answers.c.answered_at).order_by("email")).all()
    assert [tuple(each) for each in kept] == [("trainee1@example.org", at(10)), ("trainee2@example.org", at(12))]


def test_a_refusal_of_hours_does_not_lose_the_polls(database, session_id, reader, wire, clock) -> None:
    """The limit of a day may last until the next, and a missing scope until staff have read of it."""
    refused = wire.get(REPORT, status=400, json={"code": 4711, "message": "does not contain scopes"})
    asked = []
    for hour in range(30):
        if run(reader, database, session_id):
            asked.append(hour)
        clock.advance(hours=1)
    assert asked == [0, 1, 3, 7, 15]
    wire.remove(refused)
    wire.get(REPORT, json={"questions": [person("trainee1@example.org", ("p1", zulu(10)))]})
    clock.advance(hours=2)
    assert run(reader, database, session_id)


def test_one_meeting_may_hold_two_classes(database, session_id, published, clock) -> None:
    answer = PollAnswer("p1", "trainee1@example.org", at(10))
    with database.write() as connection:
        evening = datetime.fromisoformat("2026-11-10T17:00")
        other = add_session(connection, published, clock(), starts=evening)
        trainee_id = add_trainee(connection, 1, at(0))
        for each in (session_id, other):
            keep_answers(connection, each, UUID, [answer], clock())
            assert [one.answered_at for one in presence_checks.load(connection, each).of(trainee_id)] == [at(10)]


def test_what_was_answered_is_nowhere(database, session_id, reader, wire) -> None:
    wire.get(REPORT, json={"questions": [person("trainee1@example.org", ("p1", zulu(10)))]})
    run(reader, database, session_id)
    with database.read() as connection:
        (stored,) = connection.execute(select(zoom_reports).where(zoom_reports.c.source == "polls")).all()
        everything = [row for table in metadata.tables.values() for row in connection.execute(select(table))]
        assert connection.execute(select(poll_answers)).first() is not None
    assert SECRET_ANSWER not in repr(everything)
    assert SECRET_ANSWER.encode() not in zlib.decompress(stored.body)


def test_a_refusal_is_on_record_and_tried_again_an_hour_later(database, session_id, reader, wire, clock) -> None:
    refused = wire.get(REPORT, status=400, json={"code": 4711, "message": "does not contain scopes"})
    assert run(reader, database, session_id)
    assert not run(reader, database, session_id)
    with database.read() as connection:
        codes = connection.scalars(select(zoom_report_fetches.c.code).where(zoom_report_fetches.c.source == "polls"))
        assert codes.all() == ["zoom_scope_missing"]
    wire.remove(refused)
    wire.get(REPORT, json={"questions": []})
    clock.advance(hours=1)
    assert run(reader, database, session_id)


def test_nothing_is_asked_before_the_participant_report_is_settled(database, session_id, reader) -> None:
    with database.write() as connection:
        connection.execute(zoom_report_fetches.update().values(settled=False))
    assert not run(reader, database, session_id)


def test_without_credentials_there_is_nothing_to_ask(database, session_id, clock) -> None:
    assert not run(PollReader(database, None, clock), database, session_id)


def test_the_same_answers_twice_are_one(database, session_id, clock) -> None:
    answer = PollAnswer("p1", "a@example.org", at(10))
    for _ in range(2):
        with database.write() as connection:
            keep_answers(connection, session_id, UUID, [answer], clock())
    with database.read() as connection:
        assert len(connection.execute(select(poll_answers)).all()) == 1
