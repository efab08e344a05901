"""Registration through the gate, on genuine Open edX code and the sandbox's Zoom; each test goes on from the last.

Everybody's place at Zoom follows the gate: made when it opens, cancelled when the class is called off. Whoever
registers at Zoom itself is judged by the same gate.
"""

from datetime import timedelta
from typing import Any

import requests

from sandbox.browser import Page
from sandbox.stage import Stage
from sandbox.story import Story, expect_silence, expect_words, until

MODULE_1, MODULE_1_LATER, MODULE_2 = "86400001002", "86400001003", "86400002001"
ADDED = "86400001009"
PEOPLE = ("maya", "greta", "tomas", "wendell")


def zoom(stage: Stage, method: str, path: str, **sent: Any) -> Any:
    """One call of Zoom's REST interface with the app's credentials, as somebody at Zoom's own pages might make it."""
    with requests.Session() as plain:
        plain.trust_env = False
        given = stage.zoom_credentials
        token = plain.post(
            f"{stage.zoom_url}/oauth/token",
            data={"grant_type": "account_credentials", "account_id": given["account_id"]},
            auth=(given["client_id"], given["client_secret"]),
            timeout=(3, 20),
        ).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = plain.request(method, f"{stage.zoom_url}/v2{path}", headers=headers, timeout=(3, 20), **sent)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None


def registered(stage: Stage, meeting: str, status: str = "approved") -> set[str]:
    found = zoom(stage, "GET", f"/meetings/{meeting}/registrants", params={"status": status, "page_size": 300})
    return {each["email"].partition("@")[0] for each in found["registrants"]}


def switch(stage: Stage, **fields: Any) -> None:
    with requests.Session() as plain:
        plain.trust_env = False
        assert plain.post(f"{stage.zoom_url}/rest/switches", json=fields, timeout=(3, 20)).status_code == 200


def session_of(stage: Stage, meeting: str) -> int:
    return next(row["id"] for row in stage.gatehouse_json("session", "list") if row["zoom_meeting"] == meeting)


def join_links(story: Story, username: str, unit: str) -> list[str]:
    """The join links of a module's page in the order of its sessions."""
    page = story.visit(username, unit)
    return [f"{story.stage.tool_url}{each}" for each in page.document.links if "/join?" in each]


def click(story: Story, username: str, address: str) -> Page:
    """Follow a join link as a new tab does: while it says "one moment", follow it again."""

    def led_on() -> Page | None:
        page = story.browsers[username].open(address)
        return None if "Refresh" in page.headers else page

    page: Page = until("where the join link leads", led_on)
    return page


def test_1_a_click_registers_and_leads_to_the_own_link(story: Story) -> None:
    page = click(story, "maya", join_links(story, "maya", "module1")[-1])
    assert f"/join/{MODULE_1_LATER}?tk=" in page.url
    assert "maya" in registered(story.stage, MODULE_1_LATER)


def test_2_everybody_of_the_course_is_registered_without_a_click(story: Story) -> None:
    story.visit("ida", "dashboard")
    for username in PEOPLE:
        story.visit(username, "module1")
    until("everybody's place", lambda: set(PEOPLE) <= registered(story.stage, MODULE_1))
    page = until("the word on the page", lambda: _says_registered(story, "greta"))
    expect_silence(page, "/join/8640")


def _says_registered(story: Story, username: str) -> Page | None:
    page = story.visit(username, "module1")
    return page if "You are registered" in page.words else None


def test_3_behind_a_shut_gate_nobody_is_registered(story: Story) -> None:
    expect_words(story.visit("tomas", "module2"), "locked")
    assert registered(story.stage, MODULE_2) == set()


def test_4_an_equivalency_opens_the_gate_and_the_place_follows(story: Story) -> None:
    story.ask_for_equivalency("tomas", "prati", "Foundations of ketamine-assisted work")
    story.decide_equivalency("ida", "Tomas Lindqvist", "approve")
    until("Tomas's place in module 2", lambda: "tomas" in registered(story.stage, MODULE_2))
    assert "wendell" not in registered(story.stage, MODULE_2)


def test_5_who_registers_at_zoom_itself_is_judged_by_the_same_gate(story: Story) -> None:
    for username in ("wendell", "somebody.new"):
        person = {"email": f"{username}@example.org", "first_name": username.title()}
        zoom(story.stage, "POST", f"/meetings/{MODULE_2}/registrants", json=person)
    until("the end of Wendell's registration", lambda: "wendell" in registered(story.stage, MODULE_2, "cancelled"))
    assert "somebody.new" in registered(story.stage, MODULE_2), "nobody is guessed"
    assert "tomas" in registered(story.stage, MODULE_2)


def test_6_staff_see_the_places_and_whether_the_meeting_is_set_as_a_class_needs(story: Story) -> None:
    story.visit("ida", "dashboard")
    address = f"{story.stage.tool_url}/desk/sessions/{session_of(story.stage, MODULE_2)}/zoom"

    def shown() -> Page | None:
        page = story.browsers["ida"].open(address)
        return page if "One device per person" in page.words else None

    page = until("the settings of the meeting", shown)
    expect_words(page, "Registration with automatic approval", "Met", "Tomas Lindqvist", "Registered")


def test_7_a_class_that_is_called_off_cancels_its_registrations(story: Story) -> None:
    session_id = session_of(story.stage, MODULE_1_LATER)
    story.stage.gatehouse("session", "cancel", str(session_id), "--reason", "The teacher is ill.")
    until("the end of every registration", lambda: not registered(story.stage, MODULE_1_LATER))
    assert set(PEOPLE) <= registered(story.stage, MODULE_1)


def test_8_while_zoom_is_silent_the_general_link_is_offered_with_what_is_weaker(story: Story) -> None:
    down = {"path": "registrants", "status": 503, "times": 1_000_000}
    switch(story.stage, refusals=[down])
    add_session(story.stage)
    link = join_links(story, "noor", "module1")[-1]
    page = click(story, "noor", link)
    expect_words(page, "Join with the general link", "Please note")
    general = next(each for each in page.document.links if "general=1" in each)
    assert story.browsers["noor"].open(f"{story.stage.tool_url}{general}").url.endswith(f"/join/{ADDED}")
    switch(story.stage, refusals=[])
    until("Noor's own link in the end", lambda: "?tk=" in click(story, "noor", link).url)


def add_session(stage: Stage) -> None:
    starts = f"{stage.played_on + timedelta(days=40)}T09:00"
    link = f"{stage.zoom_url}/join/{ADDED}"
    stage.gatehouse("session", "add", "--module", "F1", "--starts", starts, "--zoom-meeting", ADDED, "--join-url", link)


def test_9_no_log_line_names_anybody(story: Story) -> None:
    stage = story.stage
    logged = "".join(actor.log.read_text() for actor in (stage.tool, stage.worker) if actor.log.exists())
    assert "the gate decided about registrants" in logged
    secrets = [each[field] for each in stage.lms_json("state.json")["people"] for field in ("name", "email")]
    assert [each for each in (*secrets, "tk=", *stage.zoom_credentials.values()) if each in logged] == []
