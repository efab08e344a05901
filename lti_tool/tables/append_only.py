"""Tables that only grow: the database itself refuses to change or to drop what is there.

A trigger is no lock against whoever owns the database; it is one against mistakes, ours first. What was changed all
the same is found by the seals (`gatehouse zoom verify`). A migration that builds such a table anew must make the
triggers anew.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Table, event

REFUSE_ON_POSTGRESQL = """\
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' only grows', ERRCODE = 'restrict_violation';
END $$"""


def only_grows(table: Table, *, once: str = "") -> None:
    """Let the database refuse every DELETE and UPDATE of this table, and TRUNCATE where there is one. The column `once`
    may be set, one time, where it was empty."""
    statements = {
        "sqlite": tuple(_on_sqlite(table, once)),
        "postgresql": (REFUSE_ON_POSTGRESQL, *_on_postgresql(table, once)),
    }

    @event.listens_for(table, "after_create")
    def make_triggers(_table: Table, connection: Connection, **_given: Any) -> None:
        for statement in statements[connection.dialect.name]:
            connection.exec_driver_sql(statement)


def _on_sqlite(table: Table, once: str) -> Iterator[str]:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table.name} only grows'); END"
    for name, when in _refused(table, once):
        yield f"CREATE TRIGGER {table.name}_{name} BEFORE {when} {refuse}"


def _on_postgresql(table: Table, once: str) -> Iterator[str]:
    for name, when in _refused(table, once):
        on, _, condition = when.partition(" WHEN ")
        condition = f" WHEN ({condition})" if condition else ""
        yield f"CREATE TRIGGER {table.name}_{name} BEFORE {on} FOR EACH ROW{condition} EXECUTE FUNCTION refuse_change()"
    yield (
        f"CREATE TRIGGER {table.name}_never_emptied BEFORE TRUNCATE ON {table.name}"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def _refused(table: Table, once: str) -> Iterator[tuple[str, str]]:
    """Name of the trigger, and what it refuses: `DELETE ON table`, `UPDATE OF … ON table WHEN …`."""
    fixed = ", ".join(column.name for column in table.c if column.name != once)
    yield "never_deleted", f"DELETE ON {table.name}"
    yield "never_changed", f"UPDATE OF {fixed} ON {table.name}"
    if once:
        yield f"{once}_once", f"UPDATE OF {once} ON {table.name} WHEN OLD.{once} IS NOT NULL"
