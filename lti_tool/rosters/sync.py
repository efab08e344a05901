"""Reading the rosters that are due: on threads of its own, since a platform may be slow, and never inside a
transaction."""

import logging
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import timedelta

from lti_tool.db import Database
from lti_tool.errors import NoAnswer, OutboundError, PlatformRefused
from lti_tool.lti.platform_api import PlatformApi
from lti_tool.rosters import due, records
from lti_tool.rosters.due import WHOLE_EVERY, DueRoster
from lti_tool.rosters.reading import read
from lti_tool.tasks import Clock

log = logging.getLogger(__name__)

READERS = 3
# After a trouble that may pass by itself.
RETRY = timedelta(minutes=15)


class RosterReader:
    """Reads due rosters with a few threads. `read_due` is made to be called again and again by one thread."""

    def __init__(self, database: Database, api: PlatformApi, clock: Clock, every: timedelta) -> None:
        self._database = database
        self._api = api
        self._clock = clock
        self._every = every
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="roster")
        self._in_flight: set[Future[None]] = set()

    def read_due(self) -> bool:
        """Start what is due as far as readers are free; False once all is quiet."""
        self._land()
        while len(self._in_flight) < READERS and (taken := due.claim(self._database, self._clock())) is not None:
            self._in_flight.add(self._pool.submit(self._read, taken))
        if self._in_flight:
            wait(self._in_flight, timeout=0.05, return_when=FIRST_COMPLETED)
        return bool(self._in_flight)

    def read_all(self) -> None:
        """Read until nothing is due."""
        while self.read_due():
            pass
        self._land()

    def _land(self) -> None:
        for done in [each for each in self._in_flight if each.done()]:
            self._in_flight.remove(done)
            error = done.exception()
            if error is not None:  # the lease runs out and the roster is read again
                log.error("roster could not be recorded", extra={"error": type(error).__name__})

    def _read(self, taken: DueRoster) -> None:
        ids = {"registration": taken.key.registration_id}
        try:
            reading = read(self._api, taken, self._clock)
        except OutboundError as error:
            self._fail(taken, error.code, self._pause(error))
            return
        except Exception as error:
            log.error("roster could not be read", extra={**ids, "error": type(error).__name__})
            self._fail(taken, records.READ_FAILED, min(RETRY, self._every))
            return
        if records.has_shrunk(taken, reading):
            self._fail(taken, records.SHRANK, min(RETRY, self._every))
            return
        now = self._clock()
        if records.record(self._database, taken, reading, now, now + self._every):
            log.info("roster read", extra={**ids, "count": len(reading.members)})
        else:
            log.warning("roster took too long, another reader has it", extra=ids)

    def _fail(self, taken: DueRoster, code: str, pause: timedelta) -> None:
        with self._database.write() as connection:
            records.fail(connection, taken, code, self._clock() + pause)
        log.warning("roster not read", extra={"registration": taken.key.registration_id, "code": code})

    def _pause(self, error: OutboundError) -> timedelta:
        """Soon again after what passes by itself; once a day where the platform has said that the course is too large:
        no new token changes that."""
        if error.code == due.TOO_LARGE:
            return max(WHOLE_EVERY, self._every)
        answered = error.answered if isinstance(error, PlatformRefused) else 0
        is_passing = isinstance(error, NoAnswer) or answered == 429 or answered >= 500
        return min(RETRY, self._every) if is_passing else self._every
