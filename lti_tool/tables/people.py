"""The people known from launches, their platform identities and their licences."""

from sqlalchemy import JSON, Boolean, CheckConstraint, Column, Date, ForeignKey, Index, String, Table, Text, text

from lti_tool.tables.types import Encrypted, Id, UtcDateTime, metadata

trainees = Table(
    "trainees",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(255)),  # display only; a platform may send none
    Column("email", String(255)),  # as text.email_address gives it; never proof of identity
    Column("profession", String(64)),
    Column("language", String(8)),  # what the person chose here; None: what the platform says
    Column("platform_language", String(8)),
    # SHA-256 of the random token in the address of the calendar feed; None until the person makes an address.
    Column("calendar_digest", String(64), unique=True),
    Column("calendar_made_at", UtcDateTime),
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

JOINED = "undone_at is null"

PRESENT = "until_at IS NULL"

# Since when, and until when, a platform named an address for a trainee. An address that changes hands means whoever had
# it at the time. Only a person with several accounts has several addresses at once.
trainee_addresses = Table(
    "trainee_addresses",
    metadata,
    Column("id", Id, primary_key=True),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False),
    Column("email", String(255), nullable=False),
    Column("since_at", UtcDateTime, nullable=False),
    Column("until_at", UtcDateTime),
    Index(None, "email"),
    Index(None, "trainee_id"),
    Index(
        "ix_trainee_addresses_present",
        "email",
        "trainee_id",
        sqlite_where=text(PRESENT),
        postgresql_where=text(PRESENT),
    ),
)

# Staff said that two trainees are one person; everything of `joined_id` belongs to `kept_id` until it is undone.
person_joins = Table(
    "person_joins",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kept_id", ForeignKey("trainees.id"), nullable=False, index=True),
    Column("joined_id", ForeignKey("trainees.id"), nullable=False),
    Column("kept_before", JSON, nullable=False),  # name, email, last_address and courses of the kept one
    Column("joined_email", String(255)),  # the address of the joined trainee, which finds the kept one meanwhile
    Column("reason", Text, nullable=False),
    Column("made_by", String(255), nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("undone_by", String(255)),
    Column("undone_reason", Text),
    Column("undone_at", UtcDateTime),
    CheckConstraint("kept_id <> joined_id", name="two"),
    Index(
        "uq_person_joins_in_force",
        "joined_id",
        unique=True,
        sqlite_where=text(JOINED),
        postgresql_where=text(JOINED),
    ),
)

# Which rows a join moved, so that its undoing gives back exactly these.
person_join_rows = Table(
    "person_join_rows",
    metadata,
    Column("id", Id, primary_key=True),
    Column("join_id", ForeignKey("person_joins.id"), nullable=False, index=True),
    Column("table_name", String(64), nullable=False),
    Column("row_key", JSON, nullable=False),
)

# Staff said that two trainees who share an address are two people; only a new one with that address is put before them.
separate_people = Table(
    "separate_people",
    metadata,
    Column("one_id", ForeignKey("trainees.id"), primary_key=True),
    Column("other_id", ForeignKey("trainees.id"), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("made_by", String(255), nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    CheckConstraint("one_id < other_id", name="ordered"),
)

# Roles that are granted by name (lti_tool/rights.py). A grant ends; it is never deleted.
role_grants = Table(
    "role_grants",
    metadata,
    Column("id", Id, primary_key=True),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False, index=True),
    Column("role", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("granted_by", String(255), nullable=False),
    Column("granted_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime),  # None: until it is ended
    Column("ended_at", UtcDateTime),
    Column("ended_by", String(255)),
    Column("end_reason", Text),
)

# A correction is a new row; `ended_at` closes the old one. `status` is what the board says.
# The secrets of this installation for digests of encrypted columns, random and encrypted as those are.
digest_keys = Table(
    "digest_keys",
    metadata,
    Column("purpose", String(32), primary_key=True),
    Column("key", Encrypted, nullable=False),
)

licences = Table(
    "licences",
    metadata,
    Column("id", Id, primary_key=True),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False, index=True),
    Column("type", String(32), nullable=False),
    Column("jurisdiction", String(16), nullable=False),
    Column("number", Encrypted, nullable=False),
    Column("number_digest", String(64), index=True),  # by which the number is found (people.number_digest)
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
