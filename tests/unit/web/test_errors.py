"""Refusals and faults as pages and as JSON."""

import logging

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from lti_tool.errors import Conflict
from lti_tool.web.session import access

pytestmark = pytest.mark.databases("sqlite")
SECRET = "trainee1@example.org"


@pytest.fixture
def faulty(app: Flask) -> FlaskClient:
    """The tool with four pages that fail, each in its way."""

    def failing(error: Exception):
        @access("public")
        def view() -> str:
            raise error

        return view

    app.testing = False
    app.add_url_rule("/refused", "refused", failing(Conflict("kept_shut", "It is shut.", "Come back.")))
    app.add_url_rule("/zoom/refused", "zoom_refused", failing(Conflict("kept_shut", "It is shut.", "Come back.")))
    app.add_url_rule("/broken", "broken", failing(ZeroDivisionError(SECRET)))
    app.add_url_rule("/away", "away", failing(OperationalError(SECRET, {}, Exception(SECRET))))
    return app.test_client()


def test_a_refusal_is_a_page_with_what_happened_what_to_do_and_the_code(faulty: FlaskClient) -> None:
    answer = faulty.get("/refused")
    assert answer.status_code == 409
    for part in ("It is shut.", "Come back.", "kept_shut", "<h1"):
        assert part in answer.get_data(as_text=True)


@pytest.mark.parametrize(("path", "headers"), [("/zoom/refused", {}), ("/refused", {"Accept": "application/json"})])
def test_machines_get_json(faulty: FlaskClient, path: str, headers: dict[str, str]) -> None:
    answer = faulty.get(path, headers=headers)
    assert answer.json == {"error": "kept_shut", "message": "It is shut.", "next_step": "Come back."}


def test_a_fault_shows_a_reference_and_no_trace_of_what_it_held(faulty: FlaskClient) -> None:
    answer = faulty.get("/broken")
    text = answer.get_data(as_text=True)
    assert answer.status_code == 500
    assert "unexpected_error" in text
    assert SECRET not in text
    assert "Traceback" not in text


def test_the_log_line_of_a_fault_carries_the_same_reference(
    faulty: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = faulty.get("/broken", headers={"Accept": "application/json"})
    (record,) = [each for each in caplog.records if each.name == "lti_tool.web.errors"]
    assert record.getMessage() == "unexpected error"
    assert vars(record)["reference"] == answer.json["reference"]


def test_a_database_that_is_away_says_when_to_come_again(faulty: FlaskClient) -> None:
    answer = faulty.get("/away")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert SECRET not in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (OperationalError(SECRET, {}, Exception(SECRET)), 503, "database_away"),
        (ZeroDivisionError(SECRET), 500, "unexpected_error"),
    ],
)
def test_what_fails_after_the_view_is_told_like_what_fails_in_it(
    app: Flask, error: Exception, status: int, code: str
) -> None:
    app.testing = False
    failing = iter([error])

    @app.after_request
    def commit(response):
        for each in failing:
            raise each
        return response

    answer = app.test_client().get("/healthz")
    assert (answer.status_code, answer.json["error"]) == (status, code)
    assert ("reference" in answer.json) == (status == 500)


def test_an_unknown_address_and_a_wrong_method_are_pages_too(client: FlaskClient) -> None:
    missing, wrong = client.get("/nothing"), client.post("/healthz")
    assert (missing.status_code, "page_unknown" in missing.get_data(as_text=True)) == (404, True)
    assert (wrong.status_code, wrong.json["error"]) == (405, "method_not_allowed")
    assert "GET" in wrong.headers["Allow"]


def test_a_form_that_is_too_large_is_refused_in_words(app: Flask, client: FlaskClient) -> None:
    answer = client.post("/lti/launch", data={"id_token": "x" * (3 * 1024 * 1024)})
    assert answer.status_code == 413
    assert "form_too_large" in answer.get_data(as_text=True)
    assert "larger than 256 KB" in answer.get_data(as_text=True)


@pytest.mark.parametrize("host", [".", "a..b"])
def test_a_host_that_is_none_is_refused_without_a_page(client: FlaskClient, host: str) -> None:
    answer = client.get("/lti/login", headers={"Host": host})
    assert answer.status_code == 400
    assert answer.json["error"] == "request_unreadable"


def test_an_unknown_address_has_a_way_home_for_who_is_signed_in(browse, happened) -> None:
    assert "/" in browse(happened.new).open("/nothing/here").links
    assert "/desk" in browse(happened.staff).open("/nothing/here").links
