"""Digests of licence numbers, by which a number is found; an index of all who are no trainees.

Revision 0006, after 0005. Drafted from the tables, then read.
"""

import secrets

import sqlalchemy as sa
from alembic import op

from lti_tool.signing import digest
from lti_tool.tables import types

revision = "0006"
down_revision = "0005"
ROWS_IN_ONE_UPDATE = 500


def upgrade() -> None:
    op.create_table(
        "digest_keys",
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("key", types.Encrypted(), nullable=False),
        sa.PrimaryKeyConstraint("purpose", name=op.f("pk_digest_keys")),
    )
    op.add_column("licences", sa.Column("number_digest", sa.String(length=64), nullable=True))
    _fill()
    op.create_index(op.f("ix_licences_number_digest"), "licences", ["number_digest"], unique=False)
    op.drop_index("ix_enrolments_staff", table_name="enrolments")
    op.create_index(
        "ix_enrolments_no_trainees",
        "enrolments",
        ["trainee_id"],
        unique=False,
        sqlite_where=sa.text("role != 'trainee'"),
        postgresql_where=sa.text("role != 'trainee'"),
    )


def _fill() -> None:
    """The digests of the numbers on record. Without any, the key is made when it is needed first."""
    connection, key = op.get_bind(), secrets.token_urlsafe(32)
    keys = sa.table("digest_keys", sa.column("purpose", sa.String()), sa.column("key", types.Encrypted()))
    licences = sa.table(
        "licences", sa.column("id"), sa.column("number", types.Encrypted()), sa.column("number_digest", sa.String())
    )
    if connection.execute(sa.select(licences.c.id).limit(1)).first() is None:
        return
    connection.execute(sa.insert(keys).values(purpose="licence", key=key))
    here = licences.c.id == sa.bindparam("licence")
    change = sa.update(licences).where(here).values(number_digest=sa.bindparam("found"))
    last = 0
    while rows := connection.execute(
        sa.select(licences.c.id, licences.c.number)
        .where(licences.c.id > last)
        .order_by(licences.c.id)
        .limit(ROWS_IN_ONE_UPDATE)
    ).all():
        last = rows[-1].id
        plain = [(row.id, "".join(each for each in row.number if each.isalnum()).casefold()) for row in rows]
        values = [{"licence": licence_id, "found": digest(key, "licence", number)} for licence_id, number in plain]
        connection.execute(change, values)
