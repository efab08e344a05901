"""The REST side of the simulated Zoom: tokens, registrants, reports, polls, instances, settings, the webhook log.

Shapes follow Zoom's documented samples. What goes wrong is switched at `/rest/switches`; `/rest/calls` tells what was
asked.
"""

import secrets
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, jsonify, request

from sandbox.zoom.account import text
from sandbox.zoom.rest_answers import Rest, now, page, refuse
from sandbox.zoom.rest_reports import report_pages
from sandbox.zoom.switches import SwitchError

SCOPES = {
    "participants": "report:read:list_{kind}_participants:admin",
    "past_participants": "meeting:read:list_past_participants:admin",
    "polls": "report:read:list_{kind}_polls:admin",
    "instances": "{kind}:read:list_past_instances:admin",
    "register": "{kind}:write:registrant:admin",
    "register_many": "{kind}:write:batch_registrants:admin",
    "list_registrants": "{kind}:read:list_registrants:admin",
    "change_status": "{kind}:update:registrant_status:admin",
    "settings": "{kind}:read:{kind}:admin",
    "webhook_logs": "marketplace_app:read:admin",
}
SETTINGS = {
    "approval_type": 0,
    "registration_type": 1,
    "allow_multiple_devices": False,
    "join_before_host": False,
    "waiting_room": True,
    "audio": "voip",
    "alternative_hosts": "",
}
MOST_IN_ONE_BATCH = 30


def rest_pages(rest: Rest) -> Blueprint:
    """All of it as one blueprint."""
    pages = Blueprint("rest", __name__)
    _switch_pages(pages, rest)
    _token_page(pages, rest)
    _guard(pages, rest)
    report_pages(pages, rest)
    _registrant_pages(pages, rest)
    _other_pages(pages, rest)
    return pages


def _switch_pages(pages: Blueprint, rest: Rest) -> None:
    @pages.route("/rest/switches", methods=["GET", "POST"])
    def switches() -> tuple[Response, int]:
        try:
            return jsonify(rest.board.turn(request.get_json(silent=True) if request.method == "POST" else {})), 200
        except SwitchError as error:
            return jsonify({"error": str(error)}), 400

    @pages.post("/rest/expire-tokens")
    def expire_tokens() -> Response:
        rest.tokens.clear()
        return jsonify({})

    @pages.post("/rest/garble-log")
    def garble_log() -> Response:
        rest.player.log.garble(request.args.get("every", 3, type=int))
        return jsonify({})

    @pages.get("/rest/calls")
    def calls() -> Response:
        return jsonify(rest.calls)


def _token_page(pages: Blueprint, rest: Rest) -> None:
    @pages.post("/oauth/token")
    def token() -> tuple[Response, int]:
        given = rest.credentials
        if _basic() != f"{given.client_id}:{given.client_secret}":
            return jsonify({"reason": "Invalid client_id or client_secret", "error": "invalid_client"}), 400
        if request.form.get("grant_type") != "account_credentials" or request.form["account_id"] != given.account_id:
            return jsonify({"reason": "Bad request", "error": "invalid_request"}), 400
        value, life = secrets.token_urlsafe(24), rest.board.now.token_seconds
        rest.tokens[value] = now() + timedelta(seconds=life)
        scopes = {scope.format(kind=kind) for scope in SCOPES.values() for kind in ("meeting", "webinar")}
        granted = sorted(scopes - set(rest.board.now.missing_scopes))
        said = {"access_token": value, "token_type": "bearer", "expires_in": life, "scope": " ".join(granted)}
        return jsonify({**said, "api_url": request.host_url.rstrip("/")}), 200


def _basic() -> str:
    try:
        return b64decode(request.headers.get("Authorization", "").removeprefix("Basic "), validate=True).decode()
    except (Base64Error, UnicodeDecodeError):
        return ""


