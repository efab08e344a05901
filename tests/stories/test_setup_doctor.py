"""The set-up doctor on genuine Open edX code: units that lack something are told of, to staff and on the command line,
until somebody mends them."""

import json
from collections.abc import Iterable

import requests

from sandbox.story import Story, expect_silence, expect_words, until

LAST_YEAR = "2025-01-01T00:00:00Z"
NOTHING_SHARED = ["module_missing", "roster_off", "email_not_shared", "name_not_shared"]


def change(story: Story, unit: str, **settings: object) -> None:
    """What somebody changes in Studio."""
    with requests.Session() as plain:
        plain.trust_env = False
        plain.post(f"{story.stage.lms_url}/sandbox/units/{unit}", json=settings, timeout=20).raise_for_status()


def examined(story: Story) -> dict[str, list[str]]:
    """Unit → codes of findings, as `gatehouse doctor` tells them."""
    output = story.stage.gatehouse("doctor", "--units", "--json", check=False)
    return {
        each["unit"].rpartition("@")[2]: [found["code"] for found in each["findings"]] for each in json.loads(output)
    }


def expect_findings(story: Story, unit: str, codes: Iterable[str]) -> None:
    """What the worker has to ask the platform for comes a moment later."""
    wanted = list(codes)
    until(f"{wanted} of {unit}, not {examined(story)}", lambda: examined(story).get(unit) == wanted)


def test_a_unit_is_examined_from_its_first_launch(story: Story) -> None:
    assert examined(story) == {}
    story.visit("maya", "module3")
    expect_findings(story, "module3", [])


def test_a_plain_unit_says_all_that_it_lacks(story: Story) -> None:
    story.visit("jomo", "bare")
    expect_findings(story, "bare", NOTHING_SHARED)


def test_a_unit_whose_grades_are_off(story: Story) -> None:
    change(story, "module2", lti_advantage_ags_mode="disabled")
    story.visit("maya", "module2")
    expect_findings(story, "module2", ["grades_off"])


def test_a_unit_that_is_due_before_its_session_is_over(story: Story) -> None:
    """The due date is read from the column that the platform made at the first launch."""
    change(story, "module1", due=LAST_YEAR, lti_1p3_enable_nrps=False, ask_to_send_email=False)
    story.visit("greta", "module1")
    expect_findings(story, "module1", ["past_due", "roster_off", "email_not_shared"])


def test_the_command_ends_with_a_failure_while_something_is_to_be_mended(story: Story) -> None:
    said = story.stage.gatehouse("doctor", "--units", check=False)
    assert "WRONG" in said
    assert "In Studio, edit the unit: Assignment and Grades: Declarative." in said
    assert "grades_off" in story.stage.gatehouse("doctor", check=False)


def test_staff_read_the_same_on_a_page_and_learners_do_not(story: Story) -> None:
    story.visit("ida", "dashboard")
    page = story.browsers["ida"].open(f"{story.stage.tool_url}/desk/setup")
    expect_words(
        page,
        "Grades (AGS) are off for this unit",
        "Assignment and Grades: Declarative",
        "The roster (NRPS) is off for this unit",
        "Names & Roles (NRPS): True",
        "No e-mail address comes with launches",
        "The unit is due before its live session ends",
        "OK",
        "This activity is graded: True",
    )
    expect_silence(page, "greta@", "Greta Halvorsen")
    story.visit("maya", "module3")
    assert story.browsers["maya"].open(page.url).status == 403


def test_what_was_mended_is_gone_after_the_next_launch(story: Story) -> None:
    change(story, "module2", lti_advantage_ags_mode="declarative")
    story.visit("maya", "module2")
    expect_findings(story, "module2", [])
