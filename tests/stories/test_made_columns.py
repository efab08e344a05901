"""A unit in programmatic mode on genuine Open edX code: the tool makes its line item, and the grade arrives."""

from typing import Any

import requests
from sqlalchemy import Connection, select, update

from lti_tool.db import Database
from lti_tool.settings import load_settings
from lti_tool.tables.courses import placements
from lti_tool.tables.scores import line_items, scores
from sandbox.story import Story, until

UNIT = "programmatic"


def change_unit(story: Story, **settings: Any) -> None:
    """What Studio's editor does when saved."""
    with requests.Session() as plain:
        plain.trust_env = False
        address = f"{story.stage.lms_url}/sandbox/units/{UNIT}"
        plain.post(address, json=settings, timeout=20).raise_for_status()


def database(story: Story) -> Database:
    settings = load_settings(story.stage.environment)
    return Database(settings.database_url, settings.cipher)


def column(connection: Connection) -> Any:
    """The column in use of the unit in programmatic mode."""
    ours = placements.c.resource_link_id.endswith(f"@{UNIT}")
    query = select(line_items).join(placements).where(ours, line_items.c.retired_at.is_(None))
    return connection.execute(query).first()


def results(story: Story, username: str) -> list[dict[str, Any]]:
    held = story.stage.lms_json("grades.json")["lti_results"]
    return [row for row in held if (row["username"], row["unit"]) == (username, UNIT)]


def test_1_the_first_launch_is_followed_by_a_line_item_tied_to_the_unit(story: Story) -> None:
    change_unit(story, custom_parameters=["module_id = F1"])
    story.gather_the_cast()
    story.visit("maya", UNIT)
    opened = database(story)
    try:

        def made() -> Any:
            with opened.read() as connection:
                return column(connection)

        found = until("a line item that the tool made", made)
    finally:
        opened.close()
    assert (found.origin, found.meaning, found.is_bound, found.maximum) == ("made", "completion", True, 100.0)


def test_2_a_later_launch_finds_it_and_makes_no_second_one(story: Story) -> None:
    story.visit("priya", UNIT)
    story.visit("maya", UNIT)
    story.stage.gatehouse("grades", "deliver")
    opened = database(story)
    try:
        with opened.read() as connection:
            ours = placements.c.resource_link_id.endswith(f"@{UNIT}")
            assert len(connection.execute(select(line_items).join(placements).where(ours)).all()) == 1
    finally:
        opened.close()


def test_3_the_grade_of_the_day_is_in_the_gradebook_of_that_unit(story: Story) -> None:
    story.play_the_day()
    story.full_grade("maya", UNIT)
    (result,) = results(story, "maya")
    assert result["line_item_label"].endswith("– attendance")
    assert (result["score_given"], result["score_maximum"]) == (100.0, 100.0)
    half = story.gradebook("priya", UNIT)
    assert half is not None
    assert 0 < half["value"] < half["max_value"]


def test_4_the_unit_in_declarative_mode_beside_it_has_its_own_grade(story: Story) -> None:
    story.visit("maya", "module1")
    story.full_grade("maya", "module1")


def test_5_a_score_that_falls_to_zero_is_a_grade_of_zero_and_touches_nobody_else(story: Story) -> None:
    opened = database(story)
    try:
        with opened.write() as connection:
            found = column(connection)
            users = {row["username"]: row["user_id"] for row in results(story, "priya")}
            hers = (scores.c.line_item_url == found.url) & (scores.c.user_id == users["priya"])
            withdrawn = {"desired_given": 0.0, "desired_version": scores.c.desired_version + 1, "status": "waiting"}
            assert connection.execute(update(scores).where(hers).values(**withdrawn)).rowcount == 1
    finally:
        opened.close()
    story.stage.wait_for_all_work()
    grades = {name: (story.gradebook(name, UNIT) or {}).get("value") for name in ("priya", "maya")}
    assert grades == {"priya": 0.0, "maya": 1.0}
    rows = story.stage.gatehouse_json("grades", "ledger")
    assert {row["status"] for row in rows} == {"delivered"}


def test_6_accepted_is_all_that_open_edx_lets_us_know(story: Story) -> None:
    assert {row["seen"] for row in story.stage.gatehouse_json("grades", "ledger")} == {"unread"}
    assert story.stage.gatehouse_json("grades", "reconcile", "--all")["same"] == 0
    story.visit("ida", "dashboard")
    page = story.browsers["ida"].open(f"{story.stage.tool_url}/desk/scores")
    assert "This platform does not let us see its gradebook." in page.words
