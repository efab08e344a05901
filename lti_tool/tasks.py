"""The task queue: one table, claimed by lease, at least once.

A task is enqueued in the transaction that decides it, so it exists exactly if that decision does. A worker claims one
by a conditional UPDATE with a lease, which it renews while the task runs; a worker that dies leaves a lease that runs
out. The same task never runs twice at once. Handlers are idempotent. The same SQL runs on SQLite and PostgreSQL.
"""

import gc
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, and_, case, delete, func, select, text, true

from lti_tool.db import Database, upsert
from lti_tool.errors import GatehouseError, OutboundError
from lti_tool.http import spread
from lti_tool.leases import Lease, LeaseKeeper, claim_rows, is_held
from lti_tool.tables.operations import UNCLAIMED, tasks

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
MAX_ATTEMPTS = 8
# A queue whose oldest due task waits longer than this is not being worked.
QUEUE_AGE_LIMIT_SECONDS = 300
# A periodic job that failed rests this long: there is no use in saying the same thing many times a second.
REST_SECONDS = 1
# Python's 700 would look through everything that a settlement keeps five times, and 20,000 still take a tenth of its
# time; reference counts free nearly all.
OBJECTS_BEFORE_A_COLLECTION = 100_000
Clock = Callable[[], datetime]
Handler = Callable[[Mapping[str, Any]], None]
Job = TypeVar("Job")


def now_utc() -> datetime:
    return datetime.now(UTC)


def enqueue(
    connection: Connection,
    kind: str,
    key: str,
    payload: Mapping[str, Any],
    *,
    now: datetime,
    run_at: datetime | None = None,
    unless_in_hand: bool = False,
) -> None:
    """Ask for one task in the caller's transaction. A ready, unclaimed task of the same (kind, key) is at most moved
    forward, and held until this change is committed. One that a worker has in hand may have read the state before this
    change, so another one follows it; `unless_in_hand`: it does just as well, and nothing is asked for.
    """
    if unless_in_hand:
        same = (tasks.c.kind == kind, tasks.c.key == key, is_held(tasks, now))
        if connection.execute(select(tasks.c.id).where(*same).limit(1)).first() is not None:
            return
    new = upsert(connection, tasks).values(
        kind=kind,
        key=key,
        payload=dict(payload),
        state="ready",
        run_at=run_at or now,
        attempts=0,
        created_at=now,
    )
    earlier = case((new.excluded.run_at < tasks.c.run_at, new.excluded.run_at), else_=tasks.c.run_at)
    unclaimed = {"index_elements": [tasks.c.kind, tasks.c.key], "index_where": text(UNCLAIMED)}
    connection.execute(new.on_conflict_do_update(**unclaimed, set_={"run_at": earlier}))


@dataclass
class Every:
    """A job that does nothing until `span` has passed since it last ran; a clock set back makes it run at once."""

    span: timedelta
    clock: Clock
    job: Callable[[], bool]
    last: datetime | None = None

    def __call__(self) -> bool:
        now = self.clock()
        if self.last is not None and timedelta() <= now - self.last < self.span:
            return False
        self.last = now
        return self.job()


