"""The web application, put together in one place, and what is ensured before it starts: the schema and a programme."""

import logging
from typing import Any

from flask import Blueprint, Flask

from lti_tool import languages, launch, log, times
from lti_tool.attendance import timeline
from lti_tool.context import AppContext, build_context
from lti_tool.credit.checklist import in_words
from lti_tool.diagnostics.installation import Readiness
from lti_tool.errors import BadInput, NotFound
from lti_tool.gates import publication
from lti_tool.gates.condition_checks import short_name
from lti_tool.group_commit import GroupWriter, group_inserter
from lti_tool.migrations import migrate, refuse_other_revision
from lti_tool.platforms import launch_records
from lti_tool.programme import versions
from lti_tool.settings import Settings
from lti_tool.tables.gates import decisions
from lti_tool.tables.operations import audit_log
from lti_tool.text import licence_words
from lti_tool.web import assets, deep_linking, errors, headers, health, notices, page, request, session
from lti_tool.web.staff import (
    accommodations,
    corrections,
    courses,
    diagnostics,
    imports,
    live_board,
    live_sessions,
    matching,
    materials,
    people,
    person,
    platforms,
    programme,
    roles,
    rosters,
    scores,
    session_plan,
    submission_review,
    today,
)
from lti_tool.web.staff import equivalency as equivalency_desk
from lti_tool.web.staff import log as log_desk
from lti_tool.web.staff import mail as mail_desk
from lti_tool.web.staff import settings as settings_desk
from lti_tool.web.trainee import equivalency, help, home, language, mail, modules, retreats, sessions
from zoom_adapter import webhook
from zoom_adapter.inbox import Inbox, Refusals
from zoom_adapter.live import Boards

# Tables to which requests that otherwise only read append.
APPENDED = (decisions, audit_log)

logger = logging.getLogger(__name__)


def create_app(settings: Settings, *, context: AppContext | None = None) -> Flask:
    """The Flask application for these settings; `context` is given by callers who share one (commands, tests)."""
    context = context or build_context(settings)
    app = Flask("lti_tool", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=session.FORM.max_bytes)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["gatehouse"] = context
    app.extensions["gatehouse_readiness"] = Readiness(context)
    page.register(app)
    request.register_converters(app)
    ancestors = headers.FrameAncestors(context.database, context.settings.frame_origins)
    headers.register(app, ancestors, https=settings.public_url.startswith("https:"))
    for part in (log, request, session, errors, languages, times, assets):
        part.register(app)
    _name_words(app)
    inbox, refusals, boards = Inbox(context.database), Refusals(context.database), Boards()
    writers: dict[str, GroupWriter[Any, Any]] = {
        launch_records.WRITER: launch_records.launch_writer(context.database),
        **{table.name: group_inserter(context.database, table, key=None, without=("id",)) for table in APPENDED},
    }
    app.extensions["gatehouse_writers"] = writers
    app.extensions["gatehouse_closing"] = (inbox.close, refusals.close, *(each.close for each in writers.values()))
    for blueprint in (
        health.blueprint,
        launch.blueprint,
        notices.blueprint,
        deep_linking.blueprint,
        webhook.blueprint(context.settings.zoom_secret_tokens, inbox, context.clock, refusals),
        *_pages(boards),
    ):
        app.register_blueprint(blueprint)
    return app


def _pages(boards: Boards) -> tuple[Blueprint, ...]:
    """The pages for trainees and then those for staff."""
    return (
        home.blueprint(boards.board_of),
        help.blueprint,
        language.blueprint,
        modules.blueprint(boards.board_of),
        sessions.blueprint,
        equivalency.blueprint,
        retreats.blueprint,
        mail.blueprint,
        today.blueprint(boards.board_of),
        programme.blueprint,
        people.blueprint,
        person.blueprint,
        imports.blueprint,
        live_sessions.blueprint,
        session_plan.blueprint,
        live_board.blueprint(boards.board_of),
        materials.blueprint,
        matching.blueprint,
        corrections.blueprint,
        accommodations.blueprint,
        equivalency_desk.blueprint,
        submission_review.blueprint,
        scores.blueprint,
        mail_desk.blueprint,
        rosters.blueprint,
        courses.blueprint,
        platforms.blueprint,
        diagnostics.blueprint,
        roles.blueprint,
        log_desk.blueprint,
        settings_desk.blueprint,
    )


def _name_words(app: Flask) -> None:
    """Let every template say what the credit checklist, a day, a module and a licence are in words."""
    app.jinja_env.globals.update(day_words=timeline, short_name=short_name, claim_words=in_words)
    app.jinja_env.filters.update(licence_words=licence_words)


def close_app(app: Flask) -> None:
    """Write what is still queued for writing. The database may be closed after that."""
    for close in app.extensions["gatehouse_closing"]:
        close()


def prepare(context: AppContext) -> None:
    """Migrate SQLite (PostgreSQL: `gatehouse migrate`), and publish GATEHOUSE_PROGRAMME if nothing is published yet.

    Raises Conflict "database_not_migrated", or ProgrammeError if that document cannot be published.
    """
    database, path = context.database, context.settings.programme
    if database.is_sqlite:
        migrate(database)
    else:
        with database.read() as connection:
            refuse_other_revision(connection)
    if path is None:
        return
    with database.write() as connection:
        try:
            versions.current(connection)
        except NotFound:
            try:
                document = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise BadInput(
                    "programme_unreadable",
                    "The file that GATEHOUSE_PROGRAMME names cannot be read.",
                    "Check its path and rights.",
                ) from error
            version = publication.publish(connection, document, path.name, actor="system", now=context.clock())
            logger.info("first programme published", extra={"version": version})
