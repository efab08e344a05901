"""`Retry-After` at the wire: no service is asked again before the time that it names (lti.md FR-2)."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest
import responses
from sqlalchemy import insert, select, update

from lti_tool.context import AppContext
from lti_tool.db import Database
from lti_tool.errors import NoAnswer, PlatformRefused, RefusedLaunch
from lti_tool.grades.delivery import Deliverer
from lti_tool.grades.line_item_search import LineItemSearch
from lti_tool.grades.reconcile import Reconciler
from lti_tool.http import MAX_RETRY_AFTER, SPREAD_SHARE, retry_at, spread
from lti_tool.lti.registration import load
from lti_tool.rosters.reading import RosterReader
from lti_tool.tables.operations import tasks
from lti_tool.tables.scores import scores
from lti_tool.tasks import Worker, enqueue
from tests.clock import START, TestClock
from tests.platform import SCOPE, Platform
from tests.roster import RosterCourse, person
from tests.training_day import add_place, add_trainee
from zoom_adapter.api_errors import rate_limited

ITEM = "https://lms.example.org/lineitems/1"
ITEMS = "https://lms.example.org/lineitems"
SCORES, RESULTS = f"{ITEM}/scores", f"{ITEM}/results"
SLOW_DOWN = {"status": 429, "headers": {"Retry-After": "15"}}
A_TENTH_MORE = timedelta(seconds=15 * (1 + SPREAD_SHARE))
SCOPES = [SCOPE + each for each in ("lineitem", "result.readonly", "score")]


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("15", START + timedelta(seconds=15)),
        (" 15 ", START + timedelta(seconds=15)),
        ("Tue, 01 Dec 2026 18:00:15 GMT", START + timedelta(seconds=15)),
        ("Tue, 01 Dec 2026 10:00:15 -0800", START + timedelta(seconds=15)),
        ("2026-12-01T18:00:15Z", START + timedelta(seconds=15)),
        ("86400", START + MAX_RETRY_AFTER),
        ("Wed, 01 Dec 2027 18:00:00 GMT", START + MAX_RETRY_AFTER),
        ("Tue, 01 Dec 2026 17:59:59 GMT", None),
        ("0", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("99999999999999999999", None),
        ("٣", None),
        ("", None),
    ],
)
def test_the_header_is_read_as_seconds_or_a_date_and_capped(said: str, at: datetime | None) -> None:
    assert retry_at({"Retry-After": said}, START) == at


def test_without_the_header_nothing_is_asked_for() -> None:
    assert retry_at({}, START) is None


def test_a_thousand_that_wait_for_the_same_end_come_back_over_a_tenth_of_the_wait() -> None:
    until = START + timedelta(minutes=10)
    back = sorted(spread(until, START) for _ in range(1000))
    assert until <= back[0] < until + timedelta(seconds=20) < until + timedelta(seconds=40) < back[-1]
    assert back[-1] <= until + timedelta(minutes=1)
    assert spread(START, START) == START


@pytest.fixture
def platform(database: Database, clock: TestClock) -> Platform:
    return Platform(profile="generic").register(database, clock())


@pytest.fixture
def score_id(database: Database, platform: Platform, clock: TestClock) -> int:
    """A score that waits to be sent."""
    with database.write() as connection:
        place = add_place(
            connection, platform.registration_id, clock(), ags_scopes=SCOPES, line_items_url=ITEMS, line_item_url=None
        )
        row = {
            "placement_id": place,
            "trainee_id": add_trainee(connection, 1, clock()),
            "line_item_url": ITEM,
            "user_id": "user-1",
            "meaning": "completion",
            "desired_version": 1,
            "desired_given": 100.0,
            "desired_maximum": 100.0,
            "desired_comment": "",
            "desired_at": clock(),
            "delivered_version": 0,
            "status": "waiting",
            "attempts": 0,
            "next_attempt_at": clock(),
        }
        return connection.execute(insert(scores).values(row).returning(scores.c.id)).scalar_one()


def asked_only_when_due(
    clock: TestClock, refused: responses.BaseResponse, act: Callable[[], object], seconds: int = 15
) -> None:
    """The service refuses once; `act` asks it again neither at once nor a second before the time, but within a tenth of
    the wait after it."""
    act()
    act()
    clock.advance(seconds=seconds - 1)
    act()
    assert refused.call_count == 1
    clock.advance(seconds=1 + seconds * SPREAD_SHARE)
    act()
    assert refused.call_count == 2


def test_a_score_is_not_sent_again_before_the_platform_allows_it(
    database: Database, context: AppContext, clock: TestClock, platform: Platform, wire, score_id: int
) -> None:
    platform.serve_token(wire)
    refused = wire.post(SCORES, **SLOW_DOWN)
    asked_only_when_due(clock, refused, Deliverer(database, context.platform_api, clock).deliver_all)


def test_a_date_in_the_header_holds_for_a_score_too(
    database: Database, context: AppContext, clock: TestClock, platform: Platform, wire, score_id: int
) -> None:
    platform.serve_token(wire)
    headers = {"Retry-After": format_datetime(clock() + timedelta(seconds=40), usegmt=True)}
    refused = wire.post(SCORES, status=503, headers=headers)
    deliver = Deliverer(database, context.platform_api, clock).deliver_all
    asked_only_when_due(clock, refused, deliver, seconds=40)


def test_other_scores_of_the_platform_wait_as_well(
    database: Database, context: AppContext, clock: TestClock, platform: Platform, wire, score_id: int
) -> None:
    platform.serve_token(wire)
    refused = wire.post(SCORES, **SLOW_DOWN)
    deliverer = Deliverer(database, context.platform_api, clock)
    deliverer.deliver_all()
    with database.write() as connection:
        connection.execute(update(scores).values(next_attempt_at=clock()))
    deliverer.deliver_all()
    assert refused.call_count == 1


def test_a_token_is_not_asked_for_again_before_the_platform_allows_it(
    database: Database, context: AppContext, clock: TestClock, platform: Platform, wire, score_id: int
) -> None:
    refused = wire.post(platform.token_url, **SLOW_DOWN)
    asked_only_when_due(clock, refused, Deliverer(database, context.platform_api, clock).deliver_all)


def test_a_score_says_when_its_token_may_be_asked_for(
    database: Database, context: AppContext, clock: TestClock, platform: Platform, wire, score_id: int
) -> None:
    wire.post(platform.token_url, **SLOW_DOWN)
    Deliverer(database, context.platform_api, clock).deliver_all()
    with database.read() as connection:
        assert timedelta(seconds=15) <= connection.scalar(select(scores.c.next_attempt_at)) - clock() <= A_TENTH_MORE


def test_grade_columns_are_not_looked_for_before_the_platform_allows_it(
    database: Database, context: AppContext, clock: TestClock, platform: Platform, published, wire, score_id: int
) -> None:
    platform.serve_token(wire, scope=" ".join(SCOPES))
    refused = wire.get(ITEMS, **SLOW_DOWN)
    asked_only_when_due(clock, refused, LineItemSearch(database, context.platform_api, clock).search_all)


def test_results_are_not_read_again_before_the_platform_allows_it(
    database: Database, context: AppContext, clock: TestClock, platform: Platform, wire, score_id: int
) -> None:
    platform.serve_token(wire, scope=" ".join(SCOPES))
    refused = wire.get(RESULTS, status=503, headers={"Retry-After": "900"})
    delivered_at = clock() - timedelta(days=1) + timedelta(minutes=1)
    values = {"status": "delivered", "delivered_version": 1, "delivered_given": 100.0, "delivered_maximum": 100.0}
    with database.write() as connection:
        connection.execute(update(scores).values(**values, delivered_at=delivered_at, results_due_at=clock()))
    reconciler = Reconciler(database, context.platform_api, clock)
    asked_only_when_due(clock, refused, reconciler.read_all, seconds=900)


def test_a_roster_is_not_read_again_before_the_platform_allows_it(
    database: Database, context: AppContext, clock: TestClock, platform: Platform, wire
) -> None:
    # The usual pause after a failure is an hour at most, so that the header decides.
    reader = RosterReader(database, context.platform_api, clock, timedelta(seconds=5))
    course = RosterCourse(database, platform, clock, reader, wire)
    course.offer()
    course.serve_token()
    refused = course.answer(person(1), **SLOW_DOWN)
    asked_only_when_due(clock, refused, course.read)


def test_a_key_set_is_not_asked_for_again_before_the_platform_allows_it(
    database: Database, context: AppContext, clock: TestClock, platform: Platform, wire
) -> None:
    refused = platform.serve_keys(wire, **SLOW_DOWN)
    with database.read() as connection:
        registration = load(connection, platform.registration_id)

    def launch() -> None:
        with pytest.raises(RefusedLaunch):
            context.key_sets.key(registration, platform.kid)

    asked_only_when_due(clock, refused, launch)


def test_a_service_that_wants_a_pause_is_not_asked_by_anyone(
    database: Database, context: AppContext, clock: TestClock, platform: Platform, wire
) -> None:
    platform.serve_token(wire)
    refused = wire.post(SCORES, **SLOW_DOWN)
    answer = context.platform_api.post_score(platform.registration_id, ITEM, {})
    assert (answer.status, answer.retry_at) == (429, clock() + timedelta(seconds=15))
    with pytest.raises(PlatformRefused) as waiting:
        context.platform_api.post_score(platform.registration_id, ITEM, {})
    assert (waiting.value.code, waiting.value.retry_at) == ("asked_to_wait", answer.retry_at)
    assert refused.call_count == 1


def test_a_task_that_another_system_put_off_waits_that_long(database: Database, clock: TestClock) -> None:
    def refuse(_payload: object) -> None:
        raise rate_limited(clock() + timedelta(minutes=5))

    with database.write() as connection:
        enqueue(connection, "read", "one", {}, now=clock())
    Worker(database, {"read": refuse}, clock=clock).run_once()
    with database.read() as connection:
        assert timedelta(minutes=5) <= connection.scalar(select(tasks.c.run_at)) - clock() <= timedelta(minutes=5.5)


def test_a_task_that_met_no_such_wish_backs_off_as_ever(database: Database, clock: TestClock) -> None:
    def refuse(_payload: object) -> None:
        raise NoAnswer("no_answer", "No answer came.")

    with database.write() as connection:
        enqueue(connection, "read", "one", json.loads("{}"), now=clock())
    Worker(database, {"read": refuse}, clock=clock).run_once()
    with database.read() as connection:
        assert connection.scalar(select(tasks.c.run_at)) == clock() + timedelta(seconds=2)
