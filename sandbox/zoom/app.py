"""The player's pages and its JSON: choose a class, see the cast, play the day."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import requests
from flask import Flask, Response, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue

from sandbox.zoom.account import Account
from sandbox.zoom.behaviours import BEHAVIOURS
from sandbox.zoom.plan import CAST, ZONE, Plan, PlanError, read_class, read_plan
from sandbox.zoom.player import Player
from sandbox.zoom.rest import rest_pages
from sandbox.zoom.rest_answers import Rest
from sandbox.zoom.running import PACES, RunningClass, keep_telling
from sandbox.zoom.training_day import TrainingDay

DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass
class Stage:
    """Where the player finds what it plays with: the classes by meeting id, and the people of the sandbox LMS."""

    player: Player
    meetings: dict[str, str] = field(default_factory=dict)
    state_url: str = ""
    lms_url: str = ""
    rest: Rest | None = None
    running: RunningClass | None = None

    def __post_init__(self) -> None:
        self.rest = self.rest or Rest(self.player, Account())

    def play(self, plan: Plan) -> bool:
        """Play a day in this account; False while another one is being played."""
        assert self.rest is not None
        account, day = self.rest.account, plan.day
        registered = {each.email.lower() for each in day.attendees if account.is_registered(day.meeting_id, each.email)}
        is_played = self.player.play(plan, registered)
        if is_played:
            account.hold(day)
        return is_played

    def hold_class(self, title: str, day: TrainingDay) -> RunningClass:
        """Begin a class that is under way: what has happened so far is sent before this returns, the rest in time."""
        assert self.rest is not None
        account = self.rest.account
        for registration in day.registrations():
            if not account.is_registered(day.meeting_id, registration["payload"]["object"]["registrant"]["email"]):
                self.player.send(registration)
        running = self.running = RunningClass(day, title, self.player.send)
        running.tell(_now())
        keep_telling(running, _now, lambda: account.hold(running.as_held()))
        return running

    def cast(self) -> list[dict[str, str]]:
        """The people of the LMS with what they do by default; nobody where the LMS does not answer."""
        if not self.state_url:
            return []
        try:
            with requests.Session() as session:
                session.trust_env = False
                known = session.get(self.state_url, timeout=(2, 5)).json()["people"]
        except (requests.RequestException, ValueError, KeyError):
            return []
        return [
            {
                "name": each["name"],
                "email": each["email"],
                "behaviour": CAST.get(each["username"], "all_day"),
                "note": each.get("note", ""),
            }
            for each in known
        ]

    def classes(self) -> list[dict[str, str]]:
        """Each class with the date in its label, today in Pacific time where it has none."""
        today = _now().astimezone(ZoneInfo(ZONE)).date().isoformat()
        return [
            {"id": meeting_id, "label": label, "date": (DAY.search(label) or [today])[0]}
            for meeting_id, label in self.meetings.items()
        ]


def create_player(stage: Stage) -> Flask:
    """The player as a Flask application."""
    assert stage.rest is not None
    app = Flask("sandbox.zoom")
    app.url_map.merge_slashes = False  # a uuid in a path may hold two in a row
    app.register_blueprint(rest_pages(stage.rest))

    @app.get("/")
    def page() -> str:
        return render_template(
            "player.html",
            classes=stage.classes(),
            cast=stage.cast(),
            behaviours=BEHAVIOURS,
            lms_url=stage.lms_url,
            running=stage.running.report(_now()) if stage.running else None,
            paces=PACES,
        )

    @app.get("/healthz")
    def healthz() -> Response:
        return jsonify({"status": "ok"})

    @app.get("/status.json")
    def status() -> Response:
        return jsonify(stage.player.report())

    @app.post("/play")
    def play() -> tuple[Response, int]:
        try:
            plan = read_plan(request.get_json(force=True, silent=True))
        except PlanError as error:
            return jsonify({"error": str(error)}), 400
        if not stage.play(plan):
            return jsonify({"error": "a day is being played; wait until it has ended"}), 409
        return jsonify(stage.player.report()), 202

    @app.post("/class")
    def hold_class() -> tuple[Response, int]:
        try:
            title, day = read_class(request.get_json(force=True, silent=True))
        except PlanError as error:
            return jsonify({"error": str(error)}), 400
        return jsonify(stage.hold_class(title, day).report(_now())), 202

    @app.post("/class/pace")
    def turn() -> ResponseReturnValue:
        pace = request.form.get("pace", type=int)
        if stage.running is None or pace not in PACES:
            return "No class is running, or it cannot run at this pace.", 400
        stage.running.turn(pace, _now())
        return redirect("/", 303)

    @app.get("/meetings")
    def meetings() -> Response:
        return jsonify(stage.classes())

    @app.post("/meetings")
    def add_meetings() -> tuple[Response, int]:
        added = _meetings(request.get_json(force=True, silent=True))
        if added is None:
            return jsonify({"error": "send an object of meeting ids and labels"}), 400
        stage.meetings.update(added)
        return jsonify(stage.classes()), 200

    @app.get("/join/<meeting_id>")
    def join(meeting_id: str) -> str:
        return render_template("join.html", meeting_id=meeting_id, label=stage.meetings.get(meeting_id, ""))

    return app


def _now() -> datetime:
    return datetime.now(UTC)


def _meetings(raw: Any) -> dict[str, str] | None:
    if not isinstance(raw, dict) or not all(isinstance(label, str) for label in raw.values()):
        return None
    return {str(meeting_id): label for meeting_id, label in raw.items()}
