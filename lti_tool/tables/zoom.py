"""What Zoom told: deliveries as received (append-only, sealed), reports as fetched, and who a registrant is."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from lti_tool.tables.types import Id, UtcDateTime, metadata, only_grows

UNTAKEN = "taken_at is null"
# What is watched: challenges, what could not be read, what was signed too long ago. (Literal, so that SQLite sees that
# the index fits.)
NOTABLE = "(event in ('', 'endpoint.url_validation') or stale)"

# The end of an instance, which is looked up with every delivery about it.
ENDED = "event in ('meeting.ended', 'webinar.ended')"

# The raw bytes are the evidence, the headers prove them; the columns beside them are read from those bytes to find them
# again. `taken_at` is the reader's bookmark, the only thing ever written to a row after its insert.
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
    Column("secret_mark", String(16)),  # which secret that was, by its fingerprint; empty: not signed, or older
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
    Index("ix_zoom_inbox_ended", "meeting_id", "meeting_uuid", sqlite_where=text(ENDED), postgresql_where=text(ENDED)),
    Index(
        "ix_zoom_inbox_notable",
        "received_at",
        sqlite_where=text(NOTABLE),
        postgresql_where=text(NOTABLE),
    ),
)
only_grows(zoom_inbox, once="taken_at")

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
    Column("status", String(16), nullable=False, server_default="approved"),  # at Zoom, as its notices say
    Column("status_ts", BigInteger, nullable=False, server_default="0"),  # of the notice that said it, in milliseconds
    Column("matched_by", String(32)),
    Column("reason", Text),
    Column("recorded_at", UtcDateTime, nullable=False),
    CheckConstraint("status in ('pending', 'approved', 'denied', 'cancelled')", name="status"),
    Index(None, "trainee_id"),
)

# The chain over the inbox: each seal covers the one before it and everything of its row that proves something. A row is
# sealed when it is read for the first time.
zoom_seals = Table(
    "zoom_seals",
    metadata,
    Column("position", Id, primary_key=True, autoincrement=False),
    Column("inbox_id", ForeignKey("zoom_inbox.id"), nullable=False, unique=True),
    Column("seal", String(64), nullable=False),
    Column("sealed_at", UtcDateTime, nullable=False),
)
only_grows(zoom_seals)

# What the webhook turned away, counted by day and reason: the sender is unknown, so nothing of it is kept.
zoom_refusals = Table(
    "zoom_refusals",
    metadata,
    Column("day", Date, primary_key=True),
    Column("code", String(64), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
)

# A report as Zoom gave it, whole, once for each content: canonical JSON of all rows of all pages, compressed.
zoom_reports = Table(
    "zoom_reports",
    metadata,
    Column("id", Id, primary_key=True),
    Column("meeting_uuid", String(128), nullable=False),
    Column("source", String(16), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("row_count", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("first_fetched_at", UtcDateTime, nullable=False),
    CheckConstraint("source in ('report', 'past', 'polls')", name="source"),
    UniqueConstraint("meeting_uuid", "source", "digest"),
)

# Every time a report was asked for. `settled`: the answer before it was the same.
zoom_report_fetches = Table(
    "zoom_report_fetches",
    metadata,
    Column("id", Id, primary_key=True),
    Column("live_session_id", ForeignKey("live_sessions.id"), nullable=False),
    Column("meeting_uuid", String(128), nullable=False),
    Column("source", String(16), nullable=False),
    Column("report_id", ForeignKey("zoom_reports.id")),  # none: the fetch failed
    Column("code", String(64)),  # why it failed
    Column("settled", Boolean, nullable=False),
    Column("fetched_at", UtcDateTime, nullable=False),
    Index(None, "live_session_id", "meeting_uuid"),
)

# Every time Zoom's own log of deliveries was read: of a class all of it, otherwise what had failed.
zoom_log_reads = Table(
    "zoom_log_reads",
    metadata,
    Column("id", Id, primary_key=True),
    Column("live_session_id", ForeignKey("live_sessions.id"), index=True),
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Column("row_count", Integer),  # none: it could not be read
    Column("added", Integer),  # events that had not been delivered
    Column("unreadable", Integer),  # bodies that are no JSON; kept as they came
    Column("code", String(64)),  # why it could not be read
    Column("read_at", UtcDateTime, nullable=False),
)

# What is wrong with the evidence, as long as it is: read by the desk, by `gatehouse zoom health` and by the metrics.
zoom_gaps = Table(
    "zoom_gaps",
    metadata,
    Column("code", String(64), primary_key=True),
    Column("subject", String(128), primary_key=True),  # "webhook", "session:7"
    Column("since", UtcDateTime, nullable=False),
    Column("count", Integer, nullable=False),
    Column("details", JSON, nullable=False),  # ids and numbers only
    Column("seen_at", UtcDateTime, nullable=False),
)

# What staff call a breakout room, of which Zoom tells no name.
room_labels = Table(
    "room_labels",
    metadata,
    Column("live_session_id", ForeignKey("live_sessions.id"), primary_key=True),
    Column("room", String(200), primary_key=True),
    Column("label", String(100), nullable=False),
    Column("labelled_by", String(255), nullable=False),
    Column("labelled_at", UtcDateTime, nullable=False),
)
