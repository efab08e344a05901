"""Requests for accommodations, and imports on the desk.

Revision 0004, after 0003. Drafted from the tables, then read.
"""

import sqlalchemy as sa
from alembic import op

from lti_tool.tables import types

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "completion_imports",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("content", types.Encrypted(), nullable=True),
        sa.Column("uploaded_by", sa.String(length=255), nullable=False),
        sa.Column("uploaded_at", types.UtcDateTime(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=True),
        sa.Column("imported_by", sa.String(length=255), nullable=True),
        sa.Column("imported_at", types.UtcDateTime(), nullable=True),
        sa.Column("undo_reason", sa.Text(), nullable=True),
        sa.Column("undo_by", sa.String(length=255), nullable=True),
        sa.Column("undo_at", types.UtcDateTime(), nullable=True),
        sa.Column("undone_by", sa.String(length=255), nullable=True),
        sa.Column("undone_at", types.UtcDateTime(), nullable=True),
        sa.CheckConstraint("(content is null) = (imported_at is not null)", name=op.f("ck_completion_imports_content")),
        sa.CheckConstraint(
            "undone_by is null or undone_by <> undo_by", name=op.f("ck_completion_imports_second_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_completion_imports")),
    )
    import_id = sa.Column("import_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
    name = op.f("fk_completions_import_id_completion_imports")
    if op.get_bind().dialect.name == "postgresql":
        op.add_column("completions", import_id)
        op.create_foreign_key(name, "completions", "completion_imports", ["import_id"], ["id"])
    else:  # SQLite adds no constraint to a table, but takes one with a column
        import_id.append_foreign_key(sa.ForeignKey("completion_imports.id", name=name))
        op.add_column("completions", import_id, inline_references=True)
    op.create_index(op.f("ix_completions_import_id"), "completions", ["import_id"], unique=False)
    op.create_table(
        "accommodation_requests",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("trainee_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("module_id", sa.String(length=64), nullable=True),
        sa.Column("live_session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("text", types.Encrypted(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("answer", types.Encrypted(), nullable=True),
        sa.Column("answered_by", sa.String(length=255), nullable=True),
        sa.Column("answered_at", types.UtcDateTime(), nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("ended_at", types.UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "(ended_at is null) = (state in ('open', 'answered'))", name=op.f("ck_accommodation_requests_end")
        ),
        sa.CheckConstraint(
            "state in ('open', 'answered', 'closed', 'withdrawn')", name=op.f("ck_accommodation_requests_state")
        ),
        sa.CheckConstraint("text is not null or ended_at is not null", name=op.f("ck_accommodation_requests_text")),
        sa.ForeignKeyConstraint(
            ["live_session_id"],
            ["live_sessions.id"],
            name=op.f("fk_accommodation_requests_live_session_id_live_sessions"),
        ),
        sa.ForeignKeyConstraint(
            ["trainee_id"], ["trainees.id"], name=op.f("fk_accommodation_requests_trainee_id_trainees")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accommodation_requests")),
    )
    op.create_index(
        op.f("ix_accommodation_requests_trainee_id"), "accommodation_requests", ["trainee_id"], unique=False
    )
    op.create_index(
        "uq_accommodation_requests_open",
        "accommodation_requests",
        ["trainee_id"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
