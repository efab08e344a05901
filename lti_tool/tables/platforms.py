"""Registered platforms, the tool's own keys, consumed nonces, and where in a platform a module has its place."""

from sqlalchemy import JSON, Boolean, CheckConstraint, Column, ForeignKey, Index, String, Table, Text, UniqueConstraint

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
    Column("token_audience", Text),  # None: the token URL (TK-2)
    Column("profile", String(32), nullable=False),
    Column("old_roles", Boolean, nullable=False, default=False),  # RO-3: institution and system roles count as well
    Column("status", String(16), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("issuer", "client_id"),  # OIDC-2: one issuer may have many clients
    CheckConstraint("status in ('active', 'disabled')", name="status"),
    CheckConstraint("profile in ('openedx', 'moodle', 'canvas', 'generic')", name="profile"),
)

deployments = Table(
    "deployments",
    metadata,
    Column("registration_id", ForeignKey("registrations.id"), primary_key=True),
    Column("deployment_id", String(255), primary_key=True),
)

tool_keys = Table(
    "tool_keys",
    metadata,
    Column("kid", String(64), primary_key=True),
    Column("private_pem", Encrypted, nullable=False),
    Column("public_jwk", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("signs_from", UtcDateTime, nullable=False),  # published first, signs later (KE-4)
    Column("retired_at", UtcDateTime),
)

used_nonces = Table(
    "used_nonces",
    metadata,
    Column("nonce", String(64), primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)

# One resource link of a platform: what it opens here, and the services it was offered at its latest launch.
placements = Table(
    "placements",
    metadata,
    Column("id", Id, primary_key=True),
    Column("registration_id", ForeignKey("registrations.id"), nullable=False),
    Column("deployment_id", String(255), nullable=False),
    Column("resource_link_id", String(255), nullable=False),
    Column("context_id", String(255)),
    Column("context_title", String(255)),
    Column("module_id", String(64)),
    Column("line_item_url", Text),
    Column("line_items_url", Text),
    Column("ags_scopes", JSON, nullable=False),
    Column("memberships_url", Text),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("registration_id", "deployment_id", "resource_link_id"),
    Index(None, "module_id"),
)

# Who was seen in which course, from launches; the platform's user id is what scores are addressed to.
enrolments = Table(
    "enrolments",
    metadata,
    Column("registration_id", ForeignKey("registrations.id"), primary_key=True),
    Column("context_id", String(255), primary_key=True),  # "" for a launch without a context
    Column("trainee_id", ForeignKey("trainees.id"), primary_key=True),
    Column("user_id", String(255), nullable=False),
    Column("role", String(16), nullable=False),
    Column("last_launch_at", UtcDateTime, nullable=False),
    Index(None, "trainee_id"),
    CheckConstraint("role in ('trainee', 'staff')", name="role"),
)

# The browser's session inside the frame; the cookie holds a random token, this table only its SHA-256.
web_sessions = Table(
    "web_sessions",
    metadata,
    Column("token_digest", String(64), primary_key=True),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False),
    Column("placement_id", ForeignKey("placements.id"), nullable=False),
    Column("role", String(16), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)
