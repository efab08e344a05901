"""The roster of a course, read from genuine Open edX code: who never launched is known, and a roster that is switched
off says so."""

import requests

from sandbox.story import Story, expect_words, until

COURSE = "course-v1:Polaris+KAP101+2026"


def roster_of(story: Story, course: str = COURSE) -> dict | None:
    """What the tool says of this course's roster, once it has been read or refused."""
    rows = [each for each in story.stage.gatehouse_json("roster", "list") if each["course"] == course]
    return next((each for each in rows if each["read_at"] or each["code"]), None)


def people_of(story: Story, row: dict) -> dict[str, dict]:
    shown = story.stage.gatehouse_json("roster", "show", str(row["platform"]), row["course"])
    return {each["user_id"]: each for each in shown["members"]}


def read_again(story: Story, row: dict) -> dict:
    (read,) = story.stage.gatehouse_json("roster", "read", str(row["platform"]), row["course"])
    return read


def set_roster(story: Story, unit: str, *, enabled: bool) -> None:
    """What Studio's switch for Names and Roles does."""
    with requests.Session() as plain:
        plain.trust_env = False
        address = f"{story.stage.lms_url}/sandbox/units/{unit}"
        plain.post(address, json={"lti_1p3_enable_nrps": enabled}, timeout=20).raise_for_status()


def enrolled(story: Story, course: str = COURSE) -> dict[str, dict]:
    listed = story.stage.lms_json("state.json")["people"]
    return {each["username"]: each for each in listed if course in each["courses"]}


def test_the_first_launch_of_a_course_makes_everybody_enrolled_known(story: Story) -> None:
    story.visit("ida", "dashboard")
    row = until("the roster of the course", lambda: roster_of(story))
    expected = enrolled(story)
    assert (row["code"], row["members"]) == ("", len(expected))
    people = people_of(story, row)
    for each in expected.values():
        known = people[each["lti_user_id"]]
        assert (known["name"], known["email"]) == (each["name"], each["email"])
    launched = {user for user, each in people.items() if each["last_launch_at"]}
    assert launched == {expected["ida"]["lti_user_id"]}


def test_staff_are_told_from_learners_though_both_are_enrolled(story: Story) -> None:
    row = roster_of(story)
    assert row is not None
    people, names = people_of(story, row), enrolled(story)
    staff = {name for name, each in names.items() if people[each["lti_user_id"]]["role"] == "staff"}
    assert staff == {"ida", "stellan"}


def test_somebody_who_never_launched_can_be_asked_about(story: Story) -> None:
    explained = story.stage.gatehouse_json("gate", "explain", "--trainee", "bodhi@example.org", "--module", "F2")
    assert not explained["open"]


def test_the_desk_shows_the_course_and_who_never_opened_it(story: Story) -> None:
    ida = story.browsers["ida"]
    rosters = ida.open(f"{story.stage.tool_url}/desk/rosters")
    expect_words(rosters, "Ketamine-Assisted Psychotherapy: Foundational Series")
    address = next(link for link in rosters.document.links if "/desk/rosters/course" in link)
    expect_words(ida.open(f"{story.stage.tool_url}{address}"), "Bodhi Ramesh", "bodhi@example.org", "Never")


def test_a_launch_after_the_roster_is_the_same_person(story: Story) -> None:
    story.visit("bodhi", "module1")
    row = roster_of(story)
    assert row is not None
    known = people_of(story, row)[enrolled(story)["bodhi"]["lti_user_id"]]
    assert known["last_launch_at"]
    assert known["role"] == "trainee"


def test_a_course_that_shares_no_names_lists_people_all_the_same(story: Story) -> None:
    course = "course-v1:Polaris+KAP201+2026"
    story.visit("maya", "advanced1")
    row = until("the roster of the second course", lambda: roster_of(story, course))
    expected = enrolled(story, course)
    assert (row["code"], row["members"]) == ("", len(expected))
    names = {each["name"] for each in people_of(story, row).values()}
    assert names == {each["name"] for each in expected.values()}, "the first course's roster knows them"


def test_a_roster_that_is_switched_off_keeps_what_was_read_and_says_why(story: Story) -> None:
    row = roster_of(story)
    assert row is not None
    for unit in ("dashboard", "module1"):
        set_roster(story, unit, enabled=False)
    off = read_again(story, row)
    assert (off["code"], off["members"], off["read_at"]) == ("roster_refused", row["members"], row["read_at"])
    page = story.browsers["ida"].open(f"{story.stage.tool_url}/desk/rosters")
    expect_words(page, "The platform does not let Gatehouse read this roster")


def test_another_unit_of_the_course_that_still_offers_it_is_asked_instead(story: Story) -> None:
    row = roster_of(story)
    assert row is not None
    story.visit("ida", "module2")
    codes = [read_again(story, row)["code"] for _ in range(3)]
    assert "" in codes


def test_no_log_line_names_anybody_of_a_roster(story: Story) -> None:
    stage = story.stage
    logged = "".join(actor.log.read_text() for actor in (stage.tool, stage.worker) if actor.log.exists())
    assert "roster read" in logged
    secrets = [each[field] for each in stage.lms_json("state.json")["people"] for field in ("name", "email")]
    assert [secret for secret in [*secrets, "@example.org", "eyJ"] if secret in logged] == []
