"""The score ledger: per (line item, person) what is desired and what was delivered, with proof."""

from sqlalchemy import CheckConstraint, Column, Float, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from lti_tool.tables.types import Id, UtcDateTime, metadata

scores = Table(
    "scores",
    metadata,
    Column("id", Id, primary_key=True),
    Column("placement_id", ForeignKey("placements.id"), nullable=False),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False),
    Column("line_item_url", Text, nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("meaning", String(16), nullable=False),
    Column("desired_version", Integer, nullable=False),
    Column("desired_given", Float),  # None clears (AG-10)
    Column("desired_maximum", Float, nullable=False),
    Column("desired_comment", Text, nullable=False),
    Column("desired_at", UtcDateTime, nullable=False),
    Column("delivered_version", Integer, nullable=False),  # 0: nothing yet
    Column("delivered_given", Float),
    Column("delivered_at", UtcDateTime),
    Column("last_timestamp", UtcDateTime),  # strictly rising per pair (AG-8)
    Column("sent_version", Integer),  # which desired version carried that timestamp; None: it must not be used again
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_answer", Text),
    Column("next_attempt_at", UtcDateTime, nullable=False),
    Column("lease_owner", String(64)),
    Column("leased_until", UtcDateTime),
    UniqueConstraint("placement_id", "trainee_id", "meaning"),
    CheckConstraint("status in ('waiting', 'delivered', 'parked')", name="status"),
    CheckConstraint("meaning in ('completion', 'ce')", name="meaning"),
    CheckConstraint("delivered_version <= desired_version", name="versions"),
    Index(None, "status", "next_attempt_at"),
)