def _guard(pages: Blueprint, rest: Rest) -> None:
    """Before each call: token, switched refusals, scope, and whether the number belongs on this path."""

    @pages.before_request
    def check() -> None:
        if not request.path.startswith("/v2/"):
            return
        page = 1 + rest.pages.get(request.args.get("next_page_token", ""), ("", 0))[1]
        if (told := rest.board.refusal(request.path, page)) is not None:
            refuse(told.status, told.code, told.message, dict(told.headers))
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if rest.tokens.get(bearer, now()) <= now():
            refuse(401, 124, "Invalid access token.")
        kind = (request.view_args or {}).get("kind", "meeting")
        scope = SCOPES[(request.endpoint or "").rpartition(".")[2]].format(kind=kind)
        if scope in rest.board.now.missing_scopes:
            refuse(400, 4711, f"Invalid access token, does not contain scopes:[{scope}].")
        number = (request.view_args or {}).get("number", "")
        if kind == "meeting" and number in rest.board.now.webinars:
            refuse(400, 3000, "This meeting is a webinar.")

    @pages.after_request
    def note(response: Response) -> Response:
        if request.path.startswith("/v2/"):
            rest.calls.append({"method": request.method, "path": request.path, "status": response.status_code})
        return response


def _registrant_pages(pages: Blueprint, rest: Rest) -> None:
    def registered(kind: str, number: str, person: Any) -> dict[str, Any]:
        if not isinstance(person, dict) or "@" not in str(person.get("email")) or not person.get("first_name"):
            refuse(400, 300, "Validation Failed.")
        made, is_new = rest.account.register(number, person, now())
        if is_new:
            rest.announce(kind, "registration_created", number, made)
        return {"registrant_id": made.id, "join_url": made.join_url, "email": made.email}

    @pages.post("/v2/<any(meeting, webinar):kind>s/<number>/registrants")
    def register(kind: str, number: str) -> tuple[Response, int]:
        made = registered(kind, number, request.get_json(silent=True))
        named = {name: made[name] for name in ("registrant_id", "join_url")}
        return jsonify({**named, "id": int(number), "topic": "Training day"}), 201

    @pages.post("/v2/<any(meeting, webinar):kind>s/<number>/batch_registrants")
    def register_many(kind: str, number: str) -> tuple[Response, int]:
        people = (request.get_json(silent=True) or {}).get("registrants", [])
        if not people or len(people) > MOST_IN_ONE_BATCH:
            refuse(400, 300, "Validation Failed.")
        return jsonify({"registrants": [registered(kind, number, each) for each in people]}), 201

    @pages.get("/v2/<any(meeting, webinar):kind>s/<number>/registrants")
    def list_registrants(kind: str, number: str) -> Response:  # noqa: ARG001
        found = rest.account.registrants(number, request.args.get("status", "approved"))
        return page(rest, "registrants", [each.shown() for each in found])

    @pages.put("/v2/<any(meeting, webinar):kind>s/<number>/registrants/status")
    def change_status(kind: str, number: str) -> tuple[str, int]:
        given = request.get_json(silent=True) or {}
        if given.get("action") not in ("approve", "deny", "cancel"):
            refuse(400, 300, "Validation Failed.")
        for each in rest.account.change(number, given["action"], given.get("registrants", [])):
            rest.announce(kind, f"registration_{each.status}", number, each)
        return "", 204


def _other_pages(pages: Blueprint, rest: Rest) -> None:
    @pages.get("/v2/<any(meeting, webinar):kind>s/<number>")
    def settings(kind: str, number: str) -> Response:
        type_of = {"meeting": 8, "webinar": 9}[kind]
        return jsonify({"id": int(number), "type": type_of, "settings": {**SETTINGS, **rest.board.now.settings}})

    @pages.get("/v2/marketplace/apps/<app_id>/webhook_logs")
    def webhook_logs(app_id: str) -> Response:
        if app_id != rest.credentials.app_id:
            refuse(404, 2300, "The app does not exist.")
        wanted = _within(request.args.get("from", ""), request.args.get("to", ""))
        failed_only = request.args.get("type", "2") == "2"
        rows = [each for each in rest.player.log.rows() if wanted(each["date_time"])]
        return page(rest, "webhook_logs", [each for each in rows if not (failed_only and 200 <= each["status"] < 300)])


def _within(since: str, until: str) -> Callable[[str], bool]:
    """Texts of instants in one form sort as the instants do. Zoom looks back seven days."""
    if not since or not until or since < text(now() - timedelta(days=7, minutes=5)):
        refuse(400, 300, "The dates are not within the last seven days.")
    return lambda at: since <= at <= until
