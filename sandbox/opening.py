"""What the demo opens with: the last class taught and graded, today's class running, and people in every state.

It is the story with more people in it, and goes on from its end. Everything happens as people and machines do it:
launches, signed webhooks, forms and commands.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import requests

from sandbox.browser import Page
from sandbox.stage import Stage
from sandbox.story import CAST, LICENCES, ONLOOKERS, Story, expect, expect_words, until

MUSIC_MEETING = "86400007001"
TODAYS_MEETING = "86400002000"
NEXT_WEEKS_MEETING = "86400003001"
# How long ago today's class began, at least: it begins at a quarter of an hour.
BEGUN = timedelta(hours=2, minutes=5)
# Who takes part in today's class, and how. Priya's gate is shut: she has the general link from a colleague.
TODAY = {
    "maya": "all_day",
    "greta": "breakouts",
    "noor": "reconnects",
    "lucia": "late",
    "tomas": "all_day",
    "callum": "stepped_out",
    "yusra": "all_day",
    "kofi": "very_late",
    "petra": "two_devices",
    "idris": "all_day",
}


def demo_stage(folder: Path, sandbox_python: Path, **given: Any) -> Stage:
    """A stage for the opening. Its last class ended more than a day ago, so Zoom's report of it no longer grows and two
    equal answers settle it at once."""
    return Stage(folder, sandbox_python, with_demo=True, days_ago=2, **given)


# Module, title, from when trainees see it, text.
MATERIALS = (
    ("F1", "Before you come", "gate", "Find a quiet room with a door. Test camera and sound. Have water at hand.\n"),
    ("F1", "Notes of the day", "session_end", "What we spoke about, in the order of the agenda.\n"),
    ("F2", "What to prepare", "gate", "Bring two questions from your own practice.\n"),
)


class Opening(Story):
    """The story of the demo, then the scenes that follow it."""

    cast = CAST | {
        "callum": "all_day",
        "yusra": "breakouts",
        "kofi": "away_for_lunch",
        "petra": "put_back",
        "sunniva": "waiting_room",
        "renata": "bound_phone",
    }
    onlookers = (*ONLOOKERS, "jomo", "idris")
    licences = LICENCES | {
        "callum": ("LCSW", "CA", "LCSW-50005"),
        "yusra": ("LPCC", "CA", "LPCC-60006"),
        "kofi": ("psychologist", "OR", "PSY-70007"),
        "petra": ("psychologist", "CA", "PSY-80008"),
    }
    session_now = 0

    def scenes(self) -> list[tuple[str, Callable[[], None]]]:
        return [
            ("The last class is compared with Zoom's report", self.reconciled),
            ("Requests for training elsewhere wait, have a question, are declined", self.training_elsewhere),
            ("An exception opens a module until its last day", self.exception),
            ("Two modules have materials", self.materials),
            ("A score cannot be delivered", self.undeliverable),
            ("A trainee asks about her day; staff propose a correction", self.questions),
            ("A nurse applies for a retreat", self.application),
            ("A session is added for next week, another is moved", self.plans),
            ("Today's class is running", self.class_now),
        ]

    def start_playing(self, **options: Any) -> None:
        """In order of time, so that no one's record shows a first result that later messages took back."""
        super().start_playing(**{"shuffle": False, **options})

    def at_zoom(self, behaviours: Mapping[str, str]) -> list[dict[str, str]]:
        """Someone dials in by telephone, whom Zoom cannot name."""
        return [*super().at_zoom(behaviours), {"email": "", "name": "By telephone", "behaviour": "phone"}]

    def reconciled(self) -> None:
        """Zoom has to give the same report twice. The worker asks too, so it may take one more."""
        session = str(self.stage.played_session)

        def is_reconciled() -> bool:
            self.stage.gatehouse("zoom", "reconcile", session, check=False)
            state = self.stage.gatehouse_json("attendance", "show", session)["session"]["state"]
            return bool(state == "reconciled")

        until("Zoom's report of the last class, twice the same", is_reconciled)

    def training_elsewhere(self) -> None:
        self.ask_for_equivalency("wendell", "maps", "MDMA-assisted therapy training", full_review="yes")
        reply = "This training does not cover ketamine. Please take Module 1; its dates are on your home page."
        declined = self.decide_equivalency("ida", "Wendell Ito", "decline", reason_code="not_equivalent", text=reply)
        expect_words(declined, "Wendell Ito")
        self.ask_for_equivalency("hiro", "ktc", "Ketamine training, five days")
        self.decide_equivalency("stellan", "Hiro Tanabe", "ask", question="How many hours were taught live?")
        self.ask_for_equivalency("jomo", "prati", "Foundations of ketamine-assisted work")

    def exception(self) -> None:
        until_day = self.stage.today + timedelta(days=14)
        reason = "Joined this week. Takes Module 1 at its next date."
        made = self._on_person_page("Idris Bello", "/exceptions", offering="F2", until=str(until_day), reason=reason)
        expect_words(made, "Idris Bello")

    def materials(self) -> None:
        for module, title, shown_from, text in MATERIALS:
            file = self.stage.folder / f"{title}.txt"
            file.write_text(text, encoding="utf-8")
            words = ("--module", module, "--title", title, "--shown-from", shown_from, str(file))
            self.stage.gatehouse("materials", "add", *words)

    def undeliverable(self) -> None:
        """Someone has deleted the gradebook's column of a unit before the class of its module gives scores."""
        self.visit("callum", "music")
        with requests.Session() as plain:
            plain.trust_env = False
            plain.post(f"{self.stage.lms_url}/sandbox/units/music/delete-column", timeout=20).raise_for_status()
        day = self.stage.played_on - timedelta(days=2)
        self.stage.add_session("ST_MUS", f"{day}T09:00", MUSIC_MEETING)
        people = super().at_zoom({"callum": "all_day", "yusra": "reconnects"})
        self.play_the_day(meeting_id=MUSIC_MEETING, date=day.isoformat(), ends="13:00", people=people)

    def questions(self) -> None:
        day = self.day_page("priya")
        text = "I came back after lunch by telephone and stayed until the end."
        self.browsers["priya"].submit(day, day.form("/requests"), text=text)
        lucia = self.attendance()["lucia@example.org"]["trainee"]
        form = self._own("stellan", f"/desk/sessions/{self.stage.played_session}/corrections/{lucia}")
        proposed = self.browsers["stellan"].submit(
            form,
            form.form("/corrections/"),
            what="present",
            starts=f"{self.stage.played_on}T09:10",
            ends=f"{self.stage.played_on}T09:40",
            reason="She sat beside a colleague until her own computer was ready.",
            evidence="Confirmed by the colleague by e-mail.",
        )
        expect_words(proposed, "Lucia Ferrante")

    def application(self) -> None:
        self.visit("greta", "retreats")
        form = self._own("greta", "/retreats/RT_EXP/apply")
        statement = re.search(r'name="statement" value="([^"]+)"', form.html)
        expect(statement, "the form has a statement about the whole list of conditions")
        sent = self.browsers["greta"].submit(form, form.form("/apply"), statement=statement[1] if statement else "")
        expect_words(sent, "Your application was sent.")

    def plans(self) -> None:
        day = self.stage.today + timedelta(days=6)
        self.stage.add_session("F3", f"{day}T09:00", NEXT_WEEKS_MEETING)
        sessions = self.stage.gatehouse_json("session", "list", "--module", "F1")
        last = max(sessions, key=lambda each: str(each["starts_at"]))
        later = f"{self.stage.played_on + timedelta(days=37)}T09:00"
        self.stage.gatehouse(
            "session", "move", str(last["id"]), "--starts", later, "--reason", "The teacher is away that week."
        )
        self.stage.wait_for_all_work()

    def class_now(self) -> None:
        since = datetime.now(ZoneInfo(self.stage.zone)) - BEGUN
        opens_at = since.replace(minute=since.minute // 15 * 15, second=0, microsecond=0)
        starts = f"{opens_at:%Y-%m-%dT%H:%M}"
        self.session_now = self.stage.add_session("F2", starts, TODAYS_MEETING)
        guest = {"email": "priya@example.org", "name": "Priya Raman", "behaviour": "all_day", "registrant_id": ""}
        people = [*self.at_zoom(TODAY), guest, {"email": "", "name": "iPad of the front desk", "behaviour": "guest"}]
        today = {
            "title": "Module 2 is running",
            "meeting_id": TODAYS_MEETING,
            "opens_at": opens_at.isoformat(),
            "people": people,
        }
        with requests.Session() as plain:
            plain.trust_env = False
            answer = plain.post(f"{self.stage.zoom_url}/class", json=today, timeout=(3, 60))
        expect(answer.status_code == 202, f"the class begins: {answer.text[:300]}")
        self.stage.wait_for_all_work()

    # What the demo promises; each is looked up on the pages themselves.

    def promises(self) -> list[tuple[str, Callable[[], None]]]:
        return [
            ("Today has a running class and a list of what needs attention", self.today_is_full),
            ("The live board shows people in every state", self.board_is_full),
            ("Home shows the class to those who are in it", self.home_in_class),
            ("Locked and open modules say why", self.gates_say_why),
            ("A module's materials are behind its gate", self.materials_are_shown),
            ("Records show a whole day, half a day, none", self.records),
            ("Messages were sent", self.mail_was_sent),
        ]

    def today_is_full(self) -> None:
        desk = self._desk("")
        expect_words(desk, "Open live board", "Needs your attention", "Last class: Module 1", "Module 3")
        expect_words(desk, "Jomo Baraka", "Saoirse Quinlan", "+1 ***", "Priya Raman", "Lucia Ferrante")
        expect_words(desk, "E-mail addresses that two people share: 1", "Scores a platform refused: 2")
        expect_words(self._desk(f"/sessions/{self.stage.played_session}"), "Confirmed", "147 min missing", "6.5 APA")
        expect_words(self._find("Bodhi Ramesh"), "never")
        expect_words(self._find("Greta Halvorsen"), "RN")

    def board_is_full(self) -> None:
        board = self._desk(f"/sessions/{self.session_now}/live")
        expect_words(board, "In the waiting room", "Kofi Mensah", "Left", "Callum Reid", "Here with a shut gate")
        expect_words(board, "Not matched to a trainee", "(by phone)", "iPad of the front desk", "Room")

    def home_in_class(self) -> None:
        expect_words(self.visit("maya", "dashboard"), "In class now", "minutes needed", "On track", "6.5")
        expect_words(self.visit("lucia", "dashboard"), "In class now", "minutes needed")

    def gates_say_why(self) -> None:
        expect_words(self.visit("hiro", "module2"), "The training team has a question")
        expect_words(self.visit("jomo", "module2"), "Locked, waiting for an answer")
        expect_words(self.visit("wendell", "module2"), "Declined")
        expect_words(self.visit("tomas", "module2"), "In class now", "minutes needed")
        expect_words(self.visit("idris", "module2"), "open to you by an exception of the training team, until")
        expect_words(self.retreat("greta", "RT_EXP"), "Your application for")

    def materials_are_shown(self) -> None:
        expect_words(self.visit("maya", "module1"), "Before you come", "Notes of the day")
        locked = self.visit("hiro", "module2")
        expect("What to prepare" not in locked.words, "a locked module names none of its materials")

    def records(self) -> None:
        expect_words(self.day_page("maya"), "390 of 390 teaching minutes", "6.5 credits", "Confirmed")
        expect_words(self.day_page("priya"), "147 min", "I came back after lunch")
        expect_words(self.day_page("noor"), "Completed", "licence")
        expect_words(self._own("maya", "/record"), "6.5")

    def mail_was_sent(self) -> None:
        subjects = " ".join(each["subject"] for each in self.stage.mail_json("messages.json"))
        missing = [each for each in ("approved", "declined", "question", "New time") if each not in subjects]
        expect(not missing, f"no message says {missing}: {subjects}")

    def _desk(self, path: str) -> Page:
        self.visit("ida", "dashboard")
        return self._own("ida", f"/desk{path}")

    def _find(self, name: str) -> Page:
        """The page of a person, by the search in the bar."""
        desk = self._desk("")
        return self.browsers["ida"].submit(desk, desk.form("/desk/search"), q=name)

    def _on_person_page(self, name: str, part_of_action: str, **values: str) -> Page:
        """Send one form of a person's page as Ida."""
        found = self._find(name)
        return self.browsers["ida"].submit(found, found.form(part_of_action), **values)
