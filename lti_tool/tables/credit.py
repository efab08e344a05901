"""Credit claims (the checklist, whatever its outcome) and the awards they led to."""

from sqlalchemy import JSON, CheckConstraint, Column, ForeignKey, Index, Integer, String, Table, Text, text
from sqlalchemy import UniqueConstraint as Unique

from lti_tool.tables.types import Credits, Id, UtcDateTime, metadata

claims = Table(
    "claims",
    metadata,
    Column("id", Id, primary_key=True),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False),
    Column("live_session_id", ForeignKey("live_sessions.id"), nullable=False),
    Column("module_id", String(64), nullable=False),
    Column("body_id", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("checklist", JSON, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Unique("trainee_id", "live_session_id", "body_id"),
    CheckConstraint("state in ('open', 'ready', 'awarded', 'lapsed', 'voided')", name="state"),
)

AWARDED = "state = 'awarded'"

# What was awarded, with everything it rests on; voided with a reason, never deleted.
awards = Table(
    "awards",
    metadata,
    Column("id", Id, primary_key=True),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False),
    Column("module_id", String(64), nullable=False),
    Column("live_session_id", ForeignKey("live_sessions.id"), nullable=False),
    Column("body_id", String(64), nullable=False),
    Column("credits", Credits, nullable=False),
    Column("seconds_present", Integer, nullable=False),
    Column("attendance_id", ForeignKey("attendances.id"), nullable=False),
    Column("licence_id", ForeignKey("licences.id"), nullable=False),
    Column("programme_version", Integer, nullable=False),
    Column("basis", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("awarded_at", UtcDateTime, nullable=False),
    Column("voided_at", UtcDateTime),
    Column("voided_reason", Text),
    CheckConstraint("state in ('awarded', 'voided')", name="state"),
    Index(
        "uq_awards_awarded",
        "trainee_id",
        "module_id",
        "body_id",
        unique=True,
        sqlite_where=text(AWARDED),
        postgresql_where=text(AWARDED),
    ),
)

# Facts of a claim that staff record: the fee of a body paid or waived, the evaluation handed in.
claim_facts = Table(
    "claim_facts",
    metadata,
    Column("trainee_id", ForeignKey("trainees.id"), primary_key=True),
    Column("live_session_id", ForeignKey("live_sessions.id"), primary_key=True),
    Column("body_id", String(64), primary_key=True),
    Column("fact", String(16), primary_key=True),
    Column("recorded_by", String(255), nullable=False),
    Column("reason", Text),
    Column("recorded_at", UtcDateTime, nullable=False),
    CheckConstraint("fact in ('fee', 'evaluation')", name="fact"),
)
