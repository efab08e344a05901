"""The score ledger: per (line item, person) what is desired and what was delivered, with proof."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Float,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from lti_tool.tables.types import Id, UtcDateTime, metadata

IN_USE = "retired_at is null"

# The columns of platforms' gradebooks that this tool writes: given by a launch, found on the platform, or made by us.
line_items = Table(
    "line_items",
    metadata,
    Column("id", Id, primary_key=True),
    Column("registration_id", ForeignKey("registrations.id"), nullable=False),
    Column("placement_id", ForeignKey("placements.id"), nullable=False),
    Column("meaning", String(16), nullable=False),
    Column("url", Text, nullable=False),
    Column("origin", String(16), nullable=False),
    Column("is_bound", Boolean),  # its resourceLinkId is our resource link's id; None: not looked at yet
    Column("maximum", Float),  # as the platform has it; None: not looked at yet
    Column("credits", Float),  # how many credits the maximum stands for; None: it means attendance
    Column("due_at", UtcDateTime),  # endDateTime, where the platform gives it
    Column("made_at", UtcDateTime, nullable=False),
    Column("checked_at", UtcDateTime),
    Column("retired_at", UtcDateTime),
    Column("retired_because", String(64)),
    CheckConstraint("meaning in ('completion', 'ce')", name="meaning"),
    CheckConstraint("origin in ('given', 'found', 'made')", name="origin"),
    # One column of a gradebook holds one thing, whichever unit was connected to it before.
    Index(
        "uq_line_items_place",
        "placement_id",
        "meaning",
        unique=True,
        sqlite_where=text(IN_USE),
        postgresql_where=text(IN_USE),
    ),
    Index(
        "uq_line_items_url",
        "registration_id",
        "url",
        unique=True,
        sqlite_where=text(IN_USE),
        postgresql_where=text(IN_USE),
    ),
)

# The work on a unit's columns where the tool looks for them, makes them or checks them: when it is due, who has it in
# hand, and what stood in its way last.
line_item_searches = Table(
    "line_item_searches",
    metadata,
    Column("placement_id", ForeignKey("placements.id"), primary_key=True),
    Column("next_at", UtcDateTime, index=True),  # None: waits for staff
    Column("tried_at", UtcDateTime),
    Column("attempts", Integer, nullable=False),
    Column("code", String(64), nullable=False),  # why it failed last; "" when it did not
    Column("lease_owner", String(64)),
    Column("leased_until", UtcDateTime),
)

# What staff see of a score, as a position in `grades.ags.STATES`: those that need a person come first. Staff cannot
# change what a column shows that is not used any more (its last answer says so).
STATE = (
    "case when status = 'waiting' then 3"
    " when status = 'kept' then 6"
    " when substr(coalesce(last_answer, ''), 1, 7) = 'column_' then case status when 'parked' then 1 else 4 end"
    " when seen = 'differs' then 0"
    " when status = 'parked' then 1"
    " when seen = 'same' then 5"
    " when seen = 'missing' then 2"
    " else 4 end"
)

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
    Column("desired_given", Float),  # None clears (lti.md AG-10)
    Column("desired_maximum", Float, nullable=False),
    Column("desired_comment", Text, nullable=False),
    Column("desired_at", UtcDateTime, nullable=False),
    Column("delivered_version", Integer, nullable=False),  # 0: nothing yet
    Column("delivered_given", Float),
    Column("delivered_maximum", Float),
    Column("delivered_at", UtcDateTime),
    Column("last_timestamp", UtcDateTime),  # strictly rising per pair (lti.md AG-8)
    Column("sent_version", Integer),  # which desired version carried that timestamp; None: it must not be used again
    Column("sent_given", Float),  # what went out with that timestamp, whatever is desired since
    Column("sent_maximum", Float),
    Column("seen_given", Float),  # what the platform's results said, of delivered_maximum; None: none (lti.md AG-12)
    Column("seen_at", UtcDateTime),  # when they were last read
    Column("seen", String(16), nullable=False, server_default="unread"),
    Column("results_due_at", UtcDateTime),  # when to read the results next
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_answer", Text),
    Column("next_attempt_at", UtcDateTime, nullable=False),
    Column("lease_owner", String(64)),
    Column("leased_until", UtcDateTime),
    Column("state", SmallInteger, Computed(STATE, persisted=True), nullable=False),
    UniqueConstraint("placement_id", "trainee_id", "meaning"),
    CheckConstraint("status in ('waiting', 'delivered', 'parked', 'kept')", name="status"),
    CheckConstraint("meaning in ('completion', 'ce')", name="meaning"),
    CheckConstraint("seen in ('unread', 'same', 'differs', 'missing', 'unreadable')", name="seen"),
    CheckConstraint("delivered_version <= desired_version", name="versions"),
    Index(None, "status", "next_attempt_at"),
    Index(None, "results_due_at"),
    Index(None, "state", "id"),
)
