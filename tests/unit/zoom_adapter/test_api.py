"""The client at the wire: paths, bodies, pages, repeats, and what never leaves a log line."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import responses

from lti_tool import log
from lti_tool.context import AppContext
from lti_tool.errors import NoAnswer, OutboundError
from lti_tool.http import Http
from lti_tool.settings import Settings
from lti_tool.worker import zoom_api
from tests.clock import TestClock
from zoom_adapter.api import NewRegistrant, Registered, ZoomApi
from zoom_adapter.api_calls import MAX_NEW_BEGINNINGS, Limits
from zoom_adapter.api_errors import ZoomRefused

pytestmark = pytest.mark.databases("sqlite")

API = "https://api.zoom.us/v2"
MEETING = "86400001234"
UUID = "Qm9yZWFsaXMwMDAwMDAwMQ=="
ONCE = "Qm9yZWFsaXMwMDAwMDAwMQ%3D%3D"
ADA = NewRegistrant("Ada@example.org", "Ada", "Lindholm")
NO_INSTANCE = {"meetings": []}
FORMS = {
    UUID: (ONCE, "Qm9yZWFsaXMwMDAwMDAwMQ%253D%253D"),
    "a+b=": ("a%2Bb%3D", "a%252Bb%253D"),
    "/ab=": ("%252Fab%253D", "%2Fab%3D"),
    "a//b": ("a%252F%252Fb", "a%2F%2Fb"),
    "a/b+": ("a%252Fb%252B", "a%2Fb%2B"),
}


@pytest.fixture
def own(settings: Settings) -> Settings:
    """Settings with credentials for Zoom."""
    secrets = {"zoom_account_id": "account", "zoom_client_id": "client", "zoom_client_secret": "a secret"}
    return replace(settings, zoom_app_id="app", **secrets)


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def api(own: Settings, clock: TestClock, wire: responses.RequestsMock, slept: list[float]) -> ZoomApi:
    wire.post("https://zoom.us/oauth/token", json={"access_token": "token-1", "expires_in": 3600})
    limits = Limits("business", clock, monotonic=lambda: 0.0, sleep=slept.append)
    return ZoomApi(Http(), own, clock, limits=limits)


def asked(wire: responses.RequestsMock) -> list[tuple[str, str]]:
    """(method, path as it was sent) of every call but those for tokens."""
    calls = [(call.request.method, urlsplit(call.request.url).path) for call in wire.calls]
    return [(method, path.removeprefix("/v2/")) for method, path in calls if path != "/oauth/token"]


def queries(wire: responses.RequestsMock) -> list[dict[str, str]]:
    of_api = [call for call in wire.calls if "/v2/" in call.request.url]
    return [dict(parse_qsl(urlsplit(call.request.url).query)) for call in of_api]


def body_of(wire: responses.RequestsMock) -> Any:
    return json.loads(wire.calls[-1].request.body)


def page(token: str, *rows: Any, name: str = "participants") -> dict[str, Any]:
    return {"next_page_token": token, name: list(rows)}


def refused_by(ask: Callable[[], object]) -> ZoomRefused:
    with pytest.raises(ZoomRefused) as refused:
        ask()
    return refused.value


class TestPages:
    PATH = f"{API}/report/meetings/{ONCE}/participants"
    EXPIRED = {"code": 300, "message": "The next page token is invalid or expired."}  # noqa: RUF012

    def test_all_pages_are_asked_for_with_the_same_parameters(self, api: ZoomApi, wire) -> None:
        for token, row in (("second", {"n": 1}), ("th/i+rd=", {"n": 2}), ("", {"n": 3})):
            wire.get(self.PATH, json=page(token, row))
        assert api.participants("meeting", UUID) == [{"n": 1}, {"n": 2}, {"n": 3}]
        same = {"include_fields": "registrant_id", "page_size": "300"}
        assert queries(wire) == [
            same,
            {**same, "next_page_token": "second"},
            {**same, "next_page_token": "th/i+rd="},
        ]

    @pytest.mark.parametrize("last", [{"participants": []}, {"participants": [], "next_page_token": None}])
    def test_a_list_without_a_token_for_more_is_at_its_end(self, api: ZoomApi, wire, last: dict[str, Any]) -> None:
        wire.get(self.PATH, json=last)
        assert api.participants("meeting", UUID) == []

    @pytest.mark.parametrize("trouble", [{"status": 500}, {"body": "<html>"}, {"json": {"next_page_token": ""}}])
    def test_a_third_page_that_fails_fails_the_whole(self, api: ZoomApi, wire, trouble: dict[str, Any]) -> None:
        wire.get(self.PATH, json=page("second", {"n": 1}))
        wire.get(self.PATH, json=page("third", {"n": 2}))
        wire.get(self.PATH, **trouble)
        with pytest.raises(NoAnswer):
            api.participants("meeting", UUID)

    @pytest.mark.parametrize("tokens", [("a", "a"), ("a", "b", "a"), (["a"],), ({"a": 1},)])
    def test_pages_that_go_round_in_a_circle_end(self, api: ZoomApi, wire, tokens: tuple[Any, ...]) -> None:
        for token in tokens:
            wire.get(self.PATH, json=page(token, {"n": 1}))
        with pytest.raises(NoAnswer, match="zoom_pages_endless"):
            api.participants("meeting", UUID)
        assert len(asked(wire)) == len(tokens)

    def test_rows_that_are_no_objects_are_left_out(self, api: ZoomApi, wire) -> None:
        wire.get(self.PATH, json=page("", {"n": 1}, "row", None))
        assert api.participants("meeting", UUID) == [{"n": 1}]

    def test_a_list_whose_page_token_expired_is_begun_again(self, api: ZoomApi, wire) -> None:
        wire.get(self.PATH, json=page("second", {"n": 1}))
        wire.get(self.PATH, status=400, json=self.EXPIRED)
        wire.get(self.PATH, json=page("other", {"n": 1}))
        wire.get(self.PATH, json=page("", {"n": 2}))
        assert api.participants("meeting", UUID) == [{"n": 1}, {"n": 2}]
        assert [each.get("next_page_token") for each in queries(wire)] == [None, "second", None, "other"]

    def test_a_list_whose_page_tokens_keep_expiring_is_given_up_for_now(self, api: ZoomApi, wire) -> None:
        for number in range(1 + MAX_NEW_BEGINNINGS):
            wire.get(self.PATH, json=page(f"second-{number}", {"n": 1}))
            wire.get(self.PATH, status=400, json=self.EXPIRED)
        with pytest.raises(NoAnswer, match="zoom_pages_expired") as given_up:
            api.participants("meeting", UUID)
        assert "bug in Gatehouse" not in f"{given_up.value.message} {given_up.value.next_step}"

    def test_a_first_page_that_zoom_calls_invalid_is_a_fault_of_ours(self, api: ZoomApi, wire) -> None:
        wire.get(self.PATH, status=400, json={"code": 300, "message": "Invalid field."})
        assert refused_by(lambda: api.participants("meeting", UUID)).code == "zoom_request_invalid"

    def test_a_page_of_several_megabytes_is_taken(self, api: ZoomApi, wire) -> None:
        rows = [{"name": "x" * 10_000} for _ in range(300)]
        wire.get(self.PATH, json=page("", *rows))
        assert len(api.participants("meeting", UUID)) == 300


class TestUuids:
    @pytest.mark.parametrize("uuid", FORMS)
    def test_the_likelier_form_is_asked_for_first(self, api: ZoomApi, wire, uuid: str) -> None:
        first, _ = FORMS[uuid]
        wire.get(f"{API}/past_meetings/{first}/participants", json=page("", {"n": 1}))
        assert api.past_participants(uuid) == [{"n": 1}]
        assert asked(wire) == [("GET", f"past_meetings/{first}/participants")]

    @pytest.mark.parametrize("uuid", FORMS)
    def test_the_other_form_is_asked_for_where_zoom_finds_nothing(self, api: ZoomApi, wire, uuid: str) -> None:
        first, other = FORMS[uuid]
        wire.get(f"{API}/report/meetings/{first}/polls", json={"code": 3001}, status=404)
        wire.get(f"{API}/report/meetings/{other}/polls", json={"questions": [{"email": "ada@example.org"}]})
        assert api.polls("meeting", uuid) == [{"email": "ada@example.org"}]

    def test_where_neither_is_found_zoom_said_so(self, api: ZoomApi, wire) -> None:
        for form in FORMS[UUID]:
            wire.get(f"{API}/report/webinars/{form}/participants", json={"code": 3001}, status=404)
        assert refused_by(lambda: api.participants("webinar", UUID)).code == "zoom_not_found"
        assert len(asked(wire)) == 2

    def test_any_other_refusal_is_no_reason_to_ask_again(self, api: ZoomApi, wire) -> None:
        wire.get(f"{API}/report/meetings/{ONCE}/participants", json={"code": 12702}, status=400)
        assert refused_by(lambda: api.participants("meeting", UUID)).code == "zoom_too_old"
        assert len(asked(wire)) == 1


class TestRegistrants:
    def test_one_person_is_registered_and_approved(self, api: ZoomApi, wire) -> None:
        answer = {"registrant_id": "rg-1", "join_url": "https://zoom.example.org/w/1?tk=x", "id": 7}
        wire.post(f"{API}/meetings/{MEETING}/registrants", json=answer, status=201)
        made = api.register("meeting", MEETING, ADA)
        assert made == Registered("rg-1", "https://zoom.example.org/w/1?tk=x", "ada@example.org")
        assert body_of(wire) == {
            "email": "Ada@example.org",
            "first_name": "Ada",
            "last_name": "Lindholm",
            "auto_approve": True,
        }

    @pytest.mark.parametrize("answer", [{}, {"registrant_id": "rg-1"}, {"registrant_id": [], "join_url": "x"}])
    def test_a_registration_without_id_or_link_is_none(self, api: ZoomApi, wire, answer: dict[str, Any]) -> None:
        wire.post(f"{API}/meetings/{MEETING}/registrants", json=answer, status=201)
        with pytest.raises(NoAnswer, match="zoom_answer_unreadable"):
            api.register("meeting", MEETING, ADA)

    def test_a_batch_sends_no_mail_and_leaves_out_whom_zoom_left_out(self, api: ZoomApi, wire) -> None:
        rows = [{"email": "Ada@Example.org", "join_url": "u", "registrant_id": "rg-1"}, {"email": "bo@example.org"}]
        wire.post(f"{API}/webinars/{MEETING}/batch_registrants", json={"registrants": rows}, status=201)
        bo = NewRegistrant("bo@example.org", "Bo", "Nwosu")
        assert api.register_many("webinar", MEETING, [ADA, bo]) == [Registered("rg-1", "u", "ada@example.org")]
        sent = body_of(wire)
        assert (sent["auto_approve"], sent["registrants_confirmation_email"]) == (True, False)
        assert sent["registrants"] == [ADA._asdict(), bo._asdict()]

    def test_states_are_changed_thirty_at_a_time(self, api: ZoomApi, wire) -> None:
        wire.put(f"{API}/meetings/{MEETING}/registrants/status", status=204)
        api.change_status("meeting", MEETING, "cancel", [(f"rg-{n}", f"p{n}@example.org") for n in range(61)])
        bodies = [json.loads(call.request.body) for call in wire.calls if call.request.method == "PUT"]
        assert [len(each["registrants"]) for each in bodies] == [30, 30, 1]
        assert {each["action"] for each in bodies} == {"cancel"}
        assert bodies[0]["registrants"][1] == {"id": "rg-1", "email": "p1@example.org"}

    def test_registrants_are_listed_by_status(self, api: ZoomApi, wire) -> None:
        wire.get(f"{API}/webinars/{MEETING}/registrants", json=page("", {"id": "rg-1"}, name="registrants"))
        assert api.registrants("webinar", MEETING, "pending") == [{"id": "rg-1"}]
        assert queries(wire)[0]["status"] == "pending"

    @pytest.mark.parametrize(
        ("zoom_code", "code"), [(3027, "zoom_host_cannot_register"), (3043, "zoom_registrants_full")]
    )
    def test_a_refused_registration_says_why(self, api: ZoomApi, wire, zoom_code: int, code: str) -> None:
        wire.post(f"{API}/meetings/{MEETING}/registrants", json={"code": zoom_code}, status=400)
        assert refused_by(lambda: api.register("meeting", MEETING, ADA)).code == code

    def test_a_number_that_is_none_stays_within_its_step_of_the_path(self, api: ZoomApi, wire) -> None:
        wire.get(f"{API}/meetings/..%2Fusers%3Fx", json={"settings": {}})
        assert api.meeting_settings("meeting", "../users?x") == {}


class TestOtherQuestions:
    def test_instances_come_in_order_with_their_start(self, api: ZoomApi, wire) -> None:
        rows = [
            {"uuid": "b==", "start_time": "2026-12-02T17:00:00Z"},
            {"uuid": "a==", "start_time": "2026-12-01T17:00:00.123Z"},
            {"uuid": "", "start_time": "2026-12-01T17:00:00Z"},
            {"uuid": "c==", "start_time": "yesterday"},
        ]
        wire.get(f"{API}/past_webinars/{MEETING}/instances", json={"webinars": rows})
        assert api.instances("webinar", MEETING) == [
            ("a==", datetime(2026, 12, 1, 17, 0, 0, 123000, tzinfo=UTC)),
            ("b==", datetime(2026, 12, 2, 17, tzinfo=UTC)),
        ]

    def test_the_log_is_asked_for_by_type_and_time(self, api: ZoomApi, wire, now: datetime) -> None:
        wire.get(f"{API}/marketplace/apps/app/webhook_logs", json=page("", name="webhook_logs"))
        for failed_only in (True, False):
            api.webhook_log(now - timedelta(hours=1), now, failed_only=failed_only)
        window = {"from": "2026-12-01T17:00:00Z", "to": "2026-12-01T18:00:00Z", "page_size": "300"}
        assert queries(wire) == [{**window, "type": "2"}, {**window, "type": "1"}]

    def test_settings_of_a_converted_meeting_come_from_the_webinars_path(self, api: ZoomApi, wire) -> None:
        wire.get(f"{API}/meetings/{MEETING}", json={"code": 3000}, status=400)
        wire.get(f"{API}/webinars/{MEETING}", json={"settings": {"approval_type": 0}})
        assert api.meeting_settings("meeting", MEETING) == {"approval_type": 0}

    def test_a_webinar_that_zoom_calls_one_is_not_asked_for_twice(self, api: ZoomApi, wire) -> None:
        wire.get(f"{API}/webinars/{MEETING}", json={"code": 3000}, status=400)
        assert refused_by(lambda: api.meeting_settings("webinar", MEETING)).code == "zoom_is_webinar"


class TestPatience:
    PATH = f"{API}/past_meetings/{MEETING}/instances"

    def test_a_401_is_asked_once_more_with_a_new_token(self, api: ZoomApi, wire) -> None:
        wire.post("https://zoom.us/oauth/token", json={"access_token": "token-2", "expires_in": 3600})
        wire.get(self.PATH, json={"code": 124}, status=401)
        wire.get(self.PATH, json=NO_INSTANCE)
        assert api.instances("meeting", MEETING) == []
        tokens = [call.request.headers["Authorization"] for call in wire.calls if "/v2/" in call.request.url]
        assert tokens == ["Bearer token-1", "Bearer token-2"]

    def test_a_second_401_is_a_refusal(self, api: ZoomApi, wire) -> None:
        wire.get(self.PATH, json={"code": 124}, status=401)
        assert refused_by(lambda: api.instances("meeting", MEETING)).code == "zoom_token_refused"
        assert len(asked(wire)) == 2

    def test_a_missing_scope_is_not_asked_again(self, api: ZoomApi, wire) -> None:
        wire.get(self.PATH, json={"code": 4700, "message": "Token lacks it."}, status=401)
        found = refused_by(lambda: api.instances("meeting", MEETING))
        assert found.message == "The Zoom app lacks the scope meeting:read:list_past_instances:admin."
        assert len(asked(wire)) == 1

    def test_a_429_of_the_second_is_waited_for_and_repeated(self, api: ZoomApi, wire, slept: list[float]) -> None:
        wire.get(self.PATH, status=429, headers={"Retry-After": "3", "X-RateLimit-Type": "QPS"})
        wire.get(self.PATH, json=NO_INSTANCE)
        assert api.instances("meeting", MEETING) == []
        assert 3 <= slept[0] <= 3.5

    def test_patience_has_an_end(self, api: ZoomApi, wire, slept: list[float], clock: TestClock) -> None:
        wire.get(self.PATH, status=429, json={"code": 429, "message": "You have reached the maximum per-second rate."})
        found = refused_by(lambda: api.instances("meeting", MEETING))
        assert (found.code, found.retry_at) == ("zoom_rate_limited", clock() + timedelta(seconds=1))
        assert len(asked(wire)) == 4

    def test_nobody_waits_for_minutes_inside_a_call(self, api: ZoomApi, wire, slept: list[float]) -> None:
        wire.get(self.PATH, status=429, headers={"Retry-After": "600"})
        assert refused_by(lambda: api.instances("meeting", MEETING)).code == "zoom_rate_limited"
        assert slept == []

    @pytest.mark.parametrize("status", [429, 503])
    def test_zoom_is_not_asked_before_the_time_that_it_names(
        self, api: ZoomApi, wire, clock: TestClock, status: int
    ) -> None:
        wire.get(self.PATH, status=status, headers={"Retry-After": "600"})
        with pytest.raises(OutboundError):
            api.instances("meeting", MEETING)
        clock.advance(seconds=599)
        assert refused_by(lambda: api.instances("meeting", MEETING)).retry_at == clock() + timedelta(seconds=1)
        assert len(asked(wire)) == 1
        clock.advance(seconds=1)
        with pytest.raises(OutboundError):
            api.instances("meeting", MEETING)
        assert len(asked(wire)) == 2

    @pytest.mark.parametrize(
        "shown",
        [
            {"headers": {"X-RateLimit-Type": "Daily-limit", "Retry-After": "2026-12-02T00:00:00Z"}},
            {"json": {"code": 429, "message": "You have reached the maximum daily rate limit for this API."}},
        ],
    )
    def test_a_daily_limit_closes_until_zoom_opens_again(self, api: ZoomApi, wire, clock, shown: dict) -> None:
        wire.get(self.PATH, status=429, **shown)
        for _ in range(2):
            found = refused_by(lambda: api.instances("meeting", MEETING))
            assert (found.code, found.retry_at) == ("zoom_daily_limit", datetime(2026, 12, 2, tzinfo=UTC))
        assert len(asked(wire)) == 1
        clock.at = datetime(2026, 12, 2, tzinfo=UTC)
        wire.replace(responses.GET, self.PATH, json=NO_INSTANCE)
        wire.post("https://zoom.us/oauth/token", json={"access_token": "token-2"})
        assert api.instances("meeting", MEETING) == []

    def test_the_daily_limit_of_one_registrant_stops_nobody_else(self, api: ZoomApi, wire) -> None:
        message = "You have exceeded the daily rate limit (3) of Add meeting registrant for the registrant."
        path = f"{API}/meetings/{MEETING}/registrants"
        wire.post(path, status=429, json={"code": 429, "message": message})
        wire.post(path, status=201, json={"registrant_id": "rg-2", "join_url": "u"})
        found = refused_by(lambda: api.register("meeting", MEETING, ADA))
        assert (found.code, found.retry_at) == ("zoom_registrant_limit", datetime(2026, 12, 2, tzinfo=UTC))
        assert api.register("meeting", MEETING, ADA).registrant_id == "rg-2"

    def test_the_headers_of_a_success_are_obeyed(self, api: ZoomApi, wire, slept: list[float]) -> None:
        wire.get(self.PATH, json=NO_INSTANCE, headers={"X-RateLimit-Type": "QPS", "X-RateLimit-Remaining": "0"})
        api.instances("meeting", MEETING)
        api.instances("meeting", MEETING)
        assert slept == [1.0]

    def test_a_silent_zoom_is_silence(self, api: ZoomApi, wire) -> None:
        wire.get(self.PATH, body=ConnectionError())
        with pytest.raises(NoAnswer, match="no_answer"):
            api.instances("meeting", MEETING)


def test_no_log_line_and_no_refusal_names_anybody_or_anything_secret(
    api: ZoomApi, wire: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = {"code": 300, "message": "ada@example.org Ada Lindholm is not valid", "access_token": "token-1"}
    wire.post(f"{API}/meetings/{MEETING}/registrants", json=said, status=400)
    wire.get(f"{API}/past_meetings/{MEETING}/instances", json=said, status=429)
    refusals = [
        refused_by(lambda: api.register("meeting", MEETING, ADA)),
        refused_by(lambda: api.instances("meeting", MEETING)),
    ]
    shown = " ".join(log.JsonLines().format(record) for record in caplog.records if record.name.startswith("zoom"))
    shown += " ".join(f"{each!r} {each.message} {each.next_step}" for each in refusals)
    assert "zoom_rate_limited" in shown
    assert [each for each in ("ada@", "Ada", "Lindholm", "token-1", "a secret") if each in shown] == []


def test_without_credentials_there_is_no_zoom_to_be_asked(context: AppContext, own: Settings) -> None:
    assert zoom_api(context) is None
    assert isinstance(zoom_api(replace(context, settings=own)), ZoomApi)
