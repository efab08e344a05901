"""Materials of modules.

Revision 0003, after 0002. Drafted from the tables, then read.
"""

import sqlalchemy as sa
from alembic import op

from lti_tool.tables import types

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "material_files",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("cleaned_at", types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_material_files")),
    )
    op.create_index(
        op.f("ix_material_files_cleaned_at_created_at"), "material_files", ["cleaned_at", "created_at"], unique=False
    )
    op.create_table(
        "materials",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("module_id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("shown_at", types.UtcDateTime(), nullable=False),
        sa.Column("hidden_at", types.UtcDateTime(), nullable=True),
        sa.Column("deleted_at", types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_materials")),
    )
    op.create_index(op.f("ix_materials_module_id_position"), "materials", ["module_id", "position"], unique=False)
    op.create_table(
        "material_chunks",
        sa.Column("file_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"], ["material_files.id"], name=op.f("fk_material_chunks_file_id_material_files")
        ),
        sa.PrimaryKeyConstraint("file_id", "number", name=op.f("pk_material_chunks")),
    )
    op.create_table(
        "material_versions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("material_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("shown_from", sa.String(length=16), nullable=False),
        sa.Column("file_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("file_name", sa.String(length=255), nullable=True),
        sa.Column("url", sa.String(length=2000), nullable=True),
        sa.Column("recorded_by", sa.String(length=255), nullable=False),
        sa.Column("recorded_at", types.UtcDateTime(), nullable=False),
        sa.Column("deleted_at", types.UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "shown_from in ('gate', 'session_start', 'session_end')", name=op.f("ck_material_versions_shown_from")
        ),
        sa.CheckConstraint("(file_id is null) = (url is not null)", name=op.f("ck_material_versions_file_or_link")),
        sa.ForeignKeyConstraint(
            ["file_id"], ["material_files.id"], name=op.f("fk_material_versions_file_id_material_files")
        ),
        sa.ForeignKeyConstraint(
            ["material_id"], ["materials.id"], name=op.f("fk_material_versions_material_id_materials")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_material_versions")),
        sa.UniqueConstraint("material_id", "number", name=op.f("uq_material_versions_material_id_number")),
    )
    op.create_index(op.f("ix_material_versions_file_id"), "material_versions", ["file_id"], unique=False)
