"""The task queue, the audit log, the launches that no key set could check, and the row that /readyz writes."""

from sqlalchemy import JSON, CheckConstraint, Column, Date, Index, Integer, String, Table, Text, text

from lti_tool.tables.types import Id, UtcDateTime, metadata, only_grows

READY = "state = 'ready'"
UNCLAIMED = "state = 'ready' and lease_owner is null"

tasks = Table(
    "tasks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("key", String(128), nullable=False),  # one ready task per (kind, key): asking twice is asking once
    Column("payload", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("run_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lease_owner", String(64)),
    Column("leased_until", UtcDateTime),
    Column("last_error", Text),  # the exception's class and code, never its text
    Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint("state in ('ready', 'parked')", name="state"),
    Index(
        "uq_tasks_unclaimed",
        "kind",
        "key",
        unique=True,
        sqlite_where=text(UNCLAIMED),
        postgresql_where=text(UNCLAIMED),
    ),
    Index("ix_tasks_ready", "run_at", sqlite_where=text(READY), postgresql_where=text(READY)),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("act", String(64), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("reason", Text),
    Column("details", JSON, nullable=False),
    Index(None, "act"),
    Index(None, "subject"),
)
only_grows(audit_log)

# Launches that could not be checked because the platform's key set could not be read, by day (UTC) and code.
launch_refusals = Table(
    "launch_refusals",
    metadata,
    Column("day", Date, primary_key=True),
    Column("code", String(64), primary_key=True),
    Column("count", Integer, nullable=False),
)

# One row, written to see that the database takes writes (diagnostics.installation).
readiness = Table(
    "readiness",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("written_at", UtcDateTime, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
