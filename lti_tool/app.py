"""The web application: the one place where everything meets.

What a start makes sure of before anything is answered: the schema, and a programme.
"""

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from flask import Blueprint, Flask
from flask_bootstrap import Bootstrap5

from lti_tool import launch, log, times
from lti_tool.attendance import timeline
from lti_tool.context import House, build_house
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.gates import publication
from lti_tool.migrations import head, migrate, present_revision
from lti_tool.programme import versions
from lti_tool.settings import Settings
from lti_tool.web import deep_linking, errors, headers, health, notices, request, session
from lti_tool.web.staff import (
    corrections,
    courses,
    diagnostics,
    live_board,
    live_sessions,
    matching,
    platforms,
    presence_checks,
    rosters,
    scores,
    today,
    zoom_places,
)
from lti_tool.web.trainee import equivalency, modules, retreats, sessions
from zoom_adapter import reports, webhook
from zoom_adapter.inbox import Inbox, Refusals
from zoom_adapter.live import Boards

# The largest form a person sends; Zoom's deliveries and launches have their own, stricter caps.
MOST_BYTES_OF_A_FORM = 2 * 1024 * 1024


def create_app(settings: Settings, *, house: House | None = None) -> Flask:
    """The Flask application for these settings; `house` is given by those who share one (the command line, tests)."""
    house = house or build_house(settings)
    app = Flask("lti_tool")
    app.config.update(MAX_CONTENT_LENGTH=MOST_BYTES_OF_A_FORM, BOOTSTRAP_SERVE_LOCAL=True)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["gatehouse"] = house
    request.register_converters(app)
    Bootstrap5(app)
    ancestors = headers.FrameAncestors(house.database, settings.frame_origins)
    headers.register(app, ancestors, https=settings.public_url.startswith("https:"))
    log.register(app)
    request.register(app)
    session.register(app)
    errors.register(app)
    times.register(app)
    app.jinja_env.globals.update(day_words=timeline)
    inbox, refusals = Inbox(house.database), Refusals(house.database)
    app.extensions["gatehouse_closing"] = (inbox.close, refusals.close)
    for blueprint in _blueprints(house, inbox, refusals):
        app.register_blueprint(blueprint)
    return app


def close_app(app: Flask) -> None:
    """Write what waits to be written; the database may be closed after that."""
    for close in app.extensions["gatehouse_closing"]:
        close()


def _blueprints(house: House, inbox: Inbox, refusals: Refusals) -> Iterator[Blueprint]:
    yield health.blueprint
    yield launch.blueprint
    yield webhook.blueprint(house.settings.zoom_secret_tokens, inbox, house.clock, refusals)
    yield modules.blueprint
    yield equivalency.blueprint
    yield sessions.blueprint
    yield scores.blueprint
    yield retreats.blueprint
    yield platforms.blueprint
    yield today.blueprint
    yield zoom_places.blueprint
    yield live_sessions.acts_blueprint
    yield live_sessions.blueprint(partial(reports.look, has_api=house.settings.has_zoom_api))
    yield live_board.blueprint(Boards().look)
    yield deep_linking.blueprint
    yield courses.blueprint
    yield rosters.blueprint
    yield notices.blueprint
    yield diagnostics.blueprint
    yield sessions.checks_blueprint
    yield presence_checks.blueprint
    yield matching.blueprint
    yield corrections.blueprint
    yield sessions.requests_blueprint


logger = logging.getLogger(__name__)


def prepare(house: House) -> None:
    """Migrate SQLite (PostgreSQL: `gatehouse migrate`) and publish GATEHOUSE_PROGRAMME if nothing is published.

    Raises Conflict "database_not_migrated", or ProgrammeError if that document cannot be published.
    """
    if house.database.is_sqlite:
        migrate(house.database)
    else:
        _check_revision(house)
    _publish_first_programme(house)


def _check_revision(house: House) -> None:
    with house.database.read() as connection:
        if present_revision(connection) == head():
            return
    raise Conflict(
        "database_not_migrated",
        "The database is not at the revision this release expects.",
        "Run `gatehouse migrate` once, then start again.",
    )


def _publish_first_programme(house: House) -> None:
    path = house.settings.programme
    if path is None:
        return
    with house.database.write() as connection:
        try:
            versions.current(connection)
        except NotFound:
            version = publication.publish(connection, _text(path), path.name, actor="system", now=house.clock())
            logger.info("first programme published", extra={"version": version})


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            "programme_unreadable",
            "The file that GATEHOUSE_PROGRAMME names cannot be read.",
            "Check its path and rights.",
        ) from error
