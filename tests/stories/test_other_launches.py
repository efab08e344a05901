"""Launches beside the main road: other units, other people, other passports; all from genuine Open edX code."""

from sandbox.story import Story, expect_words


def test_a_unit_that_shares_nothing_personal_opens_the_dashboard(story: Story) -> None:
    page = story.visit("jomo", "bare")
    assert page.status == 200
    expect_words(page, "Modules", "Retreats")


def test_one_person_in_two_client_ids_of_one_issuer_is_one_person(story: Story) -> None:
    issuers = story.stage.lms_json("registrations.json")
    assert len({each["client_id"] for each in issuers}) == 2
    assert len({each["issuer"] for each in issuers}) == 1
    story.visit("hiro", "module1")
    expect_words(story.visit("hiro", "module3"), "locked")
    explained = story.stage.gatehouse_json("gate", "explain", "--trainee", "hiro@example.org", "--module", "F3")
    assert not explained["open"]


def test_an_instructor_lands_on_the_desk_and_sees_gates_in_words(story: Story) -> None:
    assert story.visit("ida", "dashboard").url.endswith("/desk")
    page = story.browsers["ida"].open(f"{story.stage.tool_url}/desk/programme")
    expect_words(page, "Module 1, or an accepted equivalency")


def test_staff_open_a_locked_module_and_are_told_that_the_gate_was_not_applied(story: Story) -> None:
    expect_words(story.visit("ida", "module2"), "the gate was not applied")


def test_a_teaching_assistant_is_not_a_teacher(story: Story) -> None:
    story.visit("bea", "module2")
    page = story.browsers["bea"].open(f"{story.stage.tool_url}/desk")
    assert page.status == 403


def test_a_practice_unit_in_programmatic_mode_opens_and_explains_its_gate(story: Story) -> None:
    expect_words(story.visit("jomo", "programmatic"), "locked", "Module 1")


def test_a_second_course_does_not_leak_into_the_first(story: Story) -> None:
    expect_words(story.visit("maya", "advanced1"), "Advanced Workshop I")
    expect_words(story.visit("maya", "module1"), "Introduction to Ketamine-Assisted Psychotherapy")


def test_the_frame_of_a_module_may_be_held_by_the_platform_only(story: Story) -> None:
    policy = story.visit("maya", "module1").headers["Content-Security-Policy"]
    assert f"frame-ancestors {story.stage.lms_url}" in policy
    assert "script-src 'self'" in policy
