"""The language of a person.

Revision 0009, after 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("trainees", sa.Column("language", sa.String(length=8), nullable=True))
    op.add_column("trainees", sa.Column("platform_language", sa.String(length=8), nullable=True))
