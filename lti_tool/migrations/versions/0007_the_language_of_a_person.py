"""The language of a person.

Revision 0007, after 0006.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("trainees", sa.Column("language", sa.String(length=8), nullable=True))
    op.add_column("trainees", sa.Column("platform_language", sa.String(length=8), nullable=True))
