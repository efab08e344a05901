"""Zoom's deliveries as received (append-only) and who a registrant is."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from lti_tool.tables.types import Id, UtcDateTime, metadata

UNTAKEN = "taken_at is null"

# The raw bytes are the evidence; the columns beside them are read from those bytes to find them again.
# `taken_at` is the reader's bookmark, the only thing ever written to a row after its insert.
zoom_inbox = Table(
    "zoom_inbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("dedupe_key", String(64), nullable=False),
    Column("event", String(96), nullable=False),
    Column("meeting_id", String(32)),
    Column("meeting_uuid", String(128)),
    Column("happened_at", UtcDateTime),  # the edge's own time; empty for what is no part of an instance
    Column("body", LargeBinary, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("secret_position", SmallInteger, nullable=False),  # 0 current, 1 previous
    Column("stale", Boolean, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("taken_at", UtcDateTime),
    UniqueConstraint("dedupe_key"),
    Index(None, "meeting_id", "meeting_uuid", "happened_at"),
    Index(
        "ix_zoom_inbox_untaken",
        "id",
        sqlite_where=text(UNTAKEN),
        postgresql_where=text(UNTAKEN),
    ),
)

# Zoom's registrant id is the person within one meeting series (zoom.md §3.3).
registrants = Table(
    "registrants",
    metadata,
    Column("meeting_id", String(32), primary_key=True),
    Column("registrant_id", String(128), primary_key=True),
    Column("trainee_id", ForeignKey("trainees.id")),
    Column("email", String(255)),
    Column("name", String(255)),
    Column("event_ts", BigInteger, nullable=False, server_default="0"),  # of the newest notice, in milliseconds
    Column("matched_by", String(32)),
    Column("reason", Text),
    Column("recorded_at", UtcDateTime, nullable=False),
    Index(None, "trainee_id"),
)
