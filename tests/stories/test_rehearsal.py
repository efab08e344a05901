"""Another policy is tried on a day that was taught: who would gain and lose is said, and nothing changes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.stage import Stage
from sandbox.story import CAST, Story
from tests.stages import opened_stage

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with opened_stage(tmp_path_factory.mktemp("stage")) as stage:
        story = Story(stage)
        story.gather_the_cast()
        story.play_the_day()
        yield story


def shown(stage: Stage) -> dict[str, Any]:
    return stage.gatehouse_json("attendance", "show", str(stage.played_session))


def rehearsed(stage: Stage, folder: Path, policy: str) -> dict[str, tuple[str, str]]:
    """By address: what would come out otherwise, and how."""
    file = folder / "policy.yaml"
    file.write_text(policy, encoding="utf-8")
    output = stage.gatehouse_json(
        "attendance", "rehearse", "--policy", str(file), "--session", str(stage.played_session)
    )
    emails = {each["trainee"]: each["email"] for each in shown(stage)["people"]}
    return {emails[each["trainee"]]: (each["about"], each["outcome"]) for each in output[0]["differences"]}


def test_who_would_gain_and_who_would_lose_is_said_and_nothing_changes(story: Story, tmp_path: Path) -> None:
    stage = story.stage
    before = shown(stage)
    assert len(before["people"]) >= len(CAST) - 1
    gentle = rehearsed(stage, tmp_path, "completion: {share: 0.40}")
    assert gentle["priya@example.org"] == ("completion", "gains")
    assert {outcome for _, outcome in gentle.values()} == {"gains"}
    strict = rehearsed(stage, tmp_path, "completion: {share: 0.95}")
    assert strict["lucia@example.org"] == ("completion", "loses")
    assert "maya@example.org" not in strict
    assert shown(stage) == before
