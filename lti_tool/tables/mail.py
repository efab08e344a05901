"""Messages to people, one row for each, and what people chose to receive."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    text,
)

from lti_tool.tables.types import Id, UtcDateTime, metadata

WAITING = "state = 'waiting'"

# One message to one person about one occasion. It holds no address and no text: both are read when it is sent.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("subject_id", Id, nullable=False),  # of the request or the live session; 0 for the digest
    Column("occasion", String(64), nullable=False),  # which of the subject's occasions of this kind
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_answer", String(64)),  # the mail server's status code, or our code if there was none
    Column("next_at", UtcDateTime, nullable=False),
    Column("send_before", UtcDateTime, nullable=False),  # after this the message is of no use
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),  # when the state became another than waiting
    Column("lease_owner", String(64)),
    Column("leased_until", UtcDateTime),
    UniqueConstraint("kind", "subject_id", "occasion", "trainee_id"),
    CheckConstraint("state in ('waiting', 'sent', 'refused', 'gave_up', 'dropped')", name="state"),
    Index("ix_outbox_waiting", "next_at", sqlite_where=text(WAITING), postgresql_where=text(WAITING)),
)

# Without a row, a person receives what `outbox.preferences` says by default.
mail_preferences = Table(
    "mail_preferences",
    metadata,
    Column("id", Id, primary_key=True),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False, unique=True),
    Column("reminders", Boolean, nullable=False),
    Column("schedule_changes", Boolean, nullable=False),
    Column("digest", Boolean, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
