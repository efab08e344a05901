"""Materials of modules: files and links, with every earlier version, and the files themselves in chunks."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from lti_tool.tables.types import Id, UtcDateTime, metadata

# One file as it was sent. Its chunks are deleted at `cleaned_at`; the row stays, for versions refer to it.
material_files = Table(
    "material_files",
    metadata,
    Column("id", Id, primary_key=True),
    Column("digest", String(64), nullable=False),  # SHA-256 of the whole file
    Column("bytes", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("cleaned_at", UtcDateTime),
    Index(None, "cleaned_at", "created_at"),
)

material_chunks = Table(
    "material_chunks",
    metadata,
    Column("file_id", ForeignKey("material_files.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("file_id", "number"),
)

# `version` is the number of the version that counts. Trainees see a material that is neither hidden nor deleted.
materials = Table(
    "materials",
    metadata,
    Column("id", Id, primary_key=True),
    Column("module_id", String(64), nullable=False),
    Column("position", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("shown_at", UtcDateTime, nullable=False),  # when trainees could see it, the last time that changed
    Column("hidden_at", UtcDateTime),
    Column("deleted_at", UtcDateTime),
    Index(None, "module_id", "position"),
)

material_versions = Table(
    "material_versions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("material_id", ForeignKey("materials.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("title", String(255), nullable=False),
    Column("description", Text, nullable=False),
    Column("shown_from", String(16), nullable=False),
    Column("file_id", ForeignKey("material_files.id"), index=True),
    Column("file_name", String(255)),
    Column("url", String(2000)),
    Column("recorded_by", String(255), nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("deleted_at", UtcDateTime),  # an earlier version whose file staff deleted
    UniqueConstraint("material_id", "number"),
    CheckConstraint("shown_from in ('gate', 'session_start', 'session_end')", name="shown_from"),
    CheckConstraint("(file_id is null) = (url is not null)", name="file_or_link"),
)
