"""Tables that only grow: the database itself refuses to change or to drop what is there.

A trigger is no lock against whoever owns the database; it is one against mistakes, ours first. What was changed all
the same is found by the seals (`gatehouse zoom verify`). A migration that builds such a table anew must make the
triggers anew.
"""

from collections.abc import Iterable, Iterator
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
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table.name} only grows'); END"
    refused = tuple(_refused(table, once))
    statements = {
        "sqlite": tuple(f"CREATE TRIGGER {table.name}_{name} BEFORE {when} {refuse}" for name, when in refused),
        "postgresql": (REFUSE_ON_POSTGRESQL, *_on_postgresql(table, refused)),
    }

    @event.listens_for(table, "after_create")
    def make_triggers(_table: Table, connection: Connection, **_given: Any) -> None:
        for statement in statements[connection.dialect.name]:
            connection.exec_driver_sql(statement)


def _on_postgresql(table: Table, refused: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, when in refused:
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
