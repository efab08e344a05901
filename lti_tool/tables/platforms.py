"""Registered platforms and how they came, the tool's own keys, and what platforms' services last answered."""

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from lti_tool.tables.types import Encrypted, Id, UtcDateTime, metadata

registrations = Table(
    "registrations",
    metadata,
    Column("id", Id, primary_key=True),
    Column("issuer", String(255), nullable=False),
    Column("client_id", String(255), nullable=False),
    Column("auth_login_url", Text, nullable=False),
    Column("token_url", Text, nullable=False),
    Column("key_set_url", Text, nullable=False),
    Column("token_audience", Text),  # None: the token URL (lti.md TK-2)
    Column("profile", String(32), nullable=False),
    Column("old_roles", Boolean, nullable=False, default=False),  # institution and system roles count (lti.md RO-3)
    Column("service_origins", JSON, nullable=False, default=list),  # more origins of its services (lti.md TK-7)
    Column("status", String(16), nullable=False),
    Column("came_by", String(16), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("issuer", "client_id"),  # lti.md OIDC-2: one issuer may have many clients
    CheckConstraint("status in ('pending', 'active', 'disabled')", name="status"),
    CheckConstraint("came_by in ('command', 'file', 'dynamic')", name="came_by"),
    CheckConstraint("profile in ('openedx', 'moodle', 'canvas', 'generic')", name="profile"),
)

deployments = Table(
    "deployments",
    metadata,
    Column("registration_id", ForeignKey("registrations.id"), primary_key=True),
    Column("deployment_id", String(255), primary_key=True),
)

# An invitation to register a platform by itself (lti.md DR-1); its link holds the token, this table only the SHA-256.
registration_invitations = Table(
    "registration_invitations",
    metadata,
    Column("token_digest", String(64), primary_key=True),
    Column("invited_by", String(255), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
    Column("registration_id", ForeignKey("registrations.id")),
)

tool_keys = Table(
    "tool_keys",
    metadata,
    Column("kid", String(64), primary_key=True),
    Column("private_pem", Encrypted, nullable=False),
    Column("public_jwk", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("signs_from", UtcDateTime, nullable=False),  # published first, signs later (lti.md KE-4)
    Column("retired_at", UtcDateTime),
)

# What each service of a platform answered last, for whoever asks why something does not arrive. No body is kept.
service_answers = Table(
    "service_answers",
    metadata,
    Column("registration_id", ForeignKey("registrations.id"), primary_key=True),
    Column("service", String(32), primary_key=True),
    Column("subject", String(64), primary_key=True),  # digest of the course or line item it was about; "" for none
    Column("status", Integer, nullable=False),  # HTTP status; 0 when there was no answer
    Column("code", String(64), nullable=False),  # our own stable code; "" when all was well
    Column("answered_at", UtcDateTime, nullable=False),
    Column("well_at", UtcDateTime),  # when it last answered well
)
