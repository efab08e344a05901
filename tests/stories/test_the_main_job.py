"""The whole main job on genuine Open edX code, in order: each test goes on from the one before."""

import re

from sandbox.story import Story


def test_1_a_locked_module_explains_itself(story: Story) -> None:
    story.locked_module()


def test_2_module_1_shows_agenda_join_link_and_that_it_is_live(story: Story) -> None:
    story.open_module()


def test_3_every_delivery_of_a_training_day_is_taken(story: Story) -> None:
    story.training_day()


def test_4_attendance_becomes_completion_and_credit(story: Story) -> None:
    story.settlement()


def test_5_the_grade_is_in_the_gradebook_of_open_edx(story: Story) -> None:
    story.grade()


def test_6_module_2_opens_without_a_new_login(story: Story) -> None:
    story.next_module()


def test_7_prati_opens_module_2_and_nothing_else_and_maps_is_refused(story: Story) -> None:
    story.equivalencies()


def test_8_half_a_day_completes_nothing_and_says_what_is_missing(story: Story) -> None:
    story.half_day()


def test_9_retreats_keep_their_own_rules(story: Story) -> None:
    story.retreats()


def test_a_replay_of_the_inbox_changes_nothing(story: Story) -> None:
    stage = story.stage
    before = stage.gatehouse_json("attendance", "show", str(stage.played_session))
    stage.gatehouse("zoom", "replay")
    stage.gatehouse("session", "settle", str(stage.played_session))
    assert stage.gatehouse_json("attendance", "show", str(stage.played_session)) == before


def test_somebody_unknown_to_the_course_is_on_the_unmatched_list(story: Story) -> None:
    shown = story.stage.gatehouse_json("attendance", "show", str(story.stage.played_session))
    assert [each["minutes_present"] for each in shown["unmatched"]] == [390.0]
    story.visit("ida", "dashboard")
    page = story.browsers["ida"].open(f"{story.stage.tool_url}/desk/unmatched")
    assert "390 min" in page.words


def test_the_calendar_of_a_trainee_keeps_the_link_of_a_locked_module_to_itself(story: Story) -> None:
    story.visit("priya", "dashboard")
    browser = story.browsers["priya"]
    page = browser.open(f"{story.stage.tool_url}/calendar")
    page = browser.submit(page, page.form("/calendar"))
    token = re.search(r"/calendar/([\w-]+)\.ics", page.html)
    assert token
    feed = story.browsers["priya"].open(f"{story.stage.tool_url}/calendar/{token[1]}.ics").html
    assert "BEGIN:VEVENT" in feed
    assert "/join/864" not in feed.replace("\r\n ", ""), "no link of Zoom's"
    assert "/modules/F2/join" not in feed.replace("\r\n ", "")


def test_no_log_line_names_anybody(story: Story) -> None:
    """Runs last: by now the logs of tool and worker hold everything the story did."""
    stage = story.stage
    logged = "".join(actor.log.read_text() for actor in (stage.tool, stage.worker) if actor.log.exists())
    assert logged
    secrets = [each[field] for each in stage.lms_json("state.json")["people"] for field in ("name", "email")]
    secrets += ["@example.org", "eyJ", "PSY-10001", "sleep apnea", stage.zoom_secret]
    assert [secret for secret in secrets if secret in logged] == []
