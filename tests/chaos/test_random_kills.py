"""A tool under load is killed, or told to stop, at random moments: nothing acknowledged is lost, nothing
is there twice, no result is wrong. `--kills N` says how often; without it the profile does."""

import random
import signal
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from lti_tool.attendance import queries
from lti_tool.db import Database
from lti_tool.programme.versions import Published
from lti_tool.tables.gates import completions
from lti_tool.tables.operations import tasks
from lti_tool.tables.people import identities, trainees
from lti_tool.tables.scores import scores
from lti_tool.tables.zoom import zoom_inbox
from sandbox.stage import wait_for_all_work
from tests.chaos.class_load import Classes, Steps, running_lms
from tests.conftest import FIELD_KEY, ZOOM_SECRET
from tests.profiles import present_profile
from tests.serving import Served, serving

# A tool ends after so many steps at most: few are the rule, so that it ends while it starts as well as in full work.
MOST_STEPS = 250
CLASSES_A_KILL = 5
# Minutes and completion of everybody on an undisturbed day.
RESULTS = {
    "all_day": (390, True),
    "breakouts": (390, True),
    "away_for_lunch": (390, True),
    "leaves_at_lunch": (165, False),
}


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    given: int | None = request.config.getoption("--kills")
    return present_profile().kills if given is None else given


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "told-to-stop"])
def test_a_tool_that_ends_at_random_moments_loses_doubles_and_falsifies_nothing(
    number: signal.Signals,
    kills: int,
    database: Database,
    database_url: str,
    published: Published,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    environment = {
        "GATEHOUSE_PUBLIC_URL": "https://gatehouse.example.org",
        "GATEHOUSE_SECRET_KEY": "the secret key of the tests, which is long enough",
        "GATEHOUSE_FIELD_KEYS": FIELD_KEY,
        "GATEHOUSE_DATA": str(tmp_path),
        "GATEHOUSE_DATABASE_URL": database_url,
        "GATEHOUSE_ZOOM_SECRET_TOKENS": ZOOM_SECRET,
        "GATEHOUSE_ALLOW_PRIVATE_ADDRESSES": "1",
        "GATEHOUSE_LEASE_SECONDS": "10",
    }
    options = () if database.is_sqlite else ("--processes", "2")
    chance, steps, interrupted = random.Random(f"{number} {database.is_sqlite}"), Steps(), 0
    with running_lms(steps.add) as lms:
        lms.platform.register(database, lms.gradebook.now)
        classes = Classes(ZOOM_SECRET, CLASSES_A_KILL * (kills + 1), lms, steps)
        classes.schedule(database, published)
        classes.begin()
        for _ in range(kills):
            with serving(environment, tmp_path, *options) as served:
                classes.port = served.port
                steps.wait_for_more(round(MOST_STEPS ** chance.random()))
                _end(served, number)
            interrupted += _is_work_in_hand(database)
        with serving(environment, tmp_path, *options) as served:
            classes.port = served.port
            classes.finish()
            wait_for_all_work(environment)
            assert {classes.opens(user) for user in classes.launched} == {200}
    assert number == signal.SIGKILL or interrupted == 0
    done = {"deliveries": classes.delivered, "launches": classes.launched, "scores": lms.gradebook.taken}
    for name, value in {
        "ends": kills,
        "work_in_hand": interrupted,
        **{n: len(all_) for n, all_ in done.items()},
    }.items():
        record_property(name, value)
    _assert_nothing_lost(classes, database)
    _assert_nothing_twice(classes, database)
    _assert_nothing_wrong(classes, database)


def _end(served: Served, number: signal.Signals) -> None:
    """Kill every process of the tool at once; or ask it to stop, which it does by itself."""
    if number == signal.SIGTERM:
        assert served.stop() == 0
    else:
        served.kill()


def _is_work_in_hand(database: Database) -> bool:
    """Whether a task or a score still belongs to a worker."""
    with database.read() as connection:
        return any(connection.scalar(select(func.count(each.c.lease_owner))) for each in (tasks, scores))


def _assert_nothing_lost(classes: Classes, database: Database) -> None:
    with database.read() as connection:
        kept = set(connection.scalars(select(zoom_inbox.c.body)))
        known = set(connection.scalars(select(identities.c.sub)))
    assert set(classes.delivered) <= kept
    assert set(classes.launched) <= known


def _assert_nothing_twice(classes: Classes, database: Database) -> None:
    with database.read() as connection:
        bodies = connection.scalars(select(zoom_inbox.c.body)).all()
        people = connection.scalar(select(func.count()).select_from(trainees))
        completed = Counter(connection.scalars(select(completions.c.trainee_id)))
    assert len(bodies) == len(set(bodies))
    assert people == len(classes.launched)
    assert set(completed.values()) == {1}
    told: dict[str, set[Any]] = defaultdict(set)
    for _item, user, score, _before in classes.lms.gradebook.taken:
        told[user].add((score.get("scoreGiven"), score["gradingProgress"], score["activityProgress"]))
    assert {user: results for user, results in told.items() if len(results) > 1} == {}


def _assert_nothing_wrong(classes: Classes, database: Database) -> None:
    """Each class is as it would have been without any end, and the platform shows what the tool believes it shows."""
    with database.read() as connection:
        for number in classes.begun["told"]:
            days = queries.of_session(connection, classes.sessions[number])
            found = {day.email: (day.seconds_present // 60, day.completed) for day in days}
            assert found == {f"{classes.user(number, stay)}@example.org": result for stay, result in RESULTS.items()}
        ledger = connection.execute(select(scores)).all()
        parked = connection.scalar(select(func.count()).select_from(tasks).where(tasks.c.state == "parked"))
    assert parked == 0
    shown = {user: grade.share for (_item, user), grade in classes.lms.gradebook.grades.items()}
    assert shown == {row.user_id: row.desired_given / row.desired_maximum for row in ledger}
    assert {row.status for row in ledger} == {"delivered"}
