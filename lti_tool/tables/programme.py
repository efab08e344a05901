"""Published programme versions. A row is never changed."""

from sqlalchemy import Column, Integer, String, Table, Text

from lti_tool.tables.types import UtcDateTime, metadata

programme_versions = Table(
    "programme_versions",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("source_name", String(255), nullable=False),
    Column("published_by", String(255), nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
)
