"""The primitives row: what a launch cannot do without, bare, and as the tool's libraries do it.

One RS256 verification by OpenSSL beside PyJWT; one fsync and one durable commit of one row by the database's own
driver beside SQLAlchemy. CPU is that of this process and of the database's own processes.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import jwt
import psycopg
from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from benchmarks.figures import Figure, Spread, progress, spread
from benchmarks.installation import Bench
from benchmarks.platform import Platform
from benchmarks.stores import Store
from lti_tool.db import Database, insert_ignoring
from lti_tool.migrations import migrate
from lti_tool.tables.browser_sessions import used_nonces

ROW = "primitives"
ROUNDS = 5
TIMES = 100
PAGE = b"x" * 4096
MACHINE = "this machine"


@dataclass(frozen=True)
class Cost:
    """Milliseconds for one, by the processor's clock and by the wall's."""

    cpu: Spread
    wall: Spread


def measure(bench: Bench) -> Iterator[Figure]:
    progress("primitives: verification")
    yield from _figures("RS256 verification, OpenSSL", MACHINE, bare_verification(bench.platform))
    yield from _figures("RS256 verification, PyJWT", MACHINE, verification(bench.platform))
    yield from _figures("4 KB written and fsync", MACHINE, fsync(bench.folder))
    for store in bench.stores:
        progress(f"primitives: commits, {store.name}")
        yield from _figures("durable commit, driver", store.name, bare_commit(store, f"{ROW} bare"))
        yield from _figures("durable commit, SQLAlchemy", store.name, durable_commit(store, ROW))


def _figures(what: str, where: str, cost: Cost) -> Iterator[Figure]:
    yield Figure(ROW, f"{what}: CPU", where, cost.cpu, "ms")
    yield Figure(ROW, f"{what}: wall", where, cost.wall, "ms")


def bare_verification(platform: Platform) -> Cost:
    """The signature alone, by the library that PyJWT calls."""
    message, public = b"x" * 1000, platform.key.public_key()
    signature = platform.key.sign(message, PKCS1v15(), SHA256())
    return _cost(lambda _number: public.verify(signature, message, PKCS1v15(), SHA256()))


def verification(platform: Platform) -> Cost:
    """An ID token with a key object that is at hand."""
    token = jwt.encode({"sub": "user-1"} | {f"claim {n}": "x" * 40 for n in range(20)}, platform.key, "RS256")
    public = platform.key.public_key()
    return _cost(lambda _number: jwt.decode(token, public, algorithms=["RS256"]))


def fsync(folder: Path) -> Cost:
    """One page appended to a file and synchronised, where SQLite's files are."""
    with (folder / "fsync").open("ab", buffering=0) as file:

        def write(_number: int) -> None:
            file.write(PAGE)
            os.fsync(file.fileno())

        return _cost(write)


def bare_commit(store: Store, name: str) -> Cost:
    """One row in one transaction by sqlite3 or psycopg, on disk (SQLite: WAL, synchronous=FULL)."""
    url = store.new(name)
    if store.postgres:
        connection: sqlite3.Connection | psycopg.Connection = store.postgres.connect(name)
        insert = "insert into nonces values (%s)"
    else:
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        insert = "insert into nonces values (?)"
    connection.execute("create table nonces (nonce varchar(255) primary key)")
    cost = _cost(lambda number: connection.execute(insert, (f"n{number}",)), store)  # type: ignore[arg-type]
    connection.close()
    return cost


def durable_commit(store: Store, name: str) -> Cost:
    """One row in one transaction, as the tool writes."""
    database = Database(store.new(name), MultiFernet([Fernet(Fernet.generate_key())]))
    migrate(database)
    now = datetime.now(UTC)

    def commit(number: int) -> None:
        with database.write() as connection:
            connection.execute(insert_ignoring(connection, used_nonces).values(nonce=f"n{number}", expires_at=now))

    cost = _cost(commit, store)
    database.close()
    return cost


def _cost(act: Callable[[int], object], store: Store | None = None) -> Cost:
    """The mean of each round; the first round warms up and is not kept."""
    cpu, wall = [], []
    for number in range(ROUNDS + 1):
        before = time.process_time(), time.perf_counter(), store.cpu_seconds() if store else 0.0
        for each in range(TIMES):
            act(number * TIMES + each)
        after = time.process_time(), time.perf_counter(), store.cpu_seconds() if store else 0.0
        own, passed, database = (1000 * (end - start) / TIMES for end, start in zip(after, before, strict=True))
        if number:
            cpu.append(own + database)
            wall.append(passed)
    return Cost(spread(cpu), spread(wall))
