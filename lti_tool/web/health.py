"""Health for machines: alive, ready to serve, and gauges read from the database."""

from flask import Blueprint, Response, current_app, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from sqlalchemy import Connection, Select, func, select, text

from lti_tool.attendance import evidence_gaps
from lti_tool.diagnostics.installation import MEGABYTE, State
from lti_tool.tables.operations import launch_refusals, tasks
from lti_tool.tables.scores import scores
from lti_tool.tables.zoom import UNTAKEN, zoom_inbox, zoom_refusals, zoom_seals
from lti_tool.tasks import queue_age_seconds
from lti_tool.web.request import context, now
from lti_tool.web.session import access

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@access("public")
def alive() -> Response:
    """The process answers. Nothing else is checked."""
    return jsonify(status="alive")


@blueprint.get("/readyz")
@access("public")
def ready() -> tuple[Response, int]:
    """200 if the database takes writes, has this release's tables and room on its disk, and a worker empties the queue;
    otherwise 503 with the reason."""
    state: State = current_app.extensions["gatehouse_readiness"].state()
    trouble, free, age = state.trouble, state.free_bytes, state.queue_age_seconds
    facts: dict[str, dict[str, object]] = {
        "database": {},
        "disk": {"free_megabytes": None if free is None else free // MEGABYTE},
        "migrations": {"revision": state.revision},
        "tables": {"missing": state.missing},
        "queue": {"oldest_due_seconds": None if age is None else round(age, 1)},
    }
    if trouble is None:
        return jsonify(status="ready", checks={name: {"ok": True, **each} for name, each in facts.items()}), 200
    # Nothing else can be seen of a database that does not answer.
    names = ["database"] if trouble.check == "database" else list(facts)
    checks = {name: {"ok": name != trouble.check, **facts[name]} for name in names}
    return jsonify(status="not_ready", code=trouble.code, reason=trouble.says, checks=checks), 503


@blueprint.get("/metrics")
@access("public")
def metrics() -> Response:
    """Prometheus gauges. Counts and ages only: a label is a fixed code, never an id, a name or an address."""
    registry = CollectorRegistry()
    with context().database.read() as connection:
        for name, (says, value) in _gauges(connection).items():
            Gauge(f"gatehouse_{name}", says, registry=registry).set(value)
        today = select(zoom_refusals.c.code, zoom_refusals.c.count).where(zoom_refusals.c.day == now().date())
        refused = {row[0]: row[1] for row in connection.execute(today)}
        launches = select(launch_refusals.c.code, launch_refusals.c.count).where(launch_refusals.c.day == now().date())
        unchecked = {row[0]: row[1] for row in connection.execute(launches)}
        by_code = {
            "zoom_gaps": ("Possible gaps in attendance data, by kind", evidence_gaps.counts(connection)),
            "zoom_refused_today": ("Deliveries refused since midnight UTC, and duplicates", refused),
            "launches_unchecked_today": ("Launches since midnight UTC that no key set could check", unchecked),
        }
    for name, (says, counts) in by_code.items():
        gauge = Gauge(f"gatehouse_{name}", says, ["code"], registry=registry)
        for code, count in counts.items():
            gauge.labels(code).set(count)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _gauges(connection: Connection) -> dict[str, tuple[str, float]]:
    """Name → what it counts, and its value."""

    def count(query: Select[int]) -> int:
        return connection.execute(query).scalar_one()

    queued = select(func.count()).select_from(tasks)
    ledger = select(func.count()).select_from(scores)
    unread = count(select(func.count()).select_from(zoom_inbox).where(text(UNTAKEN)))
    # Every delivery that was read is sealed, without a gap in the positions; counting a long inbox would be slow.
    sealed = count(select(func.coalesce(func.max(zoom_seals.c.position), 0)))
    last = connection.scalar(select(zoom_inbox.c.received_at).order_by(zoom_inbox.c.id.desc()).limit(1))
    last_age = -1.0 if last is None else (now() - last).total_seconds()
    return {
        "queue_oldest_due_seconds": ("Age of the oldest due task", queue_age_seconds(connection, now())),
        "tasks_ready": ("Tasks waiting", count(queued.where(tasks.c.state == "ready"))),
        "tasks_parked": ("Tasks that failed too often", count(queued.where(tasks.c.state == "parked"))),
        "zoom_deliveries": ("Deliveries kept", sealed + unread),
        "zoom_deliveries_unread": ("Deliveries not read yet", unread),
        "zoom_deliveries_sealed": ("Deliveries sealed", sealed),
        "zoom_last_delivery_seconds": ("Age of the last delivery; -1 before the first", last_age),
        "scores_waiting": ("Scores to be delivered", count(ledger.where(scores.c.status == "waiting"))),
        "scores_parked": ("Scores that need attention", count(ledger.where(scores.c.status == "parked"))),
    }
