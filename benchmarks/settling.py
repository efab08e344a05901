"""What happens after class, measured in a process of its own: `python -m benchmarks.settling ACT PEOPLE ROUNDS`
prints figures as JSON. The environment names the database, as for the tool; `benchmarks.days` has laid the day into
it."""

import json
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, func, select

from benchmarks.days import after, deliver
from benchmarks.figures import timed
from lti_tool.context import AppContext, build_context
from lti_tool.grades.delivery import Deliverer
from lti_tool.settings import load_settings
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.scores import scores
from lti_tool.tasks import set_aside_what_is_loaded
from lti_tool.worker import build_worker, settle_now
from sandbox.zoom.random_days import full_day
from sandbox.zoom.training_day import TrainingDay
from zoom_adapter import reports
from zoom_adapter.hash_chain import verify
from zoom_adapter.presence import take_inbox

PATIENCE_SECONDS = 120

Figures = dict[str, float]


class Clock:
    """Stands at some instant when it is made, and goes on as fast as time does."""

    def __init__(self, at: datetime) -> None:
        self._ahead = at - datetime.now(UTC)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, span: timedelta) -> None:
        self._ahead += span


def settle(day: TrainingDay) -> Figures:
    """Read the inbox and verify its seals, settle from webhooks alone, and again with the settled report of the same
    day. Reading and verifying are in CPU seconds, since they compete with the webhook; `peak` is in megabytes."""
    clock = Clock(after(day))
    context = build_context(load_settings(), clock)
    session_id = _session(context)
    set_aside_what_is_loaded()
    figures = {
        "reading": _cpu_seconds(lambda: _take_all(context)),
        "verifying": _cpu_seconds(lambda: _in_one_view(context, verify)),
        "settling": timed(lambda: settle_now(context, session_id)),
        "peak": _peak_megabytes(),
    }
    _keep_report(context, session_id, day)
    clock.advance(timedelta(hours=3))
    return figures | {"with_report": timed(lambda: settle_now(context, session_id))}


def end(day: TrainingDay) -> Figures:
    """All is read but the end of the meeting: from its delivery until everybody's score is written."""
    context = build_context(load_settings(), Clock(after(day)))
    _take_all(context)
    worker = build_worker(context)
    thread = threading.Thread(target=worker.run_forever, daemon=True)
    thread.start()
    time.sleep(1)
    started = time.perf_counter()
    deliver(context.database, day.events()[-1:], context.clock())
    desired = sum(bool(spans) for spans in day.truth())
    _wait_until(lambda: _written(context) >= desired)
    seconds = time.perf_counter() - started
    worker.stopping.set()
    thread.join()
    return {"seconds": seconds, "scores": desired}


def send(day: TrainingDay) -> Figures:
    """Deliver everybody's score."""
    context = build_context(load_settings(), Clock(after(day)))
    _take_all(context)
    settle_now(context, _session(context))
    deliverer = Deliverer(context.database, context.platform_api, context.clock)
    seconds = timed(deliverer.deliver_all)
    return {"seconds": seconds, "scores": _written(context, "delivered")}


def _session(context: AppContext) -> int:
    with context.database.read() as connection:
        return int(connection.scalar(select(live_sessions.c.id)) or 0)


def _take_all(context: AppContext) -> None:
    while take_inbox(context.database, context.clock()):
        pass


def _keep_report(context: AppContext, session_id: int, day: TrainingDay) -> None:
    for _ in range(2):
        with context.database.write() as connection:
            reports.keep(connection, session_id, day.uuid, "report", day.report_rows(), context.clock())


def _written(context: AppContext, *status: str) -> int:
    query = select(func.count()).select_from(scores)
    with context.database.read() as connection:
        return int(connection.scalar(query.where(scores.c.status.in_(status)) if status else query) or 0)


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise RuntimeError("it did not come about")
        time.sleep(0.02)


def _cpu_seconds(act: Callable[[], object]) -> float:
    started = time.process_time()
    act()
    return time.process_time() - started


def _in_one_view(context: AppContext, act: Callable[[Connection], object]) -> None:
    with context.database.read() as connection:
        act(connection)


def _peak_megabytes() -> float:
    """What this process ever occupied; getrusage would also tell what its parent did before it."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    acts = {"settle": settle, "end": end, "send": send}
    act, people, rounds = sys.argv[1:]
    json.dump(acts[act](full_day(int(people), rounds=int(rounds))), sys.stdout)
