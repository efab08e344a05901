"""Visits: consumed nonces, browsers' sessions, and deep linking requests that wait for a choice."""

from sqlalchemy import JSON, Boolean, Column, ForeignKey, String, Table, Text

from lti_tool.tables.types import Id, UtcDateTime, metadata

# The nonces of messages that begin no session.
used_nonces = Table(
    "used_nonces",
    metadata,
    Column("nonce", String(64), primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)

# The browser's session inside the frame; the cookie holds a random token, this table only its SHA-256. The nonce of the
# launch that began it is unique: a launch begins one session, once (lti.md LA-1). A session is kept for longer than its
# launch could come back.
web_sessions = Table(
    "web_sessions",
    metadata,
    Column("token_digest", String(64), primary_key=True),
    Column("nonce", String(64), nullable=False, unique=True),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False),
    Column("registration_id", ForeignKey("registrations.id"), nullable=False),
    Column("context_id", String(255)),
    Column("placement_id", ForeignKey("placements.id")),  # None for a message that comes from no resource link
    Column("role", String(16), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)

# A teacher was sent here to pick what a link opens (LtiDeepLinkingRequest); answered once, by that teacher's session.
deep_link_requests = Table(
    "deep_link_requests",
    metadata,
    Column("id", Id, primary_key=True),
    Column("registration_id", ForeignKey("registrations.id"), nullable=False),
    Column("deployment_id", String(255), nullable=False),
    Column("context_id", String(255)),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False),
    Column("return_url", Text, nullable=False),
    Column("accept_types", JSON, nullable=False),
    Column("accept_multiple", Boolean, nullable=False),
    Column("accept_line_item", Boolean),  # None: not said
    Column("data", Text),  # goes back byte for byte
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("answered_at", UtcDateTime),
)
