"""The inbox as evidence, over HTTP: what Zoom delivers is kept, sealed and verified; what is changed afterwards is
found and named. The tool runs in a process of its own, as an operator starts it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.stage import run_gatehouse, wait_for_all_work
from sandbox.zoom.training_day import TrainingDay, encode, signed
from tests.conftest import DEMO_PROGRAMME, FIELD_KEY
from tests.serving import Served, serving
from tests.tampering import tamper
from tests.zoom_day import MEETING, OPENS, people_of

SECRETS = ("the current secret", "the previous secret")
OPENED = OPENS.replace(year=2024)
DAY = TrainingDay(MEETING, OPENED, OPENED + timedelta(hours=8), people_of("breakouts", "late", "leaves_at_lunch"))
BODIES = [encode(event) for event in DAY.registrations() + DAY.events()]
FORGED = {"x-zm-signature": "v0=" + "0" * 64}


class Tool:
    """The running tool, and its command line on the same settings."""

    def __init__(self, served: Served, environment: Mapping[str, str]) -> None:
        self.served, self.url, self.environment = served, f"http://127.0.0.1:{served.port}", environment
        self.session = requests.Session()
        self.session.trust_env = False

    def deliver(self, body: bytes, secret: str = SECRETS[0], **headers: str) -> int:
        given = {**signed(body, secret, datetime.now(UTC)), **headers}
        return self.session.post(f"{self.url}/zoom/webhook", data=body, headers=given, timeout=10).status_code

    def gatehouse(self, *words: str) -> tuple[int, str]:
        """Exit code and standard output of a command."""
        code, said, _ = run_gatehouse(self.environment, *words)
        return code, said

    def gatehouse_json(self, *words: str) -> tuple[int, Any]:
        code, output = self.gatehouse(*words, "--json")
        return code, json.loads(output)


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    return {
        "GATEHOUSE_PUBLIC_URL": "https://gatehouse.example.org",
        "GATEHOUSE_SECRET_KEY": "the secret key of the tests, which is long enough",
        "GATEHOUSE_FIELD_KEYS": FIELD_KEY,
        "GATEHOUSE_DATA": str(tmp_path),
        "GATEHOUSE_DATABASE_URL": database_url,
        "GATEHOUSE_ZOOM_SECRET_TOKENS": ",".join(SECRETS),
        "GATEHOUSE_PROGRAMME": str(DEMO_PROGRAMME),
    }


def test_a_day_is_kept_sealed_and_verified_and_a_change_in_it_is_named(
    environment: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    with serving(environment, tmp_path) as served:
        tool = Tool(served, environment)
        # Half of the day comes with the former secret; some of it twice, some of it forged.
        secrets = [SECRETS[number % 2] for number in range(len(BODIES))]
        assert {tool.deliver(body, secret) for body, secret in zip(BODIES, secrets, strict=True)} == {204}
        assert [tool.deliver(body) for body in BODIES[:3]] == [204, 204, 204]
        assert [tool.deliver(body, **FORGED) for body in BODIES[:5]] == [401] * 5
        assert tool.deliver(b"x" * 10_000_000) == 413
        wait_for_all_work(environment)

        code, verdict = tool.gatehouse_json("zoom", "verify")
        assert (code, verdict["sealed"], verdict["broken"], verdict["waiting"]) == (0, len(BODIES), 0, 0)
        assert verdict["signatures"] == {"valid": len(BODIES), "secret_gone": 0, "unsigned": 0}
        assert served.stop() == 0

    _, health = tool.gatehouse_json("zoom", "health")
    assert health["refused_today"] == {"duplicate": 3, "zoom_body_too_large": 1, "zoom_signature_wrong": 5}
    assert {"signatures_wrong"} <= {gap["code"] for gap in health["gaps"]}

    renamed = {**environment, "GATEHOUSE_ZOOM_SECRET_TOKENS": "another secret"}
    code, verdict_later = Tool(served, renamed).gatehouse_json("zoom", "verify", "--noted", verdict["last"])
    assert (code, verdict_later["signatures"]["secret_gone"]) == (0, len(BODIES)), "the seals still stand"

    tamper(database_url, "UPDATE zoom_inbox SET stale = true WHERE id = 7")
    code, verdict = tool.gatehouse_json("zoom", "verify")
    assert (code, [(each["delivery"], each["code"]) for each in verdict["breaks"]]) == (1, [(7, "row_changed")])
    code, words = tool.gatehouse("zoom", "verify")
    assert (code, "BROKEN  delivery 7, position 7" in words) == (1, True)


def test_attendance_is_the_same_after_everything_is_computed_again(environment: dict[str, str], tmp_path: Path) -> None:
    with serving(environment, tmp_path) as served:
        tool = Tool(served, environment)
        adding = ("session", "add", "--module", "F1", "--starts", "2024-12-01T09:00", "--zoom-meeting", MEETING)
        session_id = str(tool.gatehouse_json(*adding)[1]["id"])
        assert {tool.deliver(body) for body in reversed(BODIES)} == {204}
        wait_for_all_work(environment)
        shown = ("attendance", "show", session_id, "--json")
        assert served.stop() == 0
    before = tool.gatehouse(*shown)
    assert len(json.loads(before[1])["unmatched"]) == len(DAY.attendees)
    assert tool.gatehouse_json("zoom", "replay", "--dry-run")[1][0]["result"] == "same"
    assert tool.gatehouse_json("zoom", "replay")[1][0] == {
        "session": int(session_id),
        "result": "settled",
        "changed": 0,
    }
    assert tool.gatehouse(*shown) == before
