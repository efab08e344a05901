"""Waiting for what another thread or process does. The bound only ends a broken run: no test is judged by its pace."""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, text

PATIENCE_SECONDS = 60


def until(ask: Callable[[], Any], patience: float = PATIENCE_SECONDS) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + patience
    while not (answer := ask()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)
    return answer


def until_somebody_waits(connection: Connection) -> None:
    """Return once a transaction of this PostgreSQL server waits for a lock."""
    until(lambda: connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")) > 0)
