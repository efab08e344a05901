"""What a launch cannot do without: one RS256 verification, one durable commit."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import jwt
from cryptography.fernet import Fernet, MultiFernet

from benchmarks.platform import Platform
from lti_tool.db import Database, insert_ignoring
from lti_tool.migrations import migrate
from lti_tool.tables.browser_sessions import used_nonces

TIMES = 300


@dataclass(frozen=True)
class Cost:
    """Milliseconds for one, by the processor's clock and by the wall's."""

    cpu: float
    wall: float


def verification(platform: Platform) -> Cost:
    """One RS256 verification of an ID token with a key object that is at hand."""
    token = jwt.encode({"sub": "user-1"} | {f"claim {n}": "x" * 40 for n in range(20)}, platform.key, "RS256")
    public = platform.key.public_key()
    return _cost(lambda _number: jwt.decode(token, public, algorithms=["RS256"]))


def durable_commit(folder: Path) -> Cost:
    """One row in one transaction, on disk (SQLite, WAL, synchronous=FULL)."""
    database = Database(f"sqlite:///{folder}/primitive.db", MultiFernet([Fernet(Fernet.generate_key())]))
    migrate(database)
    now = datetime.now(UTC)

    def commit(number: int) -> None:
        with database.write() as connection:
            connection.execute(insert_ignoring(connection, used_nonces).values(nonce=f"n{number}", expires_at=now))

    cost = _cost(commit)
    database.close()
    return cost


def _cost(act: Callable[[int], object]) -> Cost:
    samples = []
    for number in range(TIMES):
        cpu, wall = time.process_time(), time.perf_counter()
        act(number)
        samples.append((time.process_time() - cpu, time.perf_counter() - wall))
    return Cost(*(1000 * median(column) for column in zip(*samples, strict=True)))
