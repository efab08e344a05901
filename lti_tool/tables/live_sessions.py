"""Live sessions as scheduled, and the attendance settled for them."""

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from lti_tool.tables.types import Encrypted, Id, UtcDateTime, metadata

HELD = "state <> 'cancelled'"

# `segments` is the agenda stamped in UTC at scheduling; `programme_version` decides this session for good.
# `calendar_sequence` rises with every change of the plan (RFC 5545), so it is also what two editors are told apart by.
live_sessions = Table(
    "live_sessions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("module_id", String(64), nullable=False),
    Column("programme_version", ForeignKey("programme_versions.version"), nullable=False),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("zone", String(64), nullable=False),
    Column("note", String(100)),  # what tells it from other sessions of the module, such as "evening group"
    Column("segments", JSON, nullable=False),
    Column("zoom_kind", String(8), nullable=False),
    Column("zoom_meeting_id", String(32), nullable=False),
    Column("join_url", Encrypted),  # it carries the passcode
    Column("state", String(16), nullable=False),
    Column("ended_at", UtcDateTime),  # when it ended as far as settlement knows: by Zoom, else by staff
    Column("ended_by_staff_at", UtcDateTime),  # holds while Zoom has said nothing
    Column("reconciled_at", UtcDateTime),
    Column("locked_at", UtcDateTime),
    Column("cancelled_reason", Text),
    Column("calendar_sequence", Integer, nullable=False, server_default="0"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    CheckConstraint(
        "state in ('scheduled', 'cancelled', 'provisional', 'reconciled', 'locked')",
        name="state",
    ),
    CheckConstraint("zoom_kind in ('meeting', 'webinar')", name="zoom_kind"),
    CheckConstraint("starts_at < ends_at", name="times"),
    CheckConstraint("calendar_sequence >= 0", name="calendar_sequence"),
    Index(None, "zoom_meeting_id"),
    Index(None, "module_id", "starts_at"),
    Index(None, "starts_at"),
    # A form that is sent twice at once adds one session.
    Index(
        "uq_live_sessions_meeting_start",
        "zoom_meeting_id",
        "starts_at",
        unique=True,
        sqlite_where=text(HELD),
        postgresql_where=text(HELD),
    ),
)

CURRENT = "is_current"
# Few days have a flag. SQLite takes their index only for a statement that has each of its terms word by word.
FLAGGED = "CAST(flags AS TEXT) != '[]'"

# One version of one person's attendance. `person_key` names whom the evidence speaks of ("trainee:7",
# "registrant:abc", "email:…", "connection:…"); a correction is a new version, old ones stay readable (ce.md T12).
attendances = Table(
    "attendances",
    metadata,
    Column("id", Id, primary_key=True),
    Column("live_session_id", ForeignKey("live_sessions.id"), nullable=False),
    Column("person_key", String(255), nullable=False),
    Column("trainee_id", ForeignKey("trainees.id")),
    Column("version", Integer, nullable=False),
    Column("is_current", Boolean, nullable=False),
    Column("input_digest", String(64), nullable=False),
    Column("display_name", String(255)),
    Column("email", String(255)),
    Column("registrant_id", String(255)),
    Column("seconds_present", Integer, nullable=False),  # inside instructional segments
    Column("seconds_instructional", Integer, nullable=False),
    Column("seconds_required", Integer, nullable=False),
    Column("completed", Boolean, nullable=False),
    Column("day", JSON, nullable=False),  # the intervals, gaps and segments as the page shows them
    Column("flags", JSON, nullable=False),
    Column("settled_at", UtcDateTime, nullable=False),
    UniqueConstraint("live_session_id", "person_key", "version"),
    Index(
        "uq_attendances_current",
        "live_session_id",
        "person_key",
        unique=True,
        sqlite_where=text(CURRENT),
        postgresql_where=text(CURRENT),
    ),
    Index(None, "trainee_id", "live_session_id"),
    Index(
        "ix_attendances_flagged",
        "live_session_id",
        sqlite_where=text(f"is_current = 1 AND {FLAGGED}"),
        postgresql_where=text(f"is_current AND {FLAGGED}"),
    ),
    # All that is counted of a session, so that no row with its whole day is read for it.
    Index(
        "ix_attendances_counted",
        "live_session_id",
        "trainee_id",
        "seconds_present",
        "completed",
        sqlite_where=text("is_current = 1"),
        postgresql_where=text(CURRENT),
    ),
)
