"""Used nonces: each is consumed once, by a unique insert in its launch's own transaction (lti.md LA-1, LA-7)."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select

from lti_tool.db import Database, insert_ignoring
from lti_tool.errors import RefusedLaunch
from lti_tool.lti.oidc import REOPEN
from lti_tool.tables.visits import used_nonces

# Nonces are forgotten in batches, this long after their state can no longer come back.
KEPT = timedelta(hours=1)


def use(connection: Connection, nonce: str, expires_at: datetime) -> None:
    """Consume a nonce; of two launches at once one wins. Raises RefusedLaunch `nonce_used`."""
    row = {"nonce": nonce, "expires_at": expires_at}
    result = connection.execute(insert_ignoring(connection, used_nonces), row)
    if not result.rowcount:
        raise RefusedLaunch("nonce_used", "This launch was used already.", REOPEN, status=401)


def forget_nonces(database: Database, now: datetime) -> bool:
    """Periodic job: drop nonces whose state has expired for good. Never more to do."""
    over = used_nonces.c.expires_at < now - KEPT
    with database.read() as connection:
        if connection.execute(select(used_nonces.c.nonce).where(over).limit(1)).first() is None:
            return False
    with database.write() as connection:
        connection.execute(delete(used_nonces).where(used_nonces.c.expires_at < now))
    return False
