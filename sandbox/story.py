"""The main job, step by step, as people would do it: what `make demo-check` walks through and the story tests stand on.

A step raises StepFailed with what it expected and what it saw. Steps build on each other, in order.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import requests

from sandbox.browser import Browser, Page
from sandbox.stage import PACIFIC, PLAYED_MEETING, Stage
from sandbox.zoom.plan import CAST as BEHAVIOUR_OF

# Who of the sandbox's people takes part in the played day.
CAST = {name: BEHAVIOUR_OF[name] for name in ("maya", "greta", "noor", "priya", "anneke", "lucia", "saoirse")}
ONLOOKERS = ("tomas", "wendell", "hiro")
# They open the course before there is anything to decide: an account that is newer than a case does not decide it.
STAFF = ("ida", "stellan")
QUEUE = "/desk/equivalencies"
LICENCES = {
    "maya": ("psychologist", "CA", "PSY-10001"),
    "greta": ("RN", "CA", "RN-20002"),
    "priya": ("LMFT", "CA", "LMFT-30003"),
    "tomas": ("LCSW", "CA", "LCSW-40004"),
}
PATIENCE_SECONDS = 180.0


class StepFailed(Exception):
    """A step of the story did not hold."""


def expect(condition: object, says: str) -> None:
    if not condition:
        raise StepFailed(says)


def expect_words(page: Page, *wanted: str) -> None:
    """The page says all of these, whatever their case."""
    said = page.words.lower()
    missing = [words for words in wanted if words.lower() not in said]
    expect(not missing, f"{page.url} ({page.status}) does not say {missing}; it says: {page.words[:600]}")


def expect_silence(page: Page, *unwanted: str) -> None:
    found = [words for words in unwanted if words.lower() in page.html.lower()]
    expect(not found, f"{page.url} must not contain {found}")


def until(what: str, ask: Callable[[], Any]) -> Any:
    """The first true answer; StepFailed when none comes in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.2)
    raise StepFailed(f"waited {PATIENCE_SECONDS:.0f} s in vain for: {what}")


