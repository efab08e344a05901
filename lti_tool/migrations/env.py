"""Alembic's entry: it runs on the connection, and in the transaction, that `lti_tool.migrations` hands it.

`make migration` (`python -m lti_tool.migrations.draft`) drafts the next revision from the tables. A revision that is on
main never changes.
"""

from alembic import context

from lti_tool.tables.types import metadata

given = context.config.attributes
context.configure(
    connection=given["connection"], target_metadata=metadata, render_item=given.get("render_item"), compare_type=True
)
context.run_migrations()
