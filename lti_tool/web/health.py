"""Health for machines: alive, ready to serve, and counters read from the database."""

from flask import Blueprint, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from lti_tool.attendance import evidence_gaps
from lti_tool.migrations import head, present_revision
from lti_tool.tables.operations import tasks
from lti_tool.tables.scores import scores
from lti_tool.tables.zoom import UNTAKEN, zoom_inbox, zoom_refusals, zoom_seals
from lti_tool.tasks import QUEUE_AGE_LIMIT_SECONDS, queue_age_seconds
from lti_tool.web.request import house, now
from lti_tool.web.session import access

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@access("public")
def alive() -> Response:
    """The process answers; nothing else is asked."""
    return jsonify(status="alive")


@blueprint.get("/readyz")
@access("public")
def ready() -> tuple[Response, int]:
    """200 when the database answers, its schema is this release's, and the queue is being worked; else 503 saying
    which of the three is not so."""
    checks = _checks()
    fine = all(check["ok"] for check in checks.values())
    return jsonify(status="ready" if fine else "not_ready", checks=checks), 200 if fine else 503


@blueprint.get("/metrics")
@access("public")
def metrics() -> Response:
    """Prometheus gauges. Counts and ages only: a label is a fixed code, never an id, a name or an address."""
    registry = CollectorRegistry()
    with house().database.read() as connection:
        for name, (says, value) in _gauges(connection).items():
            Gauge(f"gatehouse_{name}", says, registry=registry).set(value)
        for name, (says, by_code) in _gauges_by_code(connection).items():
            gauge = Gauge(f"gatehouse_{name}", says, ["code"], registry=registry)
            for code, value in by_code.items():
                gauge.labels(code).set(value)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _checks() -> dict[str, dict[str, object]]:
    try:
        with house().database.read() as connection:
            revision = present_revision(connection)
            age = queue_age_seconds(connection, now()) if revision else 0.0
    except SQLAlchemyError:
        return {"database": {"ok": False}}
    return {
        "database": {"ok": True},
        "migrations": {"ok": revision == head(), "revision": revision},
        "queue": {"ok": age < QUEUE_AGE_LIMIT_SECONDS, "oldest_due_seconds": round(age, 1)},
    }


def _gauges(connection: Connection) -> dict[str, tuple[str, float]]:
    def count(query: object) -> float:
        return float(connection.execute(query).scalar_one())  # type: ignore[call-overload]

    ready_tasks = select(func.count()).select_from(tasks)
    ledger = select(func.count()).select_from(scores)
    unread = count(select(func.count()).select_from(zoom_inbox).where(text(UNTAKEN)))
    sealed = count(select(func.coalesce(func.max(zoom_seals.c.position), 0)))
    return {
        "queue_oldest_due_seconds": ("Age of the oldest due task", queue_age_seconds(connection, now())),
        "tasks_ready": ("Tasks that wait", count(ready_tasks.where(tasks.c.state == "ready"))),
        "tasks_parked": ("Tasks that failed too often", count(ready_tasks.where(tasks.c.state == "parked"))),
        # What was read is sealed, without a gap in the positions: to count a long inbox would take long.
        "zoom_deliveries": ("Deliveries kept", sealed + unread),
        "zoom_deliveries_unread": ("Deliveries not read yet", unread),
        "zoom_deliveries_sealed": ("Deliveries sealed", sealed),
        "zoom_last_delivery_seconds": (
            "Age of the last delivery; -1 before the first",
            _age_of_last_delivery(connection),
        ),
        "scores_waiting": ("Scores to be delivered", count(ledger.where(scores.c.status == "waiting"))),
        "scores_parked": ("Scores that a person must look at", count(ledger.where(scores.c.status == "parked"))),
    }


def _gauges_by_code(connection: Connection) -> dict[str, tuple[str, dict[str, float]]]:
    today = select(zoom_refusals.c.code, zoom_refusals.c.count).where(zoom_refusals.c.day == now().date())
    refused = {row.code: float(row._mapping["count"]) for row in connection.execute(today)}
    gaps = {code: float(count) for code, count in evidence_gaps.counts(connection).items()}
    return {
        "zoom_gaps": ("Gaps in Zoom's evidence, by kind", gaps),
        "zoom_refused_today": ("Deliveries turned away since midnight UTC, and duplicates", refused),
    }


def _age_of_last_delivery(connection: Connection) -> float:
    last = connection.scalar(select(zoom_inbox.c.received_at).order_by(zoom_inbox.c.id.desc()).limit(1))
    return -1.0 if last is None else (now() - last).total_seconds()
