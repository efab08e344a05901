"""The tool under test: this configuration on a scratch database, served over HTTP on this machine.

It is the application that `gatehouse serve` serves, made by the same functions from the same settings (public address,
secrets, the programme that is published). Only three things differ: the database is a new SQLite file that is thrown
away, private addresses may be called (the platform is on this machine), and Zoom's interface is never asked.
"""

import json
import logging
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import insert, make_url, select
from sqlalchemy.exc import OperationalError, ProgrammingError
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from conformance.visitor import Visitor
from lti_tool.app import create_app, prepare
from lti_tool.context import AppContext, build_context
from lti_tool.db import Database
from lti_tool.errors import NotFound
from lti_tool.log import JsonLines
from lti_tool.programme.versions import Published, current
from lti_tool.settings import Settings
from lti_tool.tables.programme import programme_versions
from lti_tool.worker import build_worker

HOST = "127.0.0.1"
LOGGERS = ("lti_tool", "zoom_adapter")


class LogLines(logging.Handler):
    """Keeps the tool's log lines as it writes them, parsed again from their JSON."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(JsonLines())
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


class QuietRequests(WSGIRequestHandler):
    """The tool keeps its own log; the server's, with whole addresses, is left out."""

    def log(self, *_given: Any, **_named: Any) -> None:
        return


@dataclass(frozen=True)
class Tool:
    """The tool under test, where it listens, and what it has logged so far."""

    context: AppContext
    port: int
    log: LogLines

    @property
    def public_url(self) -> str:
        return self.context.settings.public_url

    @property
    def key_set_url(self) -> str:
        """Where a platform on this machine reads the tool's key set."""
        return f"http://{HOST}:{self.port}/lti/jwks.json"

    @property
    def published(self) -> Published:
        """The programme in force."""
        with self.context.database.read() as connection:
            return current(connection)

    def visitor(self) -> Visitor:
        """A browser that has never been here."""
        return Visitor(self.public_url, (HOST, self.port))

    def work(self) -> None:
        """What the worker does when something is due: settle, sync rosters, deliver scores."""
        build_worker(self.context).run_once()


Row = dict[str, Any]


@contextmanager
def served(settings: Settings, *, port: int = 0) -> Iterator[Tool]:
    """The tool of these settings on a scratch database; everything is gone at the end. The programme is the one that
    the site has published, else the document that GATEHOUSE_PROGRAMME names.

    Raises NotFound `programme_not_published` when there is neither.
    """
    published = published_row(settings)
    if published is None and settings.programme is None:
        raise NotFound(
            "programme_not_published",
            "No programme has been published yet, and GATEHOUSE_PROGRAMME names none.",
            "Publish one with: gatehouse programme publish FILE",
        )
    with tempfile.TemporaryDirectory(prefix="gatehouse-certify-") as folder:
        context = build_context(scratch(settings, Path(folder), with_first_programme=published is None))
        try:
            prepare(context)
            _publish(context, published)
            with _logged() as log, _listening(context, port) as listening:
                yield Tool(context, listening.server_port, log)
        finally:
            context.database.close()


def scratch(settings: Settings, folder: Path, *, with_first_programme: bool) -> Settings:
    """These settings on a database of their own, allowed to call this machine and nobody at Zoom."""
    return replace(
        settings,
        data=folder,
        database_url=f"sqlite:///{folder}/gatehouse.db",
        programme=settings.programme if with_first_programme else None,
        allow_private_addresses=True,
        zoom_account_id=None,
        zoom_client_id=None,
        zoom_client_secret=None,
    )


def published_row(settings: Settings) -> Row | None:
    """The programme in force at the site; None when there is none, or no database to ask. The database is only read,
    and a SQLite file is not made."""
    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        return None
    database = Database(settings.database_url, settings.cipher)
    try:
        with database.read() as connection:
            row = connection.execute(_newest_version).mappings().first()
    except (OperationalError, ProgrammingError):
        return None
    finally:
        database.close()
    return None if row is None else dict(row)


def _publish(context: AppContext, published: Row | None) -> None:
    """The site's own version, with its number: published when it was, and so not checked against today's windows."""
    if published is not None:
        with context.database.write() as connection:
            connection.execute(insert(programme_versions), published)


@contextmanager
def _listening(context: AppContext, port: int) -> Iterator[BaseWSGIServer]:
    """Answer over HTTP on this machine, several requests at once: while the tool asks a platform for a token, the
    platform asks the tool for its keys."""
    app = create_app(context.settings, context=context)
    server = make_server(HOST, port, app, threaded=True, request_handler=QuietRequests)
    thread = threading.Thread(target=server.serve_forever, name="tool under test")
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def _logged() -> Iterator[LogLines]:
    """Keep what the tool logs from INFO on, whatever level the site has chosen."""
    lines = LogLines()
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.addHandler(lines)
        each.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.removeHandler(lines)
            each.setLevel(level)


_newest_version = select(programme_versions).order_by(programme_versions.c.version.desc()).limit(1)
