"""The people known from launches, their platform identities and their licences."""

from sqlalchemy import Boolean, CheckConstraint, Column, Date, ForeignKey, Index, String, Table

from lti_tool.tables.types import Encrypted, Id, UtcDateTime, metadata

trainees = Table(
    "trainees",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(255)),  # display only; a platform may send none
    Column("email", String(255)),  # as text.email_address gives it; never proof of identity
    Column("profession", String(64)),
    # The token of the calendar feed is derived from it with the installation's secret, and is stored nowhere.
    Column("calendar_salt", String(64), nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "email"),
)

# `sub` is unique within an issuer (OpenID Connect Core §2): one person keeps one record across the many client ids
# that Open edX makes for its units.
identities = Table(
    "identities",
    metadata,
    Column("issuer", String(255), primary_key=True),
    Column("sub", String(255), primary_key=True),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False, index=True),
)

# A correction is a new row; `ended_at` closes the old one. `status` is what the board says.
licences = Table(
    "licences",
    metadata,
    Column("id", Id, primary_key=True),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False, index=True),
    Column("type", String(32), nullable=False),
    Column("jurisdiction", String(16), nullable=False),
    Column("number", Encrypted, nullable=False),
    Column("name_on_licence", String(255), nullable=False),
    Column("issued_on", Date, nullable=False),
    Column("expires_on", Date, nullable=False),
    Column("status", String(16), nullable=False),
    Column("verified", Boolean, nullable=False),
    Column("recorded_by", String(255), nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    CheckConstraint("status in ('active', 'probation', 'inactive')", name="status"),
    CheckConstraint("issued_on <= expires_on", name="dates"),
)
