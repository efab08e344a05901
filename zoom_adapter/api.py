"""The calls of Zoom's REST interface that Gatehouse uses: reports, registrants, polls, settings, the delivery log.

Every method goes over the network: never call one inside a transaction or from a web request. Each raises `ZoomRefused`
for a refusal and NoAnswer if there is no answer; a method that lists returns everything or raises. Paths, weights and
scopes: zoom.md §6.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

from lti_tool.db import chunks
from lti_tool.errors import BadInput
from lti_tool.http import Http
from lti_tool.settings import Settings
from lti_tool.text import email_address
from zoom_adapter.api_calls import Call, Calls, Limits, Question, ZoomTokens, number_path, uuid_forms
from zoom_adapter.api_errors import ZoomRefused, text_of, unreadable
from zoom_adapter.events import instant

Kind = Literal["meeting", "webinar"]
Action = Literal["approve", "deny", "cancel"]
Found = TypeVar("Found")

# The most registrants that Zoom takes in one call.
MAX_REGISTRANTS_PER_CALL = 30
# The `type` of the delivery log: all deliveries, or those that failed.
LOG_ALL, LOG_FAILED = "1", "2"


class NewRegistrant(NamedTuple):
    """A person to register."""

    email: str
    first_name: str
    last_name: str


class Registered(NamedTuple):
    """A registration at Zoom; `email` is as `text.email_address` gives it."""

    registrant_id: str
    join_url: str
    email: str


class ZoomApi:
    """The interface with one account's credentials. Safe to use from several threads."""

    def __init__(
        self, http: Http, settings: Settings, clock: Callable[[], datetime], *, limits: Limits | None = None
    ) -> None:
        self._app_id = settings.zoom_app_id
        self._calls = Calls(http, ZoomTokens(http, settings, clock), limits or Limits(settings.zoom_plan, clock))

    @property
    def has_log(self) -> bool:
        """Whether the delivery log can be read: the app's id is set."""
        return bool(self._app_id)

    def participants(self, kind: Kind, uuid: str) -> list[dict[str, Any]]:
        """The participant report of one instance: every row of every page, as Zoom gave it."""

        def fetch(of: str, step: str) -> list[dict[str, Any]]:
            call = Call("heavy", f"report:read:list_{of}_participants:admin")
            parameters = {"include_fields": "registrant_id"}
            return self._calls.pages(
                Question(call, f"report/{of}s/{step}/participants", parameters=parameters), "participants"
            )

        return _by_kind(kind, lambda of: _by_uuid(uuid, lambda step: fetch(of, step)))

    def past_participants(self, uuid: str) -> list[dict[str, Any]]:
        """The participants of a past meeting, where the report is missing. May be empty just after the end."""
        call = Call("medium", "meeting:read:list_past_participants:admin")
        return _by_uuid(
            uuid, lambda step: self._calls.pages(Question(call, f"past_meetings/{step}/participants"), "participants")
        )

    def instances(self, kind: Kind, meeting_id: str) -> list[tuple[str, datetime]]:
        """Every past instance of a meeting: (uuid, start as aware UTC), in order of start."""

        def fetch(of: str) -> list[dict[str, Any]]:
            call = Call("light", f"{of}:read:list_past_instances:admin")
            answer = self._calls.ask(Question(call, f"past_{of}s/{number_path(meeting_id)}/instances"))
            return _rows(answer, f"{of}s")

        found = [(text_of(each, "uuid"), instant(each.get("start_time"))) for each in _by_kind(kind, fetch)]
        return sorted({(uuid, at) for uuid, at in found if uuid and at}, key=lambda each: (each[1], each[0]))

    def polls(self, kind: Kind, uuid: str) -> list[dict[str, Any]]:
        """The poll answers of one instance: rows of {email, name, question_details: […]}; empty without polls."""

        def fetch(of: str, step: str) -> list[dict[str, Any]]:
            call = Call("heavy", f"report:read:list_{of}_polls:admin")
            return _rows(self._calls.ask(Question(call, f"report/{of}s/{step}/polls")), "questions")

        return _by_kind(kind, lambda of: _by_uuid(uuid, lambda step: fetch(of, step)))

    def register(self, kind: Kind, meeting_id: str, person: NewRegistrant) -> Registered:
        """Register one person; a person who is already registered gets the same registration again."""

        def post(of: str) -> dict[str, Any]:
            call = Call("light", f"{of}:write:registrant:admin")
            body = {**person._asdict(), "auto_approve": True}
            return self._calls.ask(Question(call, _registrants(of, meeting_id), "POST", body=body))

        registered = _registered({"email": person.email, **_by_kind(kind, post)})
        if registered is None:
            raise unreadable()
        return registered

    def register_many(self, kind: Kind, meeting_id: str, people: Sequence[NewRegistrant]) -> list[Registered]:
        """Register up to 30 people in one call, approved and without an e-mail from Zoom.

        Zoom may leave people out: whoever is not in the answer is not registered.
        """
        if len(people) > MAX_REGISTRANTS_PER_CALL:
            raise ValueError(f"Zoom takes {MAX_REGISTRANTS_PER_CALL} registrants in one call")
        body = {
            "auto_approve": True,
            "registrants_confirmation_email": False,
            "registrants": [each._asdict() for each in people],
        }

        def post(of: str) -> dict[str, Any]:
            call = Call("heavy", f"{of}:write:batch_registrants:admin")
            path = f"{of}s/{number_path(meeting_id)}/batch_registrants"
            return self._calls.ask(Question(call, path, "POST", body=body))

        rows = _rows(_by_kind(kind, post), "registrants")
        return [found for each in rows if (found := _registered(each))]

    def change_status(
        self, kind: Kind, meeting_id: str, action: Action, registrants: Sequence[tuple[str, str]]
    ) -> None:
        """Approve, deny or cancel registrants, given as (registrant id, e-mail)."""

        def put(body: dict[str, Any], of: str) -> dict[str, Any]:
            call = Call("medium", f"{of}:update:registrant_status:admin")
            return self._calls.ask(Question(call, f"{_registrants(of, meeting_id)}/status", "PUT", body=body))

        for some in chunks(registrants, MAX_REGISTRANTS_PER_CALL):
            who = [{"id": registrant_id, "email": email} for registrant_id, email in some]
            _by_kind(kind, partial(put, {"action": action, "registrants": who}))

    def registrants(self, kind: Kind, meeting_id: str, status: str = "approved") -> list[dict[str, Any]]:
        """All registrants with this status: pending, approved or denied."""

        def fetch(of: str) -> list[dict[str, Any]]:
            call = Call("medium", f"{of}:read:list_registrants:admin")
            question = Question(call, _registrants(of, meeting_id), parameters={"status": status})
            return self._calls.pages(question, "registrants")

        return _by_kind(kind, fetch)

    def webhook_log(self, since: datetime, until: datetime, *, failed_only: bool) -> list[dict[str, Any]]:
        """Zoom's log of its deliveries to the app between two instants, which lie within the last seven days.

        Raises ZoomRefused `zoom_app_unknown` if the app's id is not set.
        """
        if not self._app_id:
            raise ZoomRefused(
                "zoom_app_unknown",
                "Gatehouse needs the id of the Zoom app to read Zoom's delivery log.",
                "Set GATEHOUSE_ZOOM_APP_ID to the id of the Zoom app.",
            )
        from_, to = (at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for at in (since, until))
        parameters = {"from": from_, "to": to, "type": LOG_FAILED if failed_only else LOG_ALL}
        call = Call("medium", "marketplace_app:read:admin")
        path = f"marketplace/apps/{number_path(self._app_id)}/webhook_logs"
        return self._calls.pages(Question(call, path, parameters=parameters), "webhook_logs")

    def meeting_settings(self, kind: Kind, meeting_id: str) -> dict[str, Any]:
        """The `settings` of a meeting or webinar as Zoom gives them; empty if it gives none."""

        def fetch(of: str) -> dict[str, Any]:
            call = Call("light", f"{of}:read:{of}:admin")
            return self._calls.ask(Question(call, f"{of}s/{number_path(meeting_id)}"))

        settings = _by_kind(kind, fetch).get("settings")
        return settings if isinstance(settings, dict) else {}


