"""What happens after class, measured in a process of its own: `python -m benchmarks.settling ACT PEOPLE` prints figures
as JSON. The environment names the database, as for the tool; `benchmarks.days` has laid the day into it."""

import json
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select

from benchmarks.days import after, big_day, deliver
from lti_tool.context import House, build_house
from lti_tool.grades.delivery import Deliverer
from lti_tool.settings import load_settings
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.scores import scores
from lti_tool.tasks import set_aside_what_is_loaded
from lti_tool.worker import build_worker, settle_now
from sandbox.zoom.training_day import TrainingDay
from zoom_adapter import reports
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


def settle(people: int) -> Figures:
    """Read the inbox, settle from webhooks alone, and again with the settled report of the same day."""
    clock = Clock(_ended(people))
    house = build_house(load_settings(), clock)
    session_id = _session(house)
    set_aside_what_is_loaded()
    reading = _seconds(lambda: _take_all(house))
    settling = _seconds(lambda: settle_now(house, session_id))
    peak = _peak_megabytes()
    _keep_report(house, session_id, big_day(people))
    clock.advance(timedelta(hours=3))
    again = _seconds(lambda: settle_now(house, session_id))
    return {"reading": reading, "settling": settling, "peak": peak, "with_report": again}


def end(people: int) -> Figures:
    """All is read but the end of the meeting: from its delivery until everybody's score is written."""
    day = big_day(people)
    house = build_house(load_settings(), Clock(_ended(people)))
    _take_all(house)
    worker = build_worker(house)
    thread = threading.Thread(target=worker.run_forever, daemon=True)
    thread.start()
    time.sleep(1)
    started = time.perf_counter()
    deliver(house.database, day.events()[-1:], house.clock())
    desired = sum(bool(spans) for spans in day.truth())
    _wait_until(lambda: _written(house) >= desired)
    seconds = time.perf_counter() - started
    worker.stopping.set()
    thread.join()
    return {"seconds": seconds, "scores": desired}


def send(people: int) -> Figures:
    """Deliver everybody's score."""
    house = build_house(load_settings(), Clock(_ended(people)))
    _take_all(house)
    settle_now(house, _session(house))
    deliverer = Deliverer(house.database, house.platform_api, house.clock)
    seconds = _seconds(deliverer.deliver_all)
    return {"seconds": seconds, "scores": _written(house, "delivered")}


def _ended(people: int) -> datetime:
    return after(big_day(people))


def _session(house: House) -> int:
    with house.database.read() as connection:
        return int(connection.scalar(select(live_sessions.c.id)) or 0)


def _take_all(house: House) -> None:
    while take_inbox(house.database, house.clock()):
        pass


def _keep_report(house: House, session_id: int, day: TrainingDay) -> None:
    for _ in range(2):
        with house.database.write() as connection:
            reports.keep(connection, session_id, day.uuid, "report", day.report_rows(), house.clock())


def _written(house: House, *status: str) -> int:
    query = select(func.count()).select_from(scores)
    with house.database.read() as connection:
        return int(connection.scalar(query.where(scores.c.status.in_(status)) if status else query) or 0)


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise RuntimeError("it did not come about")
        time.sleep(0.02)


def _seconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def _peak_megabytes() -> float:
    """What this process ever occupied; getrusage would also tell what its parent did before it."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    acts = {"settle": settle, "end": end, "send": send}
    json.dump(acts[sys.argv[1]](int(sys.argv[2])), sys.stdout)
