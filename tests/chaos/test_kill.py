"""kill -9 at any point of the story loses nothing and doubles nothing."""

import random
import time
from collections import Counter
from pathlib import Path

from sandbox.stage import Stage
from sandbox.story import Story
from tests.postgres import Postgres
from tests.stages import opened_stage

KILLS = 5
DAY_SECONDS = 8


def test_killing_the_web_process_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """On SQLite: the process that is killed answers Zoom, settles and delivers."""
    with opened_stage(tmp_path) as stage:
        story = Story(stage)
        story.gather_the_cast()
        story.start_playing(speed_seconds=DAY_SECONDS)
        for pause in _pauses(1):
            time.sleep(pause)
            stage.tool.kill()
            stage.start_tool()
        story.finish_playing()
        _assert_whole(story)


def test_killing_the_worker_loses_and_doubles_nothing(tmp_path: Path, postgres: Postgres) -> None:
    """On PostgreSQL: the worker is killed while it reads the inbox, settles and delivers."""
    with opened_stage(tmp_path, postgres.create("chaos_worker")) as stage:
        story = Story(stage)
        story.gather_the_cast()
        story.start_playing(speed_seconds=DAY_SECONDS)
        for pause in _pauses(2):
            time.sleep(pause)
            stage.worker.kill()
            stage.worker.start()
        story.finish_playing()
        _assert_whole(story)


def _pauses(seed: int) -> list[float]:
    """When to kill, measured from the start before: some while the day runs, the last ones after its end."""
    chance = random.Random(seed)
    return [chance.uniform(0.2, 2.5) for _ in range(KILLS)]


def _assert_whole(story: Story) -> None:
    """Completion, credit and grades are those of an undisturbed day, each exactly once."""
    story.settlement()
    story.grade()
    story.half_day()
    stage = story.stage
    completed = Counter(row["trainee_id"] for row in stage.gatehouse_json("completions", "list"))
    assert set(completed.values()) == {1}
    for username in ("maya", "greta"):
        awards = stage.gatehouse_json("credit", "show", "--trainee", f"{username}@example.org")
        assert Counter(row["state"] for row in awards)["awarded"] == 1
    _assert_one_result_each(stage)


def _assert_one_result_each(stage: Stage) -> None:
    held = Counter((row["user_id"], row["line_item"]) for row in stage.lms_json("grades.json")["lti_results"])
    assert set(held.values()) == {1}
    assert len(held) == len(stage.gatehouse_json("grades", "ledger"))
