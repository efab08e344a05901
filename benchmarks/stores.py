"""Where the compared keep what must last: files of SQLite in a folder, or a real PostgreSQL with fsync on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import cpu_seconds_with_children
from tests.postgres import Postgres, running_postgres

NOTHING = "keeps nothing"


@dataclass(frozen=True)
class Store:
    """One kind of database. `name` is its column in every table."""

    name: str
    folder: Path
    postgres: Postgres | None = None

    def new(self, name: str) -> str:
        """Make an empty database; its address for SQLAlchemy."""
        return self.postgres.create(name) if self.postgres else f"sqlite:///{self.folder}/{name}.db"

    def cpu_seconds(self) -> float:
        """What the database's own processes have used of the processor so far; SQLite has none."""
        return cpu_seconds_with_children(self.postgres.process.pid) if self.postgres else 0.0


@contextmanager
def both_stores(folder: Path) -> Iterator[tuple[Store, Store]]:
    with running_postgres(durable=True) as postgres:
        yield Store("SQLite", folder), Store("PostgreSQL", folder, postgres)