def verify_configured(api: ZoomApi | None) -> ZoomApi:
    """The interface. Raises BadInput "zoom_api_unset" if Gatehouse has no credentials for it."""
    if api is None:
        raise BadInput(
            "zoom_api_unset",
            "Gatehouse has no credentials for Zoom's REST interface.",
            "Set GATEHOUSE_ZOOM_ACCOUNT_ID, GATEHOUSE_ZOOM_CLIENT_ID and GATEHOUSE_ZOOM_CLIENT_SECRET.",
        )
    return api


def _by_kind(kind: Kind, ask: Callable[[str], Found]) -> Found:
    """Ask on the path of this kind; on the webinar's path if Zoom says the id is a webinar's (a converted meeting)."""
    try:
        return ask(kind)
    except ZoomRefused as refused:
        if refused.code != "zoom_is_webinar" or kind == "webinar":
            raise
    return ask("webinar")


def _by_uuid(uuid: str, ask: Callable[[str], Found]) -> Found:
    """Ask with the likelier form of the uuid; with the other form if Zoom does not find it."""
    first, other = uuid_forms(uuid)
    try:
        return ask(first)
    except ZoomRefused as refused:
        if refused.code != "zoom_not_found":
            raise
    return ask(other)


def _registrants(of: str, meeting_id: str) -> str:
    return f"{of}s/{number_path(meeting_id)}/registrants"


def _registered(row: dict[str, Any]) -> Registered | None:
    found = Registered(
        text_of(row, "registrant_id"), text_of(row, "join_url"), email_address(text_of(row, "email")) or ""
    )
    return found if all(found) else None


def _rows(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects of a list in an answer without pages; a missing list counts as empty."""
    found = answer.get(name, [])
    if not isinstance(found, list):
        raise unreadable()
    return [each for each in found if isinstance(each, dict)]
