"""Every error as one page or one JSON value: what happened, what to do, and a stable code.

Never a stack trace. Machines (Zoom, health checks, clients that prefer it) get JSON, browsers get a page.
"""

import logging
import secrets

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
    507: "There is no room left",
}

# What is refused before any view is called: code, what happened, what to do.
REFUSALS = {
    400: ("request_unreadable", "The request could not be read.", "Go back and try again."),
    404: ("page_unknown", "There is no page at this address.", "Open the unit again from your course."),
    405: (
        "method_not_allowed",
        "This address cannot be used in this way.",
        "Open the page again and start from there.",
    ),
    413: ("body_too_large", "What was sent is larger than we accept.", "Send a smaller file or a shorter text."),
    415: ("media_type_unknown", "This format is not supported.", "Send it with the form on the page."),
}
DATABASE_AWAY = (OperationalError, TimeoutError)
REFUSED = ("request_refused", "The request was refused.", "Go back and try again.")


def register(app: Flask) -> None:
    """Answer every error of the app here."""
    app.register_error_handler(GatehouseError, refuse)
    app.register_error_handler(HTTPException, refuse_http)
    for away in DATABASE_AWAY:
        app.register_error_handler(away, answer_database_away)
    app.register_error_handler(Exception, answer_unexpected)


def refuse(error: GatehouseError) -> Response:
    """Answer an expected refusal in its own words. Its code goes to the log."""
    abandon()
    write = log.error if error.status >= 500 else log.info
    write("refused", extra={"code": error.code})
    return _answer(error.status, error.code, error.message, error.next_step)


def refuse_http(error: HTTPException) -> Response:
    """Answer an unknown page, a wrong method, a body too large. Redirects pass. An error after the view, such as in its
    commit, comes wrapped and is answered like the same error in a view."""
    original = getattr(error, "original_exception", None)
    if original is not None:
        return answer_database_away(original) if isinstance(original, DATABASE_AWAY) else answer_unexpected(original)
    abandon()
    if error.code is None or error.code < 400:
        return make_response(error.get_response())
    response = _answer(error.code, *REFUSALS.get(error.code, REFUSED))
    if allowed := getattr(error, "valid_methods", None):
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def answer_database_away(error: Exception) -> Response:
    """The database does not answer or has no free connection: 503, and when to try again."""
    abandon()
    log.error("database away", exc_info=error)
    return _answer(503, "database_away", "Our database is not answering.", "Wait a moment, then try again.")


def answer_unexpected(error: Exception) -> Response:
    """An error of ours: 500 with a reference to the log line, and nothing else."""
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
        response = jsonify({"error": code, "message": message, "next_step": next_step, **more})
    else:
        heading = HEADINGS.get(status, HEADINGS[400])
        if http_request.path == "/lti/register" and status != 500:
            heading = "The registration did not work"
        elif http_request.path.startswith("/lti/") and status < 500:
            heading = "The launch did not work"
        page = {"heading": heading, "code": code, "message": message, "next_step": next_step, "status": status}
        response = make_response(render_template("shared/error.html", **page))
    response.status_code = status
    if status == 503:
        response.headers["Retry-After"] = str(TRY_AGAIN_SECONDS)
    return response


def _is_for_a_machine() -> bool:
    """Also if the host in the request is invalid, because no address for a page can be built then."""
    if http_request.path.startswith(MACHINE_PATHS) or isinstance(http_request.routing_exception, BadHost):
        return True
    accepted = http_request.accept_mimetypes
    return accepted.best_match(["text/html", "application/json"], default="text/html") == "application/json"
