"""Equivalency requests, completions, staff exceptions, and every decision that opened or refused an entry."""

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    text,
)

from lti_tool.tables.types import Encrypted, Id, UtcDateTime, metadata

EQUIVALENCY_OPEN = "state in ('draft', 'submitted', 'more_info')"

equivalency_requests = Table(
    "equivalency_requests",
    metadata,
    Column("id", Id, primary_key=True),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False),
    Column("target", String(64), nullable=False),
    Column("provider_id", String(64), nullable=False),
    Column("provider_name", String(255), nullable=False),
    Column("course_title", String(255), nullable=False),
    Column("completed_on", Date),
    Column("evidence_note", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("question", Text),  # what a reviewer asked (more_info)
    Column("reason_code", String(64)),
    Column("decision_text", Text),
    Column("decided_by", String(255)),
    Column("decided_at", UtcDateTime),
    Column("expires_on", Date),
    Column("revocation_reason", Text),  # proposed by one of the staff, in force once a second one confirms it
    Column("revocation_by", String(255)),
    Column("revocation_at", UtcDateTime),
    Column("submitted_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    CheckConstraint(
        "state in ('draft', 'submitted', 'more_info', 'approved', 'declined', 'withdrawn', 'expired', 'revoked')",
        name="state",
    ),
    # gates.md A3.6: one open request per learner and target.
    Index(
        "uq_equivalency_requests_open",
        "trainee_id",
        "target",
        unique=True,
        sqlite_where=text(EQUIVALENCY_OPEN),
        postgresql_where=text(EQUIVALENCY_OPEN),
    ),
    Index(None, "trainee_id"),
    Index(None, "state"),
)

IN_FORCE = "ended_at is null"

# A completion is a record, never a progress bar. Ended, not deleted, with a reason.
completions = Table(
    "completions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False),
    Column("module_id", String(64), nullable=False),
    Column("completed_on", Date, nullable=False),
    Column("origin", String(16), nullable=False),
    Column("live_session_id", ForeignKey("live_sessions.id")),
    Column("evidence", Text),
    Column("recorded_by", String(255), nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("ended_reason", Text),
    Column("import_id", ForeignKey("completion_imports.id"), index=True),  # the upload that recorded it
    CheckConstraint("origin in ('attendance', 'imported', 'staff')", name="origin"),
    CheckConstraint("(origin = 'attendance') = (live_session_id is not null)", name="origin_session"),
    Index(
        "uq_completions_in_force",
        "trainee_id",
        "module_id",
        unique=True,
        sqlite_where=text(IN_FORCE),
        postgresql_where=text(IN_FORCE),
    ),
    Index(None, "trainee_id"),
)

# A file of past completions that staff uploaded: previewed, then imported as it is, then perhaps undone by two people.
# Its content is deleted once it is imported, or soon after the upload.
completion_imports = Table(
    "completion_imports",
    metadata,
    Column("id", Id, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("content", Encrypted),
    Column("uploaded_by", String(255), nullable=False),
    Column("uploaded_at", UtcDateTime, nullable=False),
    Column("counts", JSON),  # by outcome, once it is imported
    Column("imported_by", String(255)),
    Column("imported_at", UtcDateTime),
    Column("undo_reason", Text),
    Column("undo_by", String(255)),
    Column("undo_at", UtcDateTime),
    Column("undone_by", String(255)),
    Column("undone_at", UtcDateTime),
    CheckConstraint("(content is null) = (imported_at is not null)", name="content"),
    CheckConstraint("undone_by is null or undone_by <> undo_by", name="second_person"),
)

exceptions = Table(
    "exceptions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False, index=True),
    Column("offering_id", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("granted_by", String(255), nullable=False),
    Column("granted_at", UtcDateTime, nullable=False),
    Column("expires_on", Date, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("ended_reason", Text),
    CheckConstraint("length(reason) >= 10", name="reason"),
)

# gates.md A2.9: every decision that opens or refuses an entry, with the digest of its tree.
decisions = Table(
    "decisions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False),
    Column("offering_id", String(64), nullable=False),
    Column("programme_version", Integer, nullable=False),
    Column("route", String(64), nullable=False),
    Column("open", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("tree", JSON, nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    Index(None, "trainee_id", "offering_id"),
)
