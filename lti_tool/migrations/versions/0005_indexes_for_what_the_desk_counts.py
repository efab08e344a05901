"""Indexes for what the desk counts.

Revision 0005, after 0004. Drafted from the tables, then read.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_index(
        "ix_attendances_counted",
        "attendances",
        ["live_session_id", "trainee_id", "seconds_present", "completed"],
        unique=False,
        sqlite_where=sa.text("is_current = 1"),
        postgresql_where=sa.text("is_current"),
    )
    op.create_index(
        "ix_attendances_flagged",
        "attendances",
        ["live_session_id"],
        unique=False,
        sqlite_where=sa.text("is_current = 1 AND CAST(flags AS TEXT) != '[]'"),
        postgresql_where=sa.text("is_current AND CAST(flags AS TEXT) != '[]'"),
    )
    op.create_index(
        op.f("ix_enrolments_last_launch_at_trainee_id"), "enrolments", ["last_launch_at", "trainee_id"], unique=False
    )
    op.create_index(
        "ix_enrolments_staff",
        "enrolments",
        ["trainee_id"],
        unique=False,
        sqlite_where=sa.text("role = 'staff'"),
        postgresql_where=sa.text("role = 'staff'"),
    )
    op.create_index(
        "ix_trainee_addresses_present",
        "trainee_addresses",
        ["email", "trainee_id"],
        unique=False,
        sqlite_where=sa.text("until_at IS NULL"),
        postgresql_where=sa.text("until_at IS NULL"),
    )
