"""The web application: the one place where everything meets."""

from collections.abc import Iterator
from functools import partial

from flask import Blueprint, Flask
from flask_bootstrap import Bootstrap5

from lti_tool import error_pages, health, launch, log, request, security_headers, session, times, url_parts
from lti_tool.courses import notices
from lti_tool.courses import pages as courses_pages
from lti_tool.deep_linking import pages as deep_linking_pages
from lti_tool.desk import check_pages as desk_check_pages
from lti_tool.desk import evidence_pages, live_pages, match_pages, place_pages, session_acts, session_pages
from lti_tool.desk import pages as desk_pages
from lti_tool.gates import pages as gates_pages
from lti_tool.grades import pages as grades_pages
from lti_tool.house import House, build_house
from lti_tool.platforms import pages as platforms_pages
from lti_tool.retreats import pages as retreats_pages
from lti_tool.rosters import pages as rosters_pages
from lti_tool.sessions import day_words
from lti_tool.sessions import pages as sessions_pages
from lti_tool.settings import Settings
from lti_tool.setup import pages as setup_pages
from lti_tool.trainee import check_pages, request_pages
from lti_tool.trainee import pages as trainee_pages
from zoom_adapter import report_progress, webhook
from zoom_adapter.inbox import Inbox
from zoom_adapter.live import Boards
from zoom_adapter.refusals import Refusals

# The largest form a person sends; Zoom's deliveries and launches have their own, stricter caps.
MOST_BYTES_OF_A_FORM = 2 * 1024 * 1024


def create_app(settings: Settings, *, house: House | None = None) -> Flask:
    """The Flask application for these settings; `house` is given by those who share one (the command line, tests)."""
    house = house or build_house(settings)
    app = Flask("lti_tool")
    app.config.update(MAX_CONTENT_LENGTH=MOST_BYTES_OF_A_FORM, BOOTSTRAP_SERVE_LOCAL=True)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["gatehouse"] = house
    url_parts.register(app)
    Bootstrap5(app)
    ancestors = security_headers.FrameAncestors(house.database, settings.frame_origins)
    security_headers.register(app, ancestors, https=settings.public_url.startswith("https:"))
    log.register(app)
    request.register(app)
    session.register(app)
    error_pages.register(app)
    times.register(app)
    app.jinja_env.globals.update(day_words=day_words)
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
    yield trainee_pages.blueprint
    yield gates_pages.blueprint
    yield sessions_pages.blueprint
    yield grades_pages.blueprint
    yield retreats_pages.blueprint
    yield platforms_pages.blueprint
    yield desk_pages.blueprint
    yield place_pages.blueprint
    yield session_acts.blueprint
    yield session_pages.blueprint(partial(report_progress.look, has_api=house.settings.has_zoom_api))
    yield live_pages.blueprint(Boards().look)
    yield deep_linking_pages.blueprint
    yield courses_pages.blueprint
    yield rosters_pages.blueprint
    yield notices.blueprint
    yield setup_pages.blueprint
    yield check_pages.blueprint
    yield desk_check_pages.blueprint
    yield match_pages.blueprint
    yield evidence_pages.blueprint
    yield request_pages.blueprint
