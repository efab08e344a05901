"""Roles granted by name.

Revision 0008, after 0007. Drafted from the tables, then read.
"""

import sqlalchemy as sa
from alembic import op

from lti_tool.tables import types

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "role_grants",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("granted_by", sa.String(length=255), nullable=False),
        sa.Column("granted_at", types.UtcDateTime(), nullable=False),
        sa.Column("ends_at", types.UtcDateTime(), nullable=True),
        sa.Column("ended_at", types.UtcDateTime(), nullable=True),
        sa.Column("ended_by", sa.String(length=255), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["trainee_id"], ["trainees.id"], name=op.f("fk_role_grants_trainee_id_trainees")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role_grants")),
    )
    op.create_index(op.f("ix_role_grants_trainee_id"), "role_grants", ["trainee_id"], unique=False)
