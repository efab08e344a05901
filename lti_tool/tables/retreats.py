"""Applications to retreats, without a single health answer, and who attended."""

from sqlalchemy import CheckConstraint, Column, Date, ForeignKey, Index, String, Table, text

from lti_tool.tables.types import Id, UtcDateTime, metadata

LIVE = "state not in ('declined', 'withdrawn', 'attended', 'no_show')"

retreat_applications = Table(
    "retreat_applications",
    metadata,
    Column("id", Id, primary_key=True),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False),
    Column("retreat_id", String(64), nullable=False),
    Column("starts_on", Date, nullable=False),
    Column("state", String(16), nullable=False),
    Column("statement_version", String(64)),  # the list that was read, and nothing about what it said to whom
    Column("statement_at", UtcDateTime),
    Column("decision_digest", String(64), nullable=False),
    Column("submitted_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    CheckConstraint(
        "state in ('draft', 'gate_blocked', 'submitted', 'under_review', 'screening', 'waitlisted', 'offered', "
        "'confirmed', 'declined', 'withdrawn', 'attended', 'no_show')",
        name="state",
    ),
    # retreats.md H4.3: one live application per learner and retreat date.
    Index(
        "uq_retreat_applications_live",
        "trainee_id",
        "retreat_id",
        "starts_on",
        unique=True,
        sqlite_where=text(LIVE),
        postgresql_where=text(LIVE),
    ),
)

IN_FORCE = "ended_at is null"

# Set from the roster by staff present, never by payment or registration (retreats.md H11.1).
retreat_attendances = Table(
    "retreat_attendances",
    metadata,
    Column("id", Id, primary_key=True),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False, index=True),
    Column("retreat_id", String(64), nullable=False),
    Column("starts_on", Date, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("recorded_by", String(255), nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    CheckConstraint("outcome in ('attended', 'no_show')", name="outcome"),
    CheckConstraint("origin in ('roster', 'imported')", name="origin"),
    # One outcome in force per person and retreat date; a correction ends the old one.
    Index(
        "uq_retreat_attendances_in_force",
        "trainee_id",
        "retreat_id",
        "starts_on",
        unique=True,
        sqlite_where=text(IN_FORCE),
        postgresql_where=text(IN_FORCE),
    ),
)
