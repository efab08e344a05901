"""Somebody joins with an address that nobody knows; staff match her by hand, take it back, correct days with two people
and answer a trainee. In order: each test goes on from the one before."""

import re
from typing import Any

from sandbox.browser import Page
from sandbox.story import Story, expect_words

WHY = "She rang from the number on file and spelled the address."


def desk(story: Story, username: str, path: str) -> Page:
    if username not in story.browsers:
        story.visit(username, "dashboard")
    return story.browsers[username].open(f"{story.stage.tool_url}/desk{path}")


def shown(story: Story) -> dict[str, Any]:
    return story.stage.gatehouse_json("attendance", "show", str(story.stage.played_session))


def unmatched(story: Story) -> list[float]:
    return [each["minutes_present"] for each in shown(story)["unmatched"]]


def person(story: Story, trainee: int) -> dict[str, Any] | None:
    return next((each for each in shown(story)["people"] if each["trainee"] == trainee), None)


def minutes_of(story: Story, trainee: int) -> float | None:
    found = person(story, trainee)
    return found["minutes_present"] if found else None


def trainee_id(story: Story, username: str) -> int:
    return int(
        story.stage.gatehouse_json("gate", "explain", "--trainee", f"{username}@example.org", "--module", "F1")[
            "trainee"
        ]
    )


def choose(story: Story) -> Page:
    """Ida opens the one unmatched person, searches for Saoirse, and chooses her."""
    queue = desk(story, "ida", "/unmatched")
    (link,) = (each for each in queue.document.links if re.fullmatch(r"/desk/unmatched/\d+", each))
    ida = story.browsers["ida"]
    page = ida.open(story.stage.tool_url + link)
    expect_words(page, "Who is this?", "Gatehouse suggests no one", "390 min")
    assert not any("?trainee=" in each for each in page.document.links)
    found = ida.submit(page, page.form(f"{link}/search"), wanted="saoirse")
    (choice,) = (each for each in found.document.links if "?trainee=" in each)
    return ida.open(story.stage.tool_url + choice)


def test_1_a_guest_with_an_unknown_address_is_on_the_list(story: Story) -> None:
    story.gather_the_cast()
    story.play_the_day()
    assert unmatched(story) == [390.0]
    assert "ompleted" not in story.day_page("saoirse").words


def test_2_staff_see_what_would_change_and_match_her_by_hand(story: Story) -> None:
    page = choose(story)
    expect_words(page, "Is it Saoirse", "What would change", "not on record", "390 min", "Completed", "licence")
    sent = story.browsers["ida"].submit(page, page.form("/match"), reason=WHY)
    expect_words(sent, "Linked.")
    story.stage.wait_for_all_work()
    assert unmatched(story) == []
    expect_words(desk(story, "ida", "/unmatched"), "Everyone is matched")
    expect_words(story.day_page("saoirse"), "Completed", "390 min of 390 min")
    assert story.gradebook("saoirse", "module1")
    expect_words(story.visit("saoirse", "module2"), "Intermediate Workshop I", "Agenda")


def test_3_the_link_is_remembered_with_who_and_why(story: Story) -> None:
    (row,) = story.stage.gatehouse_json("match", "list")
    assert (row["reason"], row["undone_at"]) == (WHY, None)
    assert row["made_by"].startswith("staff:")
    expect_words(desk(story, "ida", "/links"), "Saoirse", WHY)


def test_4_a_replay_of_the_inbox_keeps_the_match(story: Story) -> None:
    before = shown(story)
    story.stage.gatehouse("zoom", "replay")
    story.stage.gatehouse("session", "settle", str(story.stage.played_session))
    assert shown(story) == before


def test_5_taken_back_what_was_counted_is_counted_no_longer(story: Story) -> None:
    page = desk(story, "ida", "/links")
    sent = story.browsers["ida"].submit(page, page.form("/undo"), reason="It was her sister.")
    expect_words(sent, "Link removed.", "No link is in force", "It was her sister.")
    story.stage.wait_for_all_work()
    assert unmatched(story) == [390.0]
    expect_words(story.day_page("saoirse"), "Not completed", "turned out to be about another person")
    expect_words(story.visit("saoirse", "module2"), "locked")


def test_6_the_command_line_matches_and_takes_back_as_well(story: Story) -> None:
    (waiting,) = story.stage.gatehouse_json("match", "list", "--waiting")
    address = waiting["email"]
    trainee = ("--trainee", "saoirse@example.org")
    made = story.stage.gatehouse_json("match", "link", *trainee, "--address", address, "--reason", WHY)
    assert made["settled_again"] == [story.stage.played_session]
    story.stage.wait_for_all_work()
    assert unmatched(story) == []
    story.stage.gatehouse("match", "undo", str(made["id"]), "--reason", "Only to see.")
    story.stage.wait_for_all_work()
    assert unmatched(story) == [390.0]


def test_7_a_trainee_asks_and_is_answered(story: Story) -> None:
    page = story.day_page("priya")
    expect_words(page, "Something looks wrong?", "do not write anything about your health")
    sent = story.browsers["priya"].submit(
        page, page.form("/requests"), text="I was there in the afternoon, on the house's screen."
    )
    expect_words(sent, "The training team has your request")
    queue = desk(story, "ida", "/attendance-requests")
    expect_words(queue, "on the house's screen", "165 min of 390 min")
    answered = story.browsers["ida"].submit(
        queue, queue.form("/answer"), answer="We have the signed roster; it will count."
    )
    expect_words(answered, "No request waits for an answer")
    expect_words(story.day_page("priya"), "We have the signed roster; it will count.")


def test_8_presence_by_hand_takes_two_people(story: Story) -> None:
    before = {each["email"]: each for each in shown(story)["people"]}["priya@example.org"]
    trainee = before["trainee"]
    form = desk(story, "ida", f"/sessions/{story.stage.played_session}/corrections/{trainee}")
    ida = story.browsers["ida"]
    fields = {"what": "present", "reason": "Seen by two of us.", "evidence": "The signed roster, in the office."}
    waiting = ida.submit(form, form.form("/corrections/"), **fields)
    expect_words(waiting, "You proposed this", "165 min", "390 min")
    assert minutes_of(story, trainee) == 165.0
    queue = desk(story, "stellan", "/corrections")
    expect_words(queue, "counts as present", "The signed roster, in the office.", "390 min")
    expect_words(story.browsers["stellan"].submit(queue, queue.form("/confirm")), "In force")
    story.stage.wait_for_all_work()
    assert minutes_of(story, trainee) == 390.0
    corrected = person(story, trainee)
    assert corrected
    assert "manual" in {each["evidence"] for each in corrected["intervals"]}
    expect_words(story.day_page("priya"), "Completed", "the training team")


def test_9_and_is_taken_back_with_a_reason(story: Story) -> None:
    page = desk(story, "stellan", "/corrections")
    story.browsers["stellan"].submit(page, page.form("/undo"), reason="The roster was of another day.")
    story.stage.wait_for_all_work()
    assert story.attendance()["priya@example.org"]["minutes_present"] == 165.0
    expect_words(story.day_page("priya"), "Not completed")


def test_no_log_line_says_who_it_was_or_what_was_written(story: Story) -> None:
    """Runs last: by now the logs hold everything the story did."""
    stage = story.stage
    logged = "".join(actor.log.read_text() for actor in (stage.tool, stage.worker) if actor.log.exists())
    assert logged
    assert [each for each in ("saoirse", "Saoirse", "house's screen", "@example.org", WHY) if each in logged] == []