def set_aside_what_is_loaded() -> None:
    """Let the garbage collector leave alone what lives as long as the process, and look through the rest seldom: a
    large settlement makes much that lives until its end, and hardly a cycle. Each took an eighth of its time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BEFORE_A_COLLECTION)


class WorkersLostError(Exception):
    """A task has cost every worker that took it its life: no handler ever came back to say why."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """One claimed task, and the lease under which its end is recorded."""

    id: int
    kind: str
    payload: Mapping[str, Any]
    lease: Lease


@dataclass
class Worker:
    """Runs tasks and periodic jobs until told to stop.

    `handlers` maps a task's kind to what does it; each handler opens its own transactions. `periodic` are jobs run at
    least `interval` apart (reading the inbox, delivering scores): they report whether there may be more to do. `these`
    are the tasks that it takes; `claim` and `do` are made for a `JobPool`, where they wait for other machines. `lease`
    is how long a task waits for another worker after its own has died.
    """

    database: Database
    handlers: Mapping[str, Handler]
    periodic: Mapping[str, Callable[[], bool]] = field(default_factory=dict)
    clock: Clock = now_utc
    idle_seconds: float = 0.25
    stopping: threading.Event = field(default_factory=threading.Event)
    these: ColumnElement[bool] = field(default_factory=true)
    lease: timedelta = LEASE
    leases: LeaseKeeper = field(init=False)
    _resting: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.leases = LeaseKeeper(self.database, self.clock)

    def run_forever(self) -> None:
        """Work until `stopping` is set. A database that is away is logged once a second and tried again."""
        set_aside_what_is_loaded()
        while not self.stopping.is_set():
            try:
                idle_seconds = 0 if self.step() else self.idle_seconds
            except Exception as error:
                log.error("worker round failed", extra={"error": type(error).__name__})
                idle_seconds = 1 + self.idle_seconds
            self.stopping.wait(idle_seconds)

    def run_once(self) -> int:
        """Work until nothing is due; the number of rounds that found work."""
        rounds = 0
        while self.step():
            rounds += 1
        return rounds

    def step(self) -> bool:
        """One round: every periodic job, then one task. True while there was something to do."""
        busy = False
        for name, job in self.periodic.items():
            busy = self._run_job(name, job) or busy
        claimed = self._claim()
        if claimed is not None:
            self.do(claimed)
        return claimed is not None or busy

    def _run_job(self, name: str, job: Callable[[], bool]) -> bool:
        """One that fails says so and rests; the others and the tasks go on."""
        if time.monotonic() < self._resting.get(name, 0):
            return False
        try:
            return job()
        except Exception as error:
            log.error("periodic job failed", extra={"kind": name, "error": type(error).__name__})
            self._resting[name] = time.monotonic() + REST_SECONDS
            return False

    def claim(self, limit: int) -> list[Claimed]:
        """Take up to so many tasks whose time has come and that no other worker has."""
        return list(islice(iter(self._claim, None), limit))

    def do(self, claimed: Claimed) -> None:
        """Do one task; one that fails is put back for later."""
        try:
            if claimed.lease.attempts > MAX_ATTEMPTS:
                raise WorkersLostError
            with self.leases.keep(claimed.lease):
                self.handlers[claimed.kind](claimed.payload)
        except Exception as error:
            self._put_back(claimed, error)
        else:
            with self.database.write() as connection:
                connection.execute(delete(tasks).where(claimed.lease.ours))

    def _claim(self) -> Claimed | None:
        now = self.clock()
        due = and_(self.these, tasks.c.state == "ready", tasks.c.run_at <= now)
        twin = tasks.alias()
        in_hand = select(twin.c.id).where(twin.c.kind == tasks.c.kind, twin.c.key == tasks.c.key, is_held(twin, now))
        free = and_(due, ~in_hand.exists())
        with self.database.read() as connection:
            if connection.execute(select(tasks.c.id).where(free).limit(1)).first() is None:
                return None
        with self.database.write() as connection:
            row = connection.execute(select(tasks).where(free).order_by(tasks.c.run_at, tasks.c.id).limit(1)).first()
            if row is None:
                return None
            lease = claim_rows(connection, tasks, tasks.c.id == row.id, self.lease, now, due)
            return Claimed(row.id, row.kind, row.payload, lease) if lease else None

    def _put_back(self, claimed: Claimed, error: Exception) -> None:
        """Back off; park a task that failed too often, where the desk shows it."""
        label = error.code if isinstance(error, GatehouseError) else type(error).__name__
        log.warning("task failed", extra={"task": claimed.id, "kind": claimed.kind, "error": label})
        attempts = claimed.lease.attempts
        with self.database.write() as connection:
            # Another task of the same key may wait already; the failed one then has nothing left to add.
            twin = tasks.alias()
            replaced = connection.execute(
                delete(tasks).where(
                    claimed.lease.ours,
                    select(twin.c.id)
                    .where(
                        twin.c.kind == tasks.c.kind,
                        twin.c.key == tasks.c.key,
                        twin.c.id != tasks.c.id,
                        twin.c.state == "ready",
                        twin.c.lease_owner.is_(None),
                    )
                    .exists(),
                )
            )
            if not replaced.rowcount:
                state = "parked" if attempts >= MAX_ATTEMPTS else "ready"
                later = next_try(self.clock(), backoff(attempts), error)
                again = {"state": state, "run_at": later, "attempts": attempts, "last_error": label}
                claimed.lease.finish(connection, again)


def backoff(attempts: int) -> timedelta:
    """2, 4, 8 … seconds, at most an hour."""
    return timedelta(seconds=min(2**attempts, 3600))


def next_try(now: datetime, pause: timedelta, error: BaseException | None) -> datetime:
    """When work that met this error is tried again: after the pause, and not before the other side allows it."""
    asked = error.retry_at if isinstance(error, OutboundError) else None
    return max(now + pause, spread(asked or now, now))


def queue_age_seconds(connection: Connection, now: datetime) -> float:
    """How long the oldest due task has waited for a worker; 0 when none waits."""
    waiting = (tasks.c.state == "ready", tasks.c.run_at <= now, ~is_held(tasks, now))
    oldest = connection.execute(select(func.min(tasks.c.run_at)).where(*waiting)).scalar()
    return 0.0 if oldest is None else (now - oldest).total_seconds()


class JobPool(Generic[Job]):
    """A few threads for work that waits for other machines.

    `claim(limit)` takes up to so many jobs that no one else has; `do(job)` does one and records it.
    """

    def __init__(
        self, name: str, size: int, claim: Callable[[int], Sequence[Job]], do: Callable[[Job], object]
    ) -> None:
        self._name = name
        self._size = size
        self._claim = claim
        self._do = do
        self._threads = ThreadPoolExecutor(size, thread_name_prefix=name)
        self._running: set[Future[object]] = set()

    @property
    def is_busy(self) -> bool:
        """Whether a job is running."""
        return bool(self._running)

    def step(self) -> bool:
        """Start jobs as far as threads are free, and collect those that have ended; False once nothing is running."""
        for done in [each for each in self._running if each.done()]:
            self._running.remove(done)
            error = done.exception()
            if error is not None:  # its lease runs out and it is done again
                log.error("a job could not be recorded", extra={"kind": self._name, "error": type(error).__name__})
        free = self._size - len(self._running)
        if free > 0:
            self._running |= {self._threads.submit(self._do, job) for job in self._claim(free)}
        if self._running:
            wait(self._running, timeout=0.05, return_when=FIRST_COMPLETED)
        return bool(self._running)

    def run(self) -> None:
        """Work until nothing is due."""
        while self.step():
            pass
