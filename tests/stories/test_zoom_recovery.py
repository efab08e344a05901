"""A day of which Zoom could not deliver every third message: its own log brings them back, and the day is whole."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from sandbox.stage import Stage
from sandbox.story import CAST, Story
from tests.stages import SANDBOX_PYTHON

pytestmark = pytest.mark.databases("sqlite")

APP_ID = "GATEHOUSE_ZOOM_APP_ID"
REPORTS_ARE_AWAY = {"path": "/participants", "status": 404, "code": 3001, "times": 1_000_000}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A class of the day before yesterday, all of which Zoom still has in its log; of reports it has none. The server
    is not told the app's id, so the log is read when somebody types it, and not by the worker before that."""
    assert SANDBOX_PYTHON.exists(), "the sandbox LMS is not installed: run `make environments`"
    stage = Stage(tmp_path_factory.mktemp("stage"), SANDBOX_PYTHON, days_ago=2)
    stage.tool.environment = {name: each for name, each in stage.environment.items() if name != APP_ID}
    with stage:
        switch(stage, "rest/switches", {"refusals": [REPORTS_ARE_AWAY]})
        story = Story(stage)
        story.gather_the_cast()
        story.play_the_day(lose=3)
        yield story


def switch(stage: Stage, path: str, body: object = None) -> None:
    with requests.Session() as plain:
        plain.trust_env = False
        assert plain.post(f"{stage.zoom_url}/{path}", json=body, timeout=(3, 20)).status_code == 200


def people_of(story: Story) -> dict[str, dict[str, Any]]:
    shown = story.stage.gatehouse_json("attendance", "show", str(story.stage.played_session))
    return {each["email"]: each for each in shown["people"]}


def test_1_what_was_lost_leaves_the_day_in_doubt(story: Story) -> None:
    people = people_of(story)
    assert len(people) >= len(CAST) - 1
    assert doubts_of(people) & {"estimated", "unconfirmed"}
    assert any(each["minutes_present"] < 390 for each in people.values())


def test_2_a_dry_run_says_what_is_missing_and_changes_nothing(story: Story) -> None:
    stage, before = story.stage, people_of(story)
    recovered = stage.gatehouse_json("zoom", "recover", "--dry-run")
    again = stage.gatehouse_json("zoom", "recover", "--dry-run")
    assert recovered == again
    assert recovered["missing"]["meeting.participant_joined"] + recovered["missing"]["meeting.participant_left"] > 10
    assert (recovered["unreadable"], recovered["dry_run"]) == (0, True)
    assert people_of(story) == before


def test_3_bodies_that_the_log_cut_short_are_counted(story: Story) -> None:
    """One try in five is cut short; the other tries of the same message are not."""
    whole_log = story.stage.gatehouse_json("zoom", "recover", "--dry-run")["missing"]
    switch(story.stage, "rest/garble-log?every=5")
    recovered = story.stage.gatehouse_json("zoom", "recover", "--dry-run")
    assert recovered["missing"] == {**whole_log, "unreadable": recovered["unreadable"]}
    assert recovered["unreadable"] > 0


def test_4_what_zoom_had_in_its_log_makes_the_day_whole(story: Story) -> None:
    stage = story.stage
    recovered = stage.gatehouse_json("zoom", "recover")
    stage.wait_for_all_work()
    people = people_of(story)
    assert not doubts_of(people) & {"estimated", "unconfirmed"}
    minutes = {name: people[f"{name}@example.org"]["minutes_present"] for name in ("maya", "greta", "anneke", "priya")}
    assert minutes == {"maya": 390, "greta": 390, "anneke": 390, "priya": 165}
    assert stage.gatehouse_json("zoom", "health")["unreadable"] == recovered["unreadable"]
    assert stage.gatehouse_json("zoom", "recover")["missing"] == {}


def test_5_the_day_says_that_part_of_it_came_from_the_log(story: Story) -> None:
    assert "webhook_log" in people_of(story)["maya@example.org"]["flags"]
    assert "read from Zoom's own log" in story.day_page("maya").words


def test_6_nothing_of_it_is_forged(story: Story) -> None:
    """The chain over the inbox holds with the rows of the log in it, and a replay gives the same day."""
    before = people_of(story)
    story.stage.gatehouse("zoom", "verify")
    story.stage.gatehouse("zoom", "replay")
    assert people_of(story) == before


def doubts_of(people: dict[str, dict[str, Any]]) -> set[str]:
    return {flag for each in people.values() for flag in each["flags"]}
