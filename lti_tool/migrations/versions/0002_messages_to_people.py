"""Messages to people.

Revision 0002, after 0001. Drafted from the tables, then read.
"""

import sqlalchemy as sa
from alembic import op

from lti_tool.tables import types

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "mail_preferences",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reminders", sa.Boolean(), nullable=False),
        sa.Column("schedule_changes", sa.Boolean(), nullable=False),
        sa.Column("digest", sa.Boolean(), nullable=False),
        sa.Column("updated_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["trainee_id"], ["trainees.id"], name=op.f("fk_mail_preferences_trainee_id_trainees")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail_preferences")),
        sa.UniqueConstraint("trainee_id", name=op.f("uq_mail_preferences_trainee_id")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("occasion", sa.String(length=64), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_answer", sa.String(length=64), nullable=True),
        sa.Column("next_at", types.UtcDateTime(), nullable=False),
        sa.Column("send_before", types.UtcDateTime(), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("ended_at", types.UtcDateTime(), nullable=True),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("leased_until", types.UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "state in ('waiting', 'sent', 'refused', 'gave_up', 'dropped')", name=op.f("ck_outbox_state")
        ),
        sa.ForeignKeyConstraint(["trainee_id"], ["trainees.id"], name=op.f("fk_outbox_trainee_id_trainees")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint(
            "kind", "subject_id", "occasion", "trainee_id", name=op.f("uq_outbox_kind_subject_id_occasion_trainee_id")
        ),
    )
    op.create_index(op.f("ix_outbox_trainee_id"), "outbox", ["trainee_id"], unique=False)
    op.create_index(
        "ix_outbox_waiting",
        "outbox",
        ["next_at"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
