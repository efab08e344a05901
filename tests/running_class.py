"""A class that is under way on a stage: begun two hours ago, told of by Zoom up to this minute."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import requests

from sandbox.stage import Stage
from sandbox.zoom.behaviours import Visit
from sandbox.zoom.training_day import Attendee, TrainingDay, encode, registrant_id, signed
from zoom_adapter.events import read_event

MEETING = "86400009001"
BEGUN = timedelta(hours=2)
ZONE = "America/Phoenix"  # no clock shows an hour twice there
WHOLE = Visit(0, 8 * 3600)


def attendee(username: str, *visits: Visit, name: str = "", meeting: str = MEETING) -> Attendee:
    """One of the sandbox's people, registered for the class; `name` is what Zoom shows."""
    email = f"{username}@example.org"
    return Attendee(name or username.title(), email, registrant_id(meeting, email), "all_day", visits)


@dataclass
class RunningClass:
    """Module 1 on a stage, begun some time ago; at Zoom the meeting `lasts` so long. `tell` sends what Zoom would have
    sent by now of these people, and waits until the tool has read it."""

    stage: Stage
    meeting: str = MEETING
    begun: timedelta = BEGUN
    lasts: timedelta = timedelta(hours=8)
    opens_at: datetime = field(init=False)
    session: int = field(init=False)

    def __post_init__(self) -> None:
        self.opens_at = datetime.now(UTC).replace(second=0, microsecond=0) - self.begun
        starts = self.opens_at.astimezone(ZoneInfo(ZONE)).strftime("%Y-%m-%dT%H:%M")
        words = ("--module", "F1", "--starts", starts, "--zone", ZONE, "--zoom-meeting", self.meeting)
        self.session = int(self.stage.gatehouse_json("session", "add", *words)["id"])

    def tell(self, *attendees: Attendee) -> None:
        """Send the edges that lie before this moment. Told again, the same people keep their place in the list: by it
        they keep their connections."""
        day = TrainingDay(self.meeting, self.opens_at, self.opens_at + self.lasts, attendees)
        now = datetime.now(UTC)
        with requests.Session() as zoom:
            zoom.trust_env = False
            for event in [*day.registrations(), *day.events()]:
                body = encode(event)
                at = read_event(body).at
                if at is None or at <= now:
                    headers = signed(body, self.stage.zoom_secret, now)
                    answer = zoom.post(f"{self.stage.tool_url}/zoom/webhook", data=body, headers=headers, timeout=10)
                    assert answer.status_code == 204
        self.stage.wait_for_all_work()

    def call_off(self) -> None:
        """End it for whoever shares the stage: no other test meets its people or its questions."""
        self.stage.gatehouse("session", "cancel", str(self.session), "--reason", "The test is over.")
