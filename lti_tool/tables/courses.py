"""Courses on platforms: what each resource link opens, who belongs to a course, and where a course was copied from."""

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from lti_tool.tables.types import Id, UtcDateTime, metadata

# One content behind one resource link of a platform, and the services it was offered at its latest launch. A link that
# holds several deep-linked contents (Open edX) has a row for each: its launches differ by their custom parameters only.
placements = Table(
    "placements",
    metadata,
    Column("id", Id, primary_key=True),
    Column("registration_id", ForeignKey("registrations.id"), nullable=False),
    Column("deployment_id", String(255), nullable=False),
    Column("resource_link_id", String(255), nullable=False),
    Column("content", String(96), nullable=False),  # "module:F1", "page:retreats", "" where the launch names nothing
    Column("resource_link_title", String(255)),
    Column("context_id", String(255)),
    Column("context_title", String(255)),
    Column("module_id", String(64)),  # the module it opens: the launch's own, or for content "" the one staff chose
    Column("refused_trainee_id", ForeignKey("trainees.id")),  # who met it last, if the programme has no such offering
    Column("score_meaning", String(16)),  # custom parameter `score`; None: as the programme says
    Column("confirmed_at", UtcDateTime),  # staff looked at what this link opens, in this course
    Column("confirmed_by", String(255)),
    Column("line_item_url", Text),
    Column("line_items_url", Text),
    Column("ags_scopes", JSON, nullable=False),
    Column("is_ags_unreadable", Boolean),  # whether the latest launch's grade claim was not as AGS 2.0 describes it
    Column("memberships_url", Text),
    Column("groups_url", Text),
    Column("notices_url", Text),
    Column("shares_name", Boolean),  # whether the latest launch of a learner carried a name; None: no learner yet
    Column("shares_email", Boolean),
    Column("updated_at", UtcDateTime, nullable=False),  # when a launch or staff last changed any of this
    Column("launched_at", UtcDateTime, nullable=False),  # its latest launch, to the hour
    UniqueConstraint("registration_id", "deployment_id", "resource_link_id", "content"),
    CheckConstraint("score_meaning in ('completion', 'ce', 'both')", name="score_meaning"),
    Index(None, "module_id"),
    Index(None, "registration_id", "context_id"),
)

IS_NO_TRAINEE = "role != 'trainee'"

# Who belongs to which course, from launches and rosters; the platform's user id is what scores are addressed to. Once
# a person has launched, the launch's role holds (lti.md RO-6). Only trainees are scored and missed: "other" is a person
# who is no learner in the course, or a test user (lti.md FR-4).
enrolments = Table(
    "enrolments",
    metadata,
    Column("registration_id", ForeignKey("registrations.id"), primary_key=True),
    Column("context_id", String(255), primary_key=True),  # "" for a launch without a context
    Column("trainee_id", ForeignKey("trainees.id"), primary_key=True),
    Column("user_id", String(255), nullable=False),
    Column("role", String(16), nullable=False),
    Column("last_launch_at", UtcDateTime),  # None: known from the roster only
    Column("listed_at", UtcDateTime),  # when a roster first listed a person who had not launched
    Index(None, "trainee_id"),
    Index(None, "last_launch_at", "trainee_id"),
    Index(
        "ix_enrolments_no_trainees",
        "trainee_id",
        sqlite_where=text(IS_NO_TRAINEE),
        postgresql_where=text(IS_NO_TRAINEE),
    ),
    CheckConstraint("last_launch_at is not null or listed_at is not null", name="seen"),
    CheckConstraint("role in ('trainee', 'staff', 'other')", name="role"),
)

# The roster of one course as last read from the platform (NRPS 2.0).
rosters = Table(
    "rosters",
    metadata,
    Column("registration_id", ForeignKey("registrations.id"), primary_key=True),
    Column("context_id", String(255), primary_key=True),
    Column("memberships_url", Text, nullable=False),
    Column("resource_link_id", String(255)),  # sent as `rlid` where names come only so (moodle.md §6)
    Column("differences_url", Text),  # opaque; where the platform offers it (lti.md NR-3)
    Column("members", Integer),
    Column("skipped", Integer, nullable=False, server_default="0"),  # entries that could not be told from others
    Column("read_at", UtcDateTime),  # when it was last read whole
    Column("tried_at", UtcDateTime),
    Column("code", String(64), nullable=False),  # why the last try failed; "" when it did not
    Column("next_at", UtcDateTime, nullable=False),
    Column("lease_owner", String(64)),  # who reads it at the moment, and until when no other worker does
    Column("leased_until", UtcDateTime),
    Index(None, "next_at"),
)

# One member of a roster. Names and addresses are the person's (trainees); who is gone stays, with the day.
roster_members = Table(
    "roster_members",
    metadata,
    Column("registration_id", ForeignKey("registrations.id"), primary_key=True),
    Column("context_id", String(255), primary_key=True),
    Column("user_id", String(255), primary_key=True),
    Column("trainee_id", ForeignKey("trainees.id"), nullable=False, index=True),
    Column("role", String(16), nullable=False),
    Column("groups", JSON, nullable=False),  # names of course groups
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime, nullable=False),
    Column("left_at", UtcDateTime),
    CheckConstraint("role in ('trainee', 'staff', 'other')", name="role"),
)

# A platform's notice that one course was copied from another (LtiContextCopyNotice).
course_copies = Table(
    "course_copies",
    metadata,
    Column("registration_id", ForeignKey("registrations.id"), primary_key=True),
    Column("context_id", String(255), primary_key=True),
    Column("origin_context_id", String(255), primary_key=True),
    Column("noticed_at", UtcDateTime, nullable=False),
)
