"""The log: one JSON object a line on stderr, without personal data.

A line is a fixed sentence and ids. A message's arguments, an exception's text and unknown extra fields are left out,
since that is where names, addresses, tokens and bodies get in; a failure is told by its class and its place.
"""

import json
import logging
import logging.config
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from traceback import extract_tb
from typing import Any

from flask import Flask, Response, g, request

# The extra fields a line may carry: ids, codes, counts and durations of ours (`path` is a place in the programme).
FIELDS = (
    "at",
    "attempts",
    "claim",
    "code",
    "count",
    "delivery",
    "endpoint",
    "error",
    "event",
    "kind",
    "known",
    "line_item",
    "meeting",
    "method",
    "milliseconds",
    "offering",
    "outcome",
    "path",
    "person",
    "placement",
    "position",
    "programme_version",
    "reason",
    "reference",
    "registration",
    "revision",
    "score",
    "seal",
    "session",
    "stale",
    "status",
    "task",
    "trainee",
    "version",
    "writer",
)
FRAMES = 5

log = logging.getLogger(__name__)


class JsonLines(logging.Formatter):
    """One record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(dict(_parts(record)), ensure_ascii=False, default=str)


def configure(level: str) -> None:
    """Send every log line of this process to stderr as JSON. `level` is for our lines; others speak from WARNING."""
    logging.config.dictConfig(configuration(level))


def configuration(level: str) -> dict[str, Any]:
    """The logging configuration as `logging.config.dictConfig` takes it; the web server is given the same one."""
    ours = {"level": level, "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonLines}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"},
        },
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {"lti_tool": ours, "zoom_adapter": ours, "_granian": {"propagate": True, "handlers": []}},
    }


def register(app: Flask) -> None:
    """One line per request of the app: which endpoint (never the path: it may hold a token), status and duration."""

    @app.before_request
    def _start() -> None:
        g.started_at = time.perf_counter()

    @app.after_request
    def _tell(response: Response) -> Response:
        started_at = g.get("started_at")
        took = 0.0 if started_at is None else time.perf_counter() - started_at
        details = {"endpoint": request.endpoint or "none", "method": request.method, "status": response.status_code}
        log.info("request", extra={**details, "milliseconds": round(took * 1000, 1)})
        return response


def _parts(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    yield "time", datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    yield "level", record.levelname.lower()
    yield "logger", record.name
    yield "message", str(record.msg)
    yield from ((name, vars(record)[name]) for name in FIELDS if name in vars(record))
    if record.exc_info and record.exc_info[0] is not None:
        yield "failure", record.exc_info[0].__name__
        frames = extract_tb(record.exc_info[2])[-FRAMES:]
        yield "where", [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
