"""The inbox, settlement and delivery rows: what a generated day costs after class, on both kinds of database."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from benchmarks.days import after, big_day, deliver, furnish
from benchmarks.gradebook import running_gradebook
from benchmarks.servers import ROOT
from lti_tool.context import build_context
from lti_tool.settings import load_settings
from tests.postgres import Postgres, running_postgres

SIZES = (300, 1000, 10_000)
CLASS = 300


@dataclass(frozen=True)
class Settled:
    """Seconds for one day: reading the inbox, settling from webhooks, settling with the report; peak megabytes."""

    database: str
    people: int
    events: int
    reading: float
    settling: float
    peak: float
    with_report: float


@dataclass(frozen=True)
class Read:
    """CPU seconds for one day: reading the inbox, verifying its seals, loading the presence; peak megabytes after the
    first two, and after all."""

    database: str
    people: int
    events: int
    reading: float
    verifying: float
    peak: float
    loading: float
    loading_peak: float


@dataclass(frozen=True)
class Sent:
    """Seconds from the end of the meeting until every score is written; and scores delivered in a second."""

    database: str
    scores: int
    written_seconds: float
    delivered_each_second: float


@dataclass(frozen=True)
class Place:
    """Where databases are made: SQLite files in a folder, or a PostgreSQL."""

    name: str
    folder: Path
    postgres: Postgres | None = None

    def new(self, name: str) -> str:
        return self.postgres.create(name) if self.postgres else f"sqlite:///{self.folder}/{name}.db"


@contextmanager
def places(folder: Path) -> Iterator[list[Place]]:
    with running_postgres(durable=True) as postgres:
        yield [Place("SQLite", folder), Place("PostgreSQL", folder, postgres)]


def readings(folder: Path, python: Path) -> Iterator[Read]:
    """The larger sizes on every kind of database, each in a process of its own."""
    with places(folder) as both, running_gradebook() as gradebook:
        for people in SIZES[1:]:
            for place in both:
                environment, events = _lay_in(place, f"read_{people}", people, gradebook)
                yield Read(place.name, people, events, **_run(python, environment, "read", people))


def settlements(folder: Path, python: Path) -> Iterator[Settled]:
    """Every size on every kind of database, each in a process of its own."""
    with places(folder) as both, running_gradebook() as gradebook:
        for people in SIZES:
            for place in both:
                environment, events = _lay_in(place, f"settle_{people}", people, gradebook)
                figures = _run(python, environment, "settle", people)
                yield Settled(place.name, people, events, **figures)


def deliveries(folder: Path, python: Path) -> Iterator[Sent]:
    """A class of 300: its end, and its scores on their way to a platform that answers in 50 ms."""
    with places(folder) as both, running_gradebook() as gradebook:
        for place in both:
            environment, _ = _lay_in(place, "ending", CLASS, gradebook, ended=False)
            ended = _run(python, environment, "end", CLASS)
            environment, _ = _lay_in(place, "sending", CLASS, gradebook)
            sent = _run(python, environment, "send", CLASS)
            yield Sent(place.name, int(ended["scores"]), ended["seconds"], sent["scores"] / sent["seconds"])


def _lay_in(place: Place, name: str, people: int, gradebook: str, *, ended: bool = True) -> tuple[dict[str, str], int]:
    environment = {
        "GATEHOUSE_PUBLIC_URL": "http://127.0.0.1:8080",
        "GATEHOUSE_SECRET_KEY": "the secret key of the measurements, long enough",
        "GATEHOUSE_FIELD_KEYS": Fernet.generate_key().decode(),
        "GATEHOUSE_DATABASE_URL": place.new(name),
        "GATEHOUSE_ALLOW_PRIVATE_ADDRESSES": "1",
    }
    context = build_context(load_settings(environment))
    day = big_day(people)
    furnish(context.database, day, gradebook)
    events = day.registrations() + day.events()
    deliver(context.database, events if ended else events[:-1], after(day))
    context.database.close()
    return environment, len(events)


def _run(python: Path, environment: Mapping[str, str], act: str, people: int) -> dict[str, Any]:
    command = [str(python), "-m", "benchmarks.settling", act, str(people)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, check=True, timeout=900
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures
