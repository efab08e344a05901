"""Alembic's entry: it runs on the connection, and in the transaction, that `lti_tool.migrations` hands it.

`make migration` (`python -m lti_tool.migrations.draft`) writes the initial revision anew from the tables: until the
first release there is only that one. After a release a revision never changes; a new one is drafted beside it.
"""

from alembic import context

from lti_tool.tables import metadata

given = context.config.attributes
context.configure(
    connection=given["connection"], target_metadata=metadata, render_item=given.get("render_item"), compare_type=True
)
context.run_migrations()
