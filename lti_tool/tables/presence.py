"""What people add to Zoom's evidence: links, corrections, reviews, requests, places in meetings, presence checks."""

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
    UniqueConstraint,
    text,
)

from lti_tool.tables.types import Encrypted, Id, UtcDateTime, metadata

LINK_IN_FORCE = "undone_at is null"

# Staff said who a person in Zoom is: an address (everywhere), a registrant id (in one meeting), or one connection.
person_links = Table(
    "person_links",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("value", String(255), nullable=False),
    Column("meeting_id", String(32), nullable=False),  # empty for an address: it is the same person everywhere
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_by", String(255), nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("undone_by", String(255)),
    Column("undone_reason", Text),
    Column("undone_at", UtcDateTime),
    CheckConstraint("kind in ('email', 'registrant', 'connection')", name="kind"),
    Index(
        "uq_person_links_in_force",
        "kind",
        "value",
        "meeting_id",
        unique=True,
        sqlite_where=text(LINK_IN_FORCE),
        postgresql_where=text(LINK_IN_FORCE),
    ),
    Index(None, "trainee_id"),
)

# Who a registrant, an address or a connection was in one session, as it was settled first. It holds whatever evidence
# comes later; only staff decide otherwise, by a link.
settled_identities = Table(
    "settled_identities",
    metadata,
    Column("live_session_id", ForeignKey("live_sessions.id"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("value", String(255), primary_key=True),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False, index=True),
    Column("known_by", String(16), nullable=False),
    Column("settled_at", UtcDateTime, nullable=False),
    CheckConstraint("kind in ('email', 'registrant', 'connection')", name="kind"),
    CheckConstraint("known_by in ('place', 'address', 'settled')", name="known_by"),
)

# Presence that staff vouch for, or take away (`counts` false). In force once a second person confirmed it (ce.md T11).
attendance_corrections = Table(
    "attendance_corrections",
    metadata,
    Column("id", Id, primary_key=True),
    Column("live_session_id", ForeignKey("live_sessions.id"), nullable=False),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False),
    Column("from_at", UtcDateTime, nullable=False),
    Column("to_at", UtcDateTime, nullable=False),
    Column("counts", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("proposed_by", String(255), nullable=False),
    Column("proposed_at", UtcDateTime, nullable=False),
    Column("confirmed_by", String(255)),
    Column("confirmed_at", UtcDateTime),
    Column("undone_by", String(255)),
    Column("undone_reason", Text),
    Column("undone_at", UtcDateTime),
    CheckConstraint("from_at < to_at", name="times"),
    CheckConstraint("confirmed_by is null or confirmed_by <> proposed_by", name="second_person"),
    Index(None, "live_session_id", "trainee_id"),
)

# Staff looked at what was odd about a person's day and let it stand. Holds for exactly the evidence they saw.
attendance_reviews = Table(
    "attendance_reviews",
    metadata,
    Column("id", Id, primary_key=True),
    Column("live_session_id", ForeignKey("live_sessions.id"), nullable=False),
    Column("person_key", String(255), nullable=False),
    Column("input_digest", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_by", String(255), nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    UniqueConstraint("live_session_id", "person_key", "input_digest"),
)

REQUEST_OPEN = "state = 'open'"

# "This does not look right": a trainee asks staff to look at the own day.
attendance_requests = Table(
    "attendance_requests",
    metadata,
    Column("id", Id, primary_key=True),
    Column("live_session_id", ForeignKey("live_sessions.id"), nullable=False),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False),
    Column("text", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("answer", Text),
    Column("answered_by", String(255)),
    Column("answered_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint("state in ('open', 'answered', 'withdrawn')", name="state"),
    Index(
        "uq_attendance_requests_open",
        "live_session_id",
        "trainee_id",
        unique=True,
        sqlite_where=text(REQUEST_OPEN),
        postgresql_where=text(REQUEST_OPEN),
    ),
)

# What would help a trainee in everything, one module or one session; never why. Text and answer are deleted some time
# after the end.
accommodation_requests = Table(
    "accommodation_requests",
    metadata,
    Column("id", Id, primary_key=True),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False, index=True),
    Column("module_id", String(64)),
    Column("live_session_id", ForeignKey("live_sessions.id")),
    Column("text", Encrypted),
    Column("state", String(16), nullable=False),
    Column("answer", Encrypted),
    Column("answered_by", String(255)),
    Column("answered_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    CheckConstraint("state in ('open', 'answered', 'closed', 'withdrawn')", name="state"),
    CheckConstraint("(ended_at is null) = (state in ('open', 'answered'))", name="end"),
    CheckConstraint("text is not null or ended_at is not null", name="text"),
    Index(
        "uq_accommodation_requests_open",
        "trainee_id",
        unique=True,
        sqlite_where=text(REQUEST_OPEN),
        postgresql_where=text(REQUEST_OPEN),
    ),
)

# A trainee's registration for one Zoom meeting: what the gate wants, and what Zoom has been told. The worker brings the
# second in line with the first.
zoom_places = Table(
    "zoom_places",
    metadata,
    Column("id", Id, primary_key=True),
    Column("meeting_id", String(32), nullable=False),
    Column("zoom_kind", String(8), nullable=False),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False),
    Column("wanted", Boolean, nullable=False),
    Column("state", String(16), nullable=False),  # at Zoom
    Column("registrant_id", String(128)),
    Column("join_url", Encrypted),
    Column("due_at", UtcDateTime),  # none: nothing is to be done
    Column("asked_at", UtcDateTime),  # when the person last asked to join; none: the course alone speaks for the place
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("last_code", String(64)),
    Column("calls_on", Date),  # Zoom allows 3 adds and 10 changes of status a day for one registrant (UTC days)
    Column("adds", Integer, nullable=False, server_default="0"),
    Column("changes", Integer, nullable=False, server_default="0"),
    Column("lease_owner", String(64)),
    Column("leased_until", UtcDateTime),
    Column("wanted_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("meeting_id", "trainee_id"),
    CheckConstraint("zoom_kind in ('meeting', 'webinar')", name="zoom_kind"),
    CheckConstraint("state in ('none', 'pending', 'registered', 'cancelled', 'refused')", name="state"),
    Index(None, "due_at"),
    Index(None, "trainee_id"),
)

# A Zoom meeting in which classes are to come: how it is set at Zoom, and when it is looked after next.
zoom_meetings = Table(
    "zoom_meetings",
    metadata,
    Column("meeting_id", String(32), primary_key=True),
    Column("settings", JSON),  # those of them that matter to a class, as last read
    Column("settings_code", String(64), nullable=False),  # why they could not be read last; "" when they were
    Column("settings_at", UtcDateTime),  # when they were last read
    Column("due_at", UtcDateTime, nullable=False),
    Column("lease_owner", String(64)),
    Column("leased_until", UtcDateTime),
    Index(None, "due_at"),
)

# Staff asked "are you there?" in the frame; whoever sees it taps once.
presence_checks = Table(
    "presence_checks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("live_session_id", ForeignKey("live_sessions.id"), nullable=False, index=True),
    Column("opens_at", UtcDateTime, nullable=False),
    Column("closes_at", UtcDateTime, nullable=False),
    Column("opened_by", String(255), nullable=False),
    CheckConstraint("opens_at < closes_at", name="times"),
)

presence_check_answers = Table(
    "presence_check_answers",
    metadata,
    Column("check_id", ForeignKey("presence_checks.id"), primary_key=True),
    Column("trainee_id", ForeignKey("trainees.id"), primary_key=True),
    Column("answered_at", UtcDateTime, nullable=False),
)

# That a person answered a poll, and when; never what.
poll_answers = Table(
    "poll_answers",
    metadata,
    Column("id", Id, primary_key=True),
    Column("live_session_id", ForeignKey("live_sessions.id"), nullable=False),
    Column("meeting_uuid", String(128), nullable=False),
    Column("poll", String(128), nullable=False),
    Column("email", String(255), nullable=False),
    Column("answered_at", UtcDateTime),
    UniqueConstraint("live_session_id", "meeting_uuid", "poll", "email"),
)
