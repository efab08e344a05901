"""A day of which messages were lost for good: Zoom's reports say who was there, in the end it is reconciled and shown.

Zoom's log of deliveries cannot be read here, so the report is the only way back.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from lti_tool.attendance.evidence import needs_review
from sandbox.stage import Stage
from sandbox.story import CAST, Story, until
from tests.postgres import Postgres
from tests.stages import SANDBOX_PYTHON

NO_LOG = {"missing_scopes": ["marketplace_app:read:admin"]}
PAGES_BREAK = {"path": "/participants", "page": 3, "status": 500, "times": 1_000_000}


@pytest.fixture(scope="module")
def story(
    backend_of_module: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    """A class of the day before yesterday: its report is due, and has stopped growing."""
    assert SANDBOX_PYTHON.exists(), "the sandbox LMS is not installed: run `make environments`"
    with Stage(
        tmp_path_factory.mktemp("stage"), SANDBOX_PYTHON, **_database(backend_of_module, request), days_ago=2
    ) as stage:
        switch(stage, **NO_LOG, most_rows=3, refusals=[PAGES_BREAK])
        story = Story(stage)
        story.gather_the_cast()
        story.play_the_day(lose=4)
        yield story


def _database(backend: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    if backend == "sqlite":
        return {}
    server: Postgres = request.getfixturevalue("postgres")
    return {"database_url": server.create("reconciliation"), "split_worker": True}


def switch(stage: Stage, **fields: Any) -> None:
    with requests.Session() as plain:
        plain.trust_env = False
        assert plain.post(f"{stage.zoom_url}/rest/switches", json=fields, timeout=(3, 20)).status_code == 200


def shown(story: Story) -> tuple[str, dict[str, dict[str, Any]]]:
    """The state of the session, and its people by address."""
    answer = story.stage.gatehouse_json("attendance", "show", str(story.stage.played_session))
    return answer["session"]["state"], {each["email"]: each for each in answer["people"]}


def reconcile(story: Story) -> dict[str, Any]:
    answer: dict[str, Any] = story.stage.gatehouse_json("zoom", "reconcile", str(story.stage.played_session))
    return answer


def asked(story: Story) -> dict[str, Any]:
    answer: dict[str, Any] = story.stage.gatehouse_json("zoom", "reports", str(story.stage.played_session))
    return answer


def test_1_lost_messages_leave_the_day_in_doubt_and_its_end_unknown(story: Story) -> None:
    """The message of the end is among the lost ones, so nothing is final and nothing follows."""
    state, people = shown(story)
    assert (state, len(people) > 4) == ("provisional", True)
    doubts = {flag for each in people.values() for flag in each["flags"]}
    assert {"estimated", "unconfirmed", "in_progress"} & doubts
    assert any(each["minutes_present"] < 390 for each in people.values())
    assert story.stage.gatehouse_json("session", "show", str(story.stage.played_session))["ended_at"] is None


def test_2_the_worker_asks_by_itself_and_half_a_report_is_none(story: Story) -> None:
    """Whatever it met on its way: here every third page breaks."""
    until("a fetch by the worker", lambda: asked(story)["fetches"])
    story.stage.gatehouse("zoom", "reconcile", str(story.stage.played_session), check=False)
    answer = asked(story)
    reports = [each for each in answer["fetches"] if each["uuid"] and each["source"] == "report"]
    assert (reports[-1]["code"], reports[-1]["rows"]) == ("zoom_unavailable", None)
    assert answer["next_at"]


def test_3_a_refusal_ends_with_one_and_says_what_staff_can_do(story: Story) -> None:
    scope = "report:read:list_meeting_participants:admin"
    switch(story.stage, missing_scopes=[*NO_LOG["missing_scopes"], scope, "meeting:read:list_past_participants:admin"])
    refused = story.stage.gatehouse("zoom", "reconcile", str(story.stage.played_session), "--json", check=False)
    assert '"code": "zoom_scope_missing"' in refused
    switch(story.stage, **NO_LOG, refusals=[], waiting=1)


def test_4_the_first_whole_report_changes_nothing_yet(story: Story) -> None:
    before = shown(story)
    answer = reconcile(story)
    assert [each["settled"] for each in answer["instances"]] == [False]
    assert answer["session"]["state"] != "reconciled"
    assert shown(story) == before


def test_5_the_second_equal_one_reconciles_the_day(story: Story) -> None:
    answer = reconcile(story)
    assert [(each["settled"], each["source"]) for each in answer["instances"]] == [(True, "report")]
    assert answer["session"]["state"] == "reconciled"
    assert story.stage.gatehouse_json("session", "show", str(story.stage.played_session))["ended_at"]
    _, people = shown(story)
    minutes = {name: people[f"{name}@example.org"]["minutes_present"] for name in ("maya", "greta", "anneke", "priya")}
    assert minutes == {"maya": 390, "greta": 390, "anneke": 390, "priya": 165}
    graded = {each["evidence"] for person in people.values() for each in person["intervals"]}
    assert {"report", "both"} & graded
    assert len(people) >= len(CAST) - 1


def test_6_everybody_sees_both_records_side_by_side(story: Story) -> None:
    answer = {each["name"]: each for each in reconcile(story)["people"] if each["trainee"]}
    maya = next(each for name, each in answer.items() if name.startswith("Maya"))
    assert maya["report_seconds"] - maya["webhook_seconds"] == maya["difference_seconds"] >= 0
    page = story.day_page("maya").words
    assert "Zoom's report" in page
    assert "390 min of 390 min" in page


def test_7_the_grade_of_the_reconciled_day_is_in_the_gradebook(story: Story) -> None:
    story.full_grade("maya", "module1")


def test_8_a_replay_of_the_inbox_gives_the_same_reconciled_day(story: Story) -> None:
    before = shown(story)
    story.stage.gatehouse("zoom", "replay")
    assert shown(story) == before
    assert before[0] == "reconciled"


def test_9_it_is_locked_when_nothing_waits_for_anybody(story: Story) -> None:
    """Somebody whom the live messages did not see at all, for one, is looked at first."""
    stage, session_id = story.stage, str(story.stage.played_session)
    in_doubt = [each for each in shown(story)[1].values() if needs_review(each["flags"])]
    stage.gatehouse("session", "lock", session_id, "--reason", "Two weeks are over.", check=False)
    assert shown(story)[0] == ("reconciled" if in_doubt else "locked")
