"""The sandbox's Zoom: what it plays and what it answers."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
import responses
from flask.testing import FlaskClient

from sandbox import stage
from sandbox.zoom.app import Stage, create_player
from sandbox.zoom.plan import PlanError, read_plan
from sandbox.zoom.player import Player
from tests.waiting import until
from tests.zoom_day import MEETING, OPENS
from zoom_adapter.events import read_event
from zoom_adapter.signature import freshness, matching_secret

WEBHOOK = "http://127.0.0.1:8080/zoom/webhook"
SECRET = "the secret of the player"
ADA = {"email": "ada@example.org", "name": "Ada Lindholm", "behaviour": "breakouts"}
PLAN = {"meeting_id": MEETING, "date": "2026-12-01", "people": [ADA], "speed_seconds": 0}


@pytest.fixture
def client() -> FlaskClient:
    stage = Stage(Player(WEBHOOK, SECRET), {MEETING: "Module 1, 2026-12-01"})
    return create_player(stage).test_client()


def until_ended(client: FlaskClient) -> dict:
    def report() -> dict | None:
        status = client.get("/status.json").json
        return status if status["state"] == "ended" else None

    return until(report)


def test_a_played_day_is_signed_registered_and_complete(client: FlaskClient) -> None:
    taken: list[bytes] = []

    def tool(request):
        headers = {name.lower(): value for name, value in request.headers.items()}
        stamp, signature = headers["x-zm-request-timestamp"], headers["x-zm-signature"]
        assert freshness(stamp, datetime.now(UTC)) == "fresh"
        assert matching_secret([SECRET], stamp, request.body, signature) == 0
        taken.append(request.body)
        return (204, {}, "")

    with responses.RequestsMock() as wire:
        wire.add_callback(responses.POST, WEBHOOK, tool)
        assert client.post("/play", json=PLAN).status_code == 202
        report = until_ended(client)
    assert report["sent"] == report["taken"] == report["planned"] == len(taken)
    assert (report["refused"], report["progress"]) == (0, 1.0)
    kinds = Counter(read_event(body).kind for body in set(taken))
    assert (kinds["registration"], kinds["started"], kinds["ended"]) == (1, 1, 1)
    assert kinds["joined"] == kinds["left"] == 7
    assert len(taken) > len(set(taken)), "some come twice"


def test_a_delivery_comes_again_after_503_and_never_after_401(client: FlaskClient) -> None:
    seen: Counter[bytes] = Counter()

    def tool(request):
        seen[request.body] += 1
        if b"url_validation" in request.body:
            return (401, {}, "")
        return (503 if b"meeting.ended" in request.body and seen[request.body] == 1 else 204, {}, "")

    with responses.RequestsMock() as wire:
        wire.add_callback(responses.POST, WEBHOOK, tool)
        client.post("/play", json={**PLAN, "duplicate": False})
        assert client.post("/play", json=PLAN).status_code == 409, "one day at a time"
        report = until_ended(client)
    assert (report["again"], report["refused"], report["taken"]) == (1, 1, report["planned"] - 1)


def test_the_day_has_the_times_of_its_date_and_the_same_plan_is_the_same_day() -> None:
    first, second = read_plan(PLAN).day, read_plan({**PLAN, "speed_seconds": 5, "shuffle": False}).day
    assert first.opens_at == OPENS
    assert first.events() == second.events()
    assert read_plan({**PLAN, "people": [{**ADA, "behaviour": "late"}]}).day.uuid != first.uuid


@pytest.mark.parametrize(
    "changes",
    [
        {"meeting_id": ""},
        {"date": "tomorrow"},
        {"date": "9999-12-31"},
        {"zone": "Mars/Olympus"},
        {"ends": "08:00"},
        {"people": "everybody"},
        {"people": [{**ADA, "behaviour": "levitates"}]},
        {"people": ["Ada"]},
        {"speed_seconds": "fast"},
    ],
)
def test_a_plan_that_cannot_be_played_is_refused_in_words(client: FlaskClient, changes: dict) -> None:
    with pytest.raises(PlanError):
        read_plan({**PLAN, **changes})
    answer = client.post("/play", json={**PLAN, **changes})
    assert (answer.status_code, list(answer.json)) == (400, ["error"])


@responses.activate
def test_the_page_shows_classes_and_the_cast_of_the_course() -> None:
    people = [{"username": "maya", "name": "Maya <Okafor>", "email": "maya@example.org", "note": "New here."}]
    responses.get("http://lms.example.org/state.json", json={"people": people})
    stage = Stage(Player(WEBHOOK, SECRET), {MEETING: "Module 1, 2026-12-01"}, "http://lms.example.org/state.json")
    page = create_player(stage).test_client().get("/").text
    assert "Module 1, 2026-12-01" in page
    assert 'value="2026-12-01"' in page
    assert "Maya &lt;Okafor&gt;" in page
    assert '<option value="breakouts" selected>' in page


@responses.activate
def test_without_the_course_the_page_says_so() -> None:
    stage = Stage(Player(WEBHOOK, SECRET), state_url="http://lms.example.org/state.json")
    page = create_player(stage).test_client().get("/")
    assert page.status_code == 200
    assert "The course does not answer" in page.text


def test_join_links_say_what_they_stand_for(client: FlaskClient) -> None:
    assert "This would be Zoom" in client.get(f"/join/{MEETING}").text


def test_classes_can_be_added(client: FlaskClient) -> None:
    assert client.post("/meetings", json={"123": "Module 2, 2026-12-08"}).status_code == 200
    assert [each["date"] for each in client.get("/meetings").json] == ["2026-12-01", "2026-12-08"]
    assert client.post("/meetings", json=[]).status_code == 400


def test_the_day_that_the_demonstration_plays_is_over(tmp_path: Path) -> None:
    """Zoom's report of it is due, so it can be reconciled."""
    assert stage.Stage(tmp_path, Path("python")).played_on < datetime.now(stage.PACIFIC).date()
