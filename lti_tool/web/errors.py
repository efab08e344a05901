"""Every refusal and every fault as one page or one JSON value: what happened, what to do, and a stable code.

Never a stack trace. JSON goes to machines (Zoom, health checks, anybody who prefers it), a page to everybody else.
"""

import logging
import secrets
from typing import Any

from flask import Flask, Response, jsonify, make_response, render_template
from flask import request as http_request
from sqlalchemy.exc import OperationalError, TimeoutError
from werkzeug.exceptions import BadHost, HTTPException

from lti_tool.errors import GatehouseError
from lti_tool.web.request import abandon

log = logging.getLogger(__name__)

MACHINE_PATHS = ("/zoom/", "/healthz", "/readyz", "/metrics", "/lti/jwks.json", "/lti/notices")
TRY_AGAIN_SECONDS = 5

HEADINGS = {
    400: "This could not be understood",
    401: "This was not accepted",
    403: "This page is not open to you here",
    404: "There is nothing here",
    405: "This page does not work that way",
    409: "This cannot be changed now",
    413: "This is too large",
    422: "Please check what you entered",
    500: "Something went wrong on our side",
    502: "Another system did not answer as expected",
    503: "We cannot answer right now",
}

# What the web server refuses before any page of ours is asked: code, what happened, what to do.
REFUSALS = {
    400: ("request_unreadable", "The request could not be read.", "Go back and try again."),
    404: ("page_unknown", "This address leads to no page.", "Open the unit again from your course."),
    405: (
        "method_not_allowed",
        "This address cannot be used in this way.",
        "Open the page again and start from there.",
    ),
    413: ("body_too_large", "What was sent is larger than we accept.", "Send a smaller file or a shorter text."),
    415: ("media_type_unknown", "What was sent is in a form we do not read.", "Send it from the page's own form."),
}
AWAY = (OperationalError, TimeoutError)
REFUSED = ("request_refused", "The request was refused.", "Go back and try again.")


def register(app: Flask) -> None:
    """Answer every error of the app here."""
    app.register_error_handler(GatehouseError, refuse)
    app.register_error_handler(HTTPException, refuse_http)
    for away in AWAY:
        app.register_error_handler(away, wait)
    app.register_error_handler(Exception, apologise)


def refuse(error: GatehouseError) -> Response:
    """An expected refusal, in its own words; its code goes to the log."""
    abandon()
    tell = log.error if error.status >= 500 else log.info
    tell("refused", extra={"code": error.code})
    return _answer(error.status, error.code, error.message, error.next_step)


def refuse_http(error: HTTPException) -> Response:
    """No such page, a method it does not take, a body too large; redirects pass. What went wrong after the view, such
    as its commit, comes wrapped and is answered like the same error in a view."""
    original = getattr(error, "original_exception", None)
    if original is not None:
        return wait(original) if isinstance(original, AWAY) else apologise(original)
    abandon()
    if error.code is None or error.code < 400:
        return make_response(error.get_response())
    response = _answer(error.code, *REFUSALS.get(error.code, REFUSED))
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def wait(error: Exception) -> Response:
    """The database does not answer or has no connection free: 503, and when to come again."""
    abandon()
    log.error("database away", exc_info=error)
    response = _answer(503, "database_away", "Our database is not answering.", "Wait a moment, then try again.")
    response.headers["Retry-After"] = str(TRY_AGAIN_SECONDS)
    return response


def apologise(error: Exception) -> Response:
    """A fault of ours: a reference that leads to the log line, and nothing else."""
    abandon()
    reference = secrets.token_hex(4)
    log.error("unexpected error", exc_info=error, extra={"reference": reference})
    return _answer(
        500,
        "unexpected_error",
        "The page failed. Nothing you entered was saved.",
        f"Try again. If it fails again, write to us and name the reference {reference}.",
        reference=reference,
    )


def _answer(status: int, code: str, message: str, next_step: str, **more: str) -> Response:
    if _is_for_a_machine():
        body: dict[str, Any] = {"error": code, "message": message, "next_step": next_step, **more}
        response = jsonify(body)
    else:
        page = {"heading": _heading(status), "code": code, "message": message, "next_step": next_step}
        response = make_response(render_template("shared/error.html", **page))
    response.status_code = status
    return response


def _heading(status: int) -> str:
    if http_request.path == "/lti/register" and status != 500:
        return "The registration did not work"
    if http_request.path.startswith("/lti/") and status < 500:
        return "The launch did not work"
    return HEADINGS.get(status, HEADINGS[400])


def _is_for_a_machine() -> bool:
    """Also where the request names a host that is none: no page's addresses can be written then."""
    if http_request.path.startswith(MACHINE_PATHS) or isinstance(http_request.routing_exception, BadHost):
        return True
    accepted = http_request.accept_mimetypes
    return accepted.best_match(["text/html", "application/json"], default="text/html") == "application/json"
