"""What Zoom refuses becomes a stable code, a sentence and a next step; nothing that it wrote leaks."""

import json

import pytest

from lti_tool.errors import NoAnswer
from lti_tool.http import Reply
from zoom_adapter.api_errors import REFUSALS, ZoomRefused, refusal

SCOPE = "report:read:list_meeting_participants:admin"


def reply(status: int, code: object = None, message: str = "maya@example.org is not allowed") -> Reply:
    return Reply(status, {}, json.dumps({"code": code, "message": message}).encode())


@pytest.mark.parametrize(
    ("status", "zoom_code", "code"),
    [
        (400, 200, "zoom_not_permitted"),
        (400, 1010, "zoom_not_permitted"),
        (404, 1001, "zoom_not_permitted"),
        (400, 300, "zoom_request_invalid"),
        (400, 3000, "zoom_is_webinar"),
        (404, 3001, "zoom_not_found"),
        (404, "3001", "zoom_not_found"),
        (404, None, "zoom_not_found"),
        (400, 3027, "zoom_host_cannot_register"),
        (400, 3043, "zoom_registrants_full"),
        (400, 12702, "zoom_too_old"),
        (401, 124, "zoom_token_refused"),
        (401, None, "zoom_token_refused"),
        (400, 9999, "zoom_refused"),
        (418, [], "zoom_refused"),
    ],
)
def test_every_code_of_zoom_says_what_staff_can_do(status: int, zoom_code: object, code: str) -> None:
    found = refusal(reply(status, zoom_code), SCOPE)
    assert isinstance(found, ZoomRefused)
    assert (found.code, found.answered) == (code, status)
    assert found.next_step
    assert "maya" not in f"{found} {found.message} {found.next_step}"


@pytest.mark.parametrize("zoom_code", [4700, 4711, 104])
def test_the_missing_scopes_are_named_as_zoom_names_them(zoom_code: int) -> None:
    message = f"Invalid access token, does not contain scopes:[{SCOPE}, report:read:admin]."
    found = refusal(reply(400, zoom_code, message), "another:scope:admin")
    assert found.code == "zoom_scope_missing"
    assert found.message == f"The Zoom app lacks the scope {SCOPE} or report:read:admin."


@pytest.mark.parametrize("message", ["", "does not contain scopes:[maya@example.org, <b>]", "does not contain scopes"])
def test_a_scope_that_zoom_does_not_name_is_named_by_the_call(message: str) -> None:
    assert refusal(reply(400, 4711, message), SCOPE).message == f"The Zoom app lacks the scope {SCOPE}."


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"\xff", b'{"code": 1e999}', b"[" * 100_000])
def test_an_answer_of_any_kind_is_judged_by_its_status(body: bytes) -> None:
    assert refusal(Reply(403, {}, body), SCOPE).code == "zoom_refused"
    trouble = refusal(Reply(502, {}, body), SCOPE)
    assert (type(trouble), trouble.code) == (NoAnswer, "zoom_unavailable")


def test_no_code_of_zoom_stands_for_two_things() -> None:
    codes = [code for each in REFUSALS for code in each.zoom_codes]
    assert len(codes) == len(set(codes))
