"""The whole road of somebody who never launched: in class on Zoom, unmatched; listed by the course's roster; matched,
settled, credited, and scored in the gradebook."""

import json

import pytest
from sqlalchemy import select

from lti_tool import people
from lti_tool.attendance import live_sessions, queries
from lti_tool.grades import scores
from lti_tool.rosters import queries as rosters
from lti_tool.tables.courses import enrolments, roster_members
from lti_tool.tables.gates import completions
from lti_tool.tables.people import trainees
from lti_tool.worker import build_worker
from sandbox.zoom.training_day import Attendee, TrainingDay, encode
from tests.platform import MEMBERSHIP, Platform
from tests.roster import MEMBERS_URL, person
from tests.training_day import FIVE, MEETING, NINE, add_licence, add_place, add_session, add_trainee
from zoom_adapter.events import read_event
from zoom_adapter.inbox import Delivery, Inbox

ROSTER_SCOPE = "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"
SCORE_SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope/score"


@pytest.fixture
def platform(database, now):
    return Platform().register(database, now)


@pytest.fixture
def session_id(database, published, now):
    with database.write() as connection:
        return add_session(connection, published, now)


@pytest.fixture
def worker(context):
    return build_worker(context)


@pytest.fixture(autouse=True)
def _after_class(clock, session_id):
    clock.at = FIVE
    clock.advance(hours=1)


def play(database, clock, *emails):
    """These people were in the class all day; some joined by a registration, all with their address."""
    cast = [Attendee("Somebody", email, f"r-{number}") for number, email in enumerate(emails)]
    day = TrainingDay(MEETING, NINE, FIVE, tuple(cast))
    inbox = Inbox(database)
    for event in day.registrations() + day.events():
        inbox.append(Delivery(read_event(encode(event)), encode(event), {}, 0, clock()))
    inbox.close()


def offer_roster(database, platform, wire, clock, *listed):
    platform.serve_token(wire, scope=f"{ROSTER_SCOPE} {SCORE_SCOPE}")
    wire.get(MEMBERS_URL, json={"members": list(listed)})
    with database.write() as connection:
        line_item = {"line_item_url": platform.line_item_url}
        add_place(connection, platform.registration_id, clock(), memberships_url=MEMBERS_URL, **line_item)


def work(worker, clock):
    """A minute of the worker's life, in steps of the longest span of a periodic job."""
    for _ in range(6):
        worker.run_once()
        clock.advance(seconds=10)


def attended(database, session_id):
    with database.read() as connection:
        return [(each.trainee_id, each.email, each.completed) for each in queries.of_session(connection, session_id)]


def test_who_never_launched_is_matched_settled_credited_and_scored_once_the_roster_names_them(
    database, platform, wire, worker, clock, session_id
):
    play(database, clock, "trainee1@example.org")
    work(worker, clock)
    assert attended(database, session_id) == [(None, "trainee1@example.org", True)]
    offer_roster(database, platform, wire, clock, person(1))
    scored = wire.post(f"{platform.line_item_url}/scores", status=201, json={})
    work(worker, clock)
    with database.read() as connection:
        (trainee_id,) = people.with_email(connection, "trainee1@example.org")
        assert connection.scalar(select(enrolments.c.last_launch_at)) is None
        assert list(connection.scalars(select(completions.c.trainee_id))) == [trainee_id]
        (score,) = scores.rows(connection)
    assert attended(database, session_id) == [(trainee_id, "trainee1@example.org", True)]
    assert (score.status, score.user_id, score.delivered_given) == ("delivered", "user-1", 100.0)
    assert b'"userId": "user-1"' in scored.calls[0].request.body
    with database.write() as connection:
        add_licence(connection, trainee_id, clock())
    work(worker, clock)
    assert b"6.5 credits (APA)" in scored.calls[-1].request.body


def test_who_was_matched_before_is_scored_once_a_roster_lists_them_however_slowly_it_is_read(
    database, platform, wire, worker, clock, session_id
):
    with database.write() as connection:
        add_trainee(connection, 1, clock())
    play(database, clock, "trainee1@example.org")
    work(worker, clock)
    offer_roster(database, platform, wire, clock)
    scored = wire.post(f"{platform.line_item_url}/scores", status=201, json={})

    def slowly(_request):
        clock.advance(minutes=5)
        return 200, {}, json.dumps({"members": [person(1)]})

    wire.remove("GET", MEMBERS_URL)
    wire.add_callback("GET", MEMBERS_URL, callback=slowly)
    work(worker, clock)
    assert b'"userId": "user-1"' in scored.calls[0].request.body


def test_mentors_and_managers_of_the_course_are_neither_scored_nor_missing_whether_they_attend_or_not(
    database, platform, wire, worker, clock, session_id
):
    play(database, clock, *(f"trainee{number}@example.org" for number in (1, 2, 3)))
    mentor, manager = MEMBERSHIP + "Mentor", MEMBERSHIP + "Manager"
    attending = (person(1), person(2, mentor), person(3, manager))
    absent = (person(4, mentor), person(5, manager), person(6))
    offer_roster(database, platform, wire, clock, *attending, *absent)
    scored = wire.post(f"{platform.line_item_url}/scores", status=201, json={})
    work(worker, clock)
    assert [email for _, email, _ in attended(database, session_id)] == [each["email"] for each in attending]
    assert {json.loads(call.request.body)["userId"] for call in scored.calls} == {"user-1"}
    with database.read() as connection:
        assert [each.user_id for each in scores.rows(connection)] == ["user-1"]
        session = live_sessions.show(connection, session_id)
        (course,) = rosters.of_session(connection, session, (), clock())
        missing = [row.user_id for row in connection.execute(course.missing)]
        done = connection.execute(course.done).all()
    assert (course.listed, missing, done) == (2, ["user-6"], [])


def test_an_address_that_two_members_have_matches_neither(database, platform, wire, worker, clock, session_id):
    play(database, clock, "shared@example.org")
    offer_roster(
        database, platform, wire, clock, person(1, email="shared@example.org"), person(2, email="Shared@example.org")
    )
    work(worker, clock)
    assert attended(database, session_id) == [(None, "shared@example.org", True)]
    with database.read() as connection:
        assert len(people.with_email(connection, "shared@example.org")) == 2


def test_a_roster_without_addresses_matches_nobody_by_name(database, platform, wire, worker, clock, session_id):
    play(database, clock, "trainee1@example.org")
    offer_roster(database, platform, wire, clock, person(1, name="Somebody", email=None))
    work(worker, clock)
    assert attended(database, session_id) == [(None, "trainee1@example.org", True)]
    with database.read() as connection:
        assert list(connection.scalars(select(trainees.c.name))) == ["Somebody"]


def test_who_leaves_the_roster_keeps_attendance_completion_and_score(
    database, platform, wire, worker, clock, session_id
):
    play(database, clock, "trainee1@example.org")
    offer_roster(database, platform, wire, clock, person(1))
    wire.post(f"{platform.line_item_url}/scores", status=201, json={})
    work(worker, clock)
    before = attended(database, session_id)
    wire.replace("GET", MEMBERS_URL, json={"members": []})
    for _ in range(2):
        clock.advance(hours=7)
        work(worker, clock)
    assert attended(database, session_id) == before
    with database.read() as connection:
        assert connection.scalar(select(roster_members.c.left_at)) is not None
        assert [row.status for row in scores.rows(connection)] == ["delivered"]
        assert connection.scalar(select(completions.c.ended_at)) is None