class Story:
    """The cast on a stage. One browser a person, kept for the whole story: nobody signs in twice."""

    cast: Mapping[str, str] = CAST
    onlookers: Sequence[str] = ONLOOKERS
    licences: Mapping[str, tuple[str, str, str]] = LICENCES

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.browsers: dict[str, Browser] = {}

    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        return [
            ("A locked module explains itself", self.locked_module),
            ("Module 1 shows its agenda, its join link, and that it is live", self.open_module),
            ("A training day is played as Zoom deliveries", self.training_day),
            ("Attendance becomes completion, completion becomes credit", self.settlement),
            ("The grade is in Open edX's gradebook", self.grade),
            ("Module 2 is open, without a new login", self.next_module),
            ("PRATI opens Module 2 and nothing else; MAPS is refused with its reason", self.equivalencies),
            ("Half a day completes nothing and says what is missing", self.half_day),
            ("Retreats keep their own rules", self.retreats),
        ]

    def gather_the_cast(self) -> None:
        """Everybody has opened the course once, and the licences that staff hold are recorded."""
        for username in (*STAFF, *self.cast, *self.onlookers):
            self.visit(username, "dashboard")
        for username in self.licences:
            self._record_licence(username)

    # 1
    def locked_module(self) -> None:
        page = self.visit("maya", "module2")
        expect(page.status == 200, f"a locked module answers 200, not {page.status}")
        expect_words(page, "Locked", "Complete Module 1 first", "Trained elsewhere?", "training@larkspur-hill.example")
        expect_words(page, "Take Module 1", "9:00 am", "Checked", "All requirements", "Not met yet")
        expect("Pacific" in page.words or self.stage.zone != PACIFIC.key, "the times are in Pacific time")
        expect("data-from" in page.html, "the next dates carry what the trainee's own zone is shown from")
        expect_silence(page, "/join/", "86400002001")

    # 2
    def open_module(self) -> None:
        page = self.visit("maya", "module1")
        expect_words(page, "Introduction to Ketamine-Assisted Psychotherapy", "Agenda", "not recorded", "Join on Zoom")
        address = self._join_address(page)
        joined = until("Maya's own link to Zoom", lambda: self._at_zoom(self.browsers["maya"].open(address)))
        expect(joined.status == 200 and "tk=" in joined.url, f"Zoom knows Maya by her own link, not by {joined.url}")

    # 3
    def training_day(self) -> None:
        self.gather_the_cast()
        self.play_the_day()

    def play_the_day(self, **options: Any) -> dict[str, Any]:
        """Play the day of the cast; the player's final report."""
        self.start_playing(**options)
        return self.finish_playing()

    def start_playing(self, **options: Any) -> None:
        day = {
            "meeting_id": PLAYED_MEETING,
            "date": self.stage.played_on.isoformat(),
            "zone": self.stage.zone,
            "people": self.at_zoom(self.cast),
            "shuffle": True,
            "duplicate": True,
            "speed_seconds": 1,
        }
        with requests.Session() as plain:
            plain.trust_env = False
            answer = plain.post(f"{self.stage.zoom_url}/play", json={**day, **options}, timeout=(3, 30))
        expect(answer.status_code == 202, f"the player takes the day, not {answer.status_code}: {answer.text[:300]}")

    def at_zoom(self, behaviours: Mapping[str, str]) -> list[dict[str, str]]:
        """These people by username, with what they do in a class, as the Zoom player takes them."""
        known = {each["username"]: each for each in self.stage.lms_json("state.json")["people"]}
        return [
            {"email": known[username]["email"], "name": known[username]["name"], "behaviour": behaviour}
            for username, behaviour in behaviours.items()
        ]

    def finish_playing(self) -> dict[str, Any]:
        """The player's final report, once the tool has read all that was sent and settled what follows from it."""
        report: dict[str, Any] = until("the end of the played day", self._ended)
        expect(report["sent"] > 0, "the player sent deliveries")
        expect(not report["refused"], f"every delivery was taken in the end: {report}")
        self.stage.wait_for_all_work()
        return report

    # 4
    def settlement(self) -> None:
        people = self.attendance()
        expect(len(people) >= len(self.cast) - 1, f"everybody of the cast but one is known: {sorted(people)}")
        maya = people["maya@example.org"]
        expect(maya["completed"] and maya["minutes_required"] == 312, f"Maya completed: {maya}")
        expect(maya["minutes_present"] == 390, f"breakouts and lunch cost Maya nothing: {maya['minutes_present']}")
        expect(people["greta@example.org"]["minutes_present"] == 390, "two devices count once")
        expect(people["noor@example.org"]["completed"], "a completion needs no licence")
        page = self.day_page("maya")
        expect_words(page, "390 min of 390 min", "counts", "6.5 credits", "Licence valid on the day")
        expect("<svg" in page.html, "the day is drawn")
        expect_words(self.day_page("noor"), "Completed", "licence")
        awarded = {name: self._awards(name) for name in ("maya", "greta", "noor", "priya")}
        expect(awarded["maya"] == {"apa": "6.5"}, f"Maya's award: {awarded['maya']}")
        expect(awarded["greta"] == {"scrc_brn": "7.8"}, f"Greta's award: {awarded['greta']}")
        expect(not awarded["noor"] and not awarded["priya"], f"nobody else is awarded anything: {awarded}")

    # 5
    def grade(self) -> None:
        grade = self.full_grade("maya", "module1")
        self.stage.wait_for_all_work()
        held = {(row["user_id"], row["line_item"]): row for row in self.stage.lms_json("grades.json")["lti_results"]}
        for row in self.stage.gatehouse_json("grades", "ledger"):
            result = held.get((row["user_id"], int(row["line_item"].rsplit("/", 1)[1])))
            expect(result, f"the platform holds the delivered score {row}")
            expect(abs(float(result["score_given"]) - row["delivered"]) < 0.005, f"ledger {row} and platform {result}")
        comment = next(row["comment"] for (user, _), row in held.items() if user == grade["user_id"])
        expect("390" in comment and "6.5" in comment, f"the comment names minutes and credit: {comment}")

    # 6
    def next_module(self) -> None:
        page = self.visit("maya", "module2", sign_in=False)
        expect_words(page, "Intermediate Workshop I", "Agenda", "not recorded")
        expect("locked" not in page.words.lower(), "Module 2 is open")

    # 7
    def equivalencies(self) -> None:
        sent = self.ask_for_equivalency("tomas", "prati", "Foundations of ketamine-assisted work")
        expect_words(sent, "Your request was sent")
        self.decide_equivalency("ida", "Tomas Lindqvist", "approve")
        expect_words(self.visit("tomas", "module2"), "Intermediate Workshop I", "Agenda")
        expect(not self.gradebook("tomas", "module1"), "an equivalency gives no grade")
        expect(not self._awards("tomas"), "an equivalency earns no credit")
        explained = self.stage.gatehouse_json("gate", "explain", "--trainee", "tomas@example.org", "--module", "F2")
        expect(explained["open"] and explained["decision"]["status"] == "waived", f"opened by a waiver: {explained}")
        refused = self.ask_for_equivalency("wendell", "maps", "Another training")
        expect_words(refused, "not specific to ketamine in terms of history, dosing, protocol", "Nothing has been sent")
        expect_words(self.visit("wendell", "module2"), "locked")

    # 8
    def half_day(self) -> None:
        priya = self.attendance()["priya@example.org"]
        expect(not priya["completed"] and priya["minutes_present"] == 165, f"Priya left at lunch: {priya}")
        grade = self.gradebook("priya", "module1")
        expect(grade and grade["value"] < grade["max_value"], f"no full grade for half a day: {grade}")
        expect_words(self.visit("priya", "module2"), "locked", "What already counts", "147 min are missing")
        expect_words(self.day_page("priya"), "147 min", "missing")

    # 9
    def retreats(self) -> None:
        expect_words(self.visit("maya", "retreats"), "Experiential", "Advanced", "Open Sky")
        expect_words(self.retreat("maya", "RT_EXP"), "You may apply", "sleep apnea")
        expect_words(self.retreat("tomas", "RT_EXP"), "locked", "Take one more")
        self._import_completion("tomas", "ST_MUS", "2024-08-03")
        expect_words(self.retreat("tomas", "RT_EXP"), "You may apply")
        expect_words(self.retreat("noor", "RT_EXP"), "locked", "licence")
        expect_words(self.retreat("maya", "RT_ADV"), "locked", "retreat")
        self.stage.gatehouse("retreat", "attended", "--trainee", "maya@example.org", "--retreat", "RT_EXP",
                             "--starts-on", "2024-09-04")  # fmt: skip
        expect_words(self.retreat("maya", "RT_ADV"), "You may apply")
        expect_words(self.retreat("maya", "RT_DIA"), "Applications are closed", "have not been set yet")

    # What people do.

    def visit(self, username: str, unit: str, *, sign_in: bool = True) -> Page:
        """Open a course unit as this person; `sign_in=False` insists that they are signed in already."""
        if username not in self.browsers:
            expect(sign_in, f"{username} is signed in")
            self.browsers[username] = Browser(self.stage.lms_url)
            self.browsers[username].sign_in(username)
        return self.browsers[username].open_unit(unit)

    def day_page(self, username: str) -> Page:
        self.visit(username, "module1")
        return self._own(username, f"/sessions/{self.stage.played_session}")

    def retreat(self, username: str, retreat_id: str) -> Page:
        self.visit(username, "retreats")
        return self._own(username, f"/retreats/{retreat_id}")

    def attendance(self) -> dict[str, dict[str, Any]]:
        """Address → what the played day says of this person."""
        shown = self.stage.gatehouse_json("attendance", "show", str(self.stage.played_session))
        expect(shown["session"]["state"] in ("provisional", "reconciled"), f"the day is settled: {shown['session']}")
        return {each["email"]: each for each in shown["people"]}

    def ask_for_equivalency(self, username: str, provider: str, course: str, **more: str) -> Page:
        self.visit(username, "module2")
        page = self._own(username, "/equivalency/F1")
        return self.browsers[username].submit(
            page,
            page.form("/equivalency/F1"),
            provider=provider,
            course_title=course,
            completed_on="2025-05-04",
            evidence_note="A certificate of completion, dated 4 May 2025.",
            statement="yes",
            **more,
        )

    def decide_equivalency(self, staff: str, person: str, verdict: str, **values: str) -> Page:
        """Decide about the only request that waits."""
        self.visit(staff, "dashboard")
        queue = self._own(staff, QUEUE)
        expect_words(queue, person)
        request = self._own(staff, next(link for link in queue.document.links if link.startswith(f"{QUEUE}/")))
        return self.browsers[staff].submit(request, request.form(f"/{verdict}"), **values)

    def full_grade(self, username: str, unit: str) -> dict[str, Any]:
        """The grade of the gradebook once it is the whole one; a day that is settled while it plays gives part of it
        first."""

        def full() -> dict[str, Any] | None:
            grade = self.gradebook(username, unit)
            return grade if grade and grade["value"] == grade["max_value"] == 1.0 else None

        grade: dict[str, Any] = until(f"the full grade of {username} in {unit}", full)
        return grade

    def gradebook(self, username: str, unit: str) -> dict[str, Any] | None:
        published = self.stage.lms_json("grades.json")["published"]
        return next((row for row in published if (row["username"], row["unit"]) == (username, unit)), None)

    def _own(self, username: str, path: str) -> Page:
        return self.browsers[username].open(self.stage.tool_url + path)

    def _at_zoom(self, page: Page) -> Page | None:
        """The page, once it is Zoom's: while Zoom makes the own link, another one asks for a moment's patience."""
        return page if page.url.startswith(f"{self.stage.zoom_url}/join/") else None

    def _join_address(self, page: Page) -> str:
        path = next((link for link in page.document.links if "/join?" in link), None)
        expect(path, "the page of an open module has a join link")
        return f"{self.stage.tool_url}{path}"

    def _record_licence(self, username: str) -> None:
        kind, state, number = self.licences[username]
        trainee = ("--trainee", f"{username}@example.org", "--name", f"{username.title()} as on the licence")
        licence = ("--type", kind, "--jurisdiction", state, "--number", number, "--verified")
        self.stage.gatehouse("licence", "add", *trainee, *licence, "--issued", "2019-03-01", "--expires", "2044-02-29")

    def _import_completion(self, username: str, module: str, day: str) -> None:
        """A past completion by CSV: a dry run first, then the commit of the very same file."""
        file = self.stage.folder / "completions.csv"
        header = "person_key_type,person_key,family_name,given_name,title_as_taken,catalogue,module,completed_on"
        row = f"email,{username}@example.org,,,,current,{module},{day},day,roster 2024,,"
        file.write_text(f"{header},date_precision,origin,evidence_ref,note\n{row}\n", encoding="utf-8")
        preview = self.stage.gatehouse_json("completions", "import", str(file))
        expect(preview["counts"].get("new") == 1, f"the dry run finds one new completion: {preview}")
        self.stage.gatehouse("completions", "import", str(file), "--commit", preview["digest"])

    def _ended(self) -> dict[str, Any] | None:
        report: dict[str, Any] = self.stage.zoom_json("status.json")
        return report if report["state"] == "ended" else None

    def _awards(self, username: str) -> dict[str, str]:
        shown = self.stage.gatehouse_json("credit", "show", "--trainee", f"{username}@example.org")
        return {row["body"]: row["credits"] for row in shown if row["state"] == "awarded"}
