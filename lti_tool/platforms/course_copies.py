"""Courses copied from others, as platforms tell it by notices (Platform Notification Service; facts: lti.md §14)."""

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter

from sqlalchemy import Connection, select

from lti_tool.db import Database, insert_ignoring
from lti_tool.errors import OutboundError, PlatformRefused
from lti_tool.lti import login, service_log
from lti_tool.lti.notices import CONTEXT_COPY, Notice, ask_for_notices
from lti_tool.lti.platform_api import PlatformApi
from lti_tool.signing import fingerprint
from lti_tool.tables.courses import course_copies, placements
from lti_tool.tables.platforms import registrations
from lti_tool.tasks import Clock

log = logging.getLogger(__name__)

NOTICES_PATH = "/lti/notices"
SERVICE = "notices"
# How long after a refusal a platform is asked again.
ASK_AGAIN = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Offer:
    """A deployment whose platform offers notices at `service_url`."""

    registration_id: int
    deployment_id: str
    service_url: str

    def subject(self, handler_url: str) -> str:
        """What the answer is filed under: a tool that moves, or a service that does, is asked anew."""
        return f"{self.deployment_id} {self.service_url} {handler_url}"


def take(connection: Connection, notices: Iterable[Notice], now: datetime) -> int:
    """Record what verified notices say of copied courses, in the caller's transaction; how many copies were new.

    A notice of another kind is taken and means nothing here. Raises RefusedLaunch `nonce_used` for one that has come
    before.
    """
    # In one order, so that two deliveries of the same notices do not block each other.
    return sum(_take(connection, notice, now) for notice in sorted(notices, key=attrgetter("nonce")))


class NoticeAsker:
    """Asks platforms for their notices, each deployment once, on a thread of its own: a platform may be slow."""

    def __init__(self, database: Database, api: PlatformApi, clock: Clock, handler_url: str) -> None:
        self._database = database
        self._api = api
        self._clock = clock
        self._handler_url = handler_url
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="notices")
        self._asking: Future[None] | None = None

    def ask_due(self) -> bool:
        """Periodic job: begin to ask whoever offers notices and was not asked yet. Never more to do at once."""
        if self._asking is not None and not self._asking.done():
            return False
        if self._asking is not None and (error := self._asking.exception()) is not None:
            log.error("notices could not be asked for", extra={"error": type(error).__name__})
        offers = self._due()
        self._asking = self._pool.submit(self.ask_all, offers) if offers else None
        return False

    def finish(self) -> None:
        """Wait until what was begun is done. Raises what went wrong in it."""
        if self._asking is not None:
            self._asking.result()

    def ask_all(self, offers: Iterable[Offer] | None = None) -> None:
        """Ask these, or all that are due, one after the other."""
        for offer in self._due() if offers is None else offers:
            self._ask(offer)

    def _due(self) -> list[Offer]:
        with self._database.read() as connection:
            return list(_due(connection, self._handler_url, self._clock()))

    def _ask(self, offer: Offer) -> None:
        status, code = 200, ""
        try:
            ask_for_notices(self._api, offer.registration_id, offer.service_url, self._handler_url, [CONTEXT_COPY])
        except OutboundError as error:
            status, code = error.answered if isinstance(error, PlatformRefused) else 0, error.code
            log.warning("notices not asked for", extra={"registration": offer.registration_id, "code": code})
        subject = offer.subject(self._handler_url)
        with self._database.write() as connection:
            service_log.record(connection, offer.registration_id, SERVICE, subject, status, code, self._clock())


def _take(connection: Connection, notice: Notice, now: datetime) -> int:
    # Apart from the nonces of launches, and of other platforms.
    login.use(connection, fingerprint(f"notice {notice.registration_id} {notice.nonce}"), notice.expires_at)
    if notice.type != CONTEXT_COPY or notice.context_id is None:
        return 0
    rows = [
        {
            "registration_id": notice.registration_id,
            "context_id": notice.context_id,
            "origin_context_id": origin,
            "noticed_at": now,
        }
        for origin in sorted(set(notice.origin_context_ids) - {notice.context_id})
    ]
    return sum(connection.execute(insert_ignoring(connection, course_copies), row).rowcount for row in rows)


def _due(connection: Connection, handler_url: str, now: datetime) -> Iterator[Offer]:
    """The offers of active platforms that were neither taken nor refused lately."""
    for offer in _offers(connection):
        digest = service_log.subject_digest(offer.subject(handler_url))
        answers = service_log.of_registration(connection, offer.registration_id)
        known = next((each for each in answers if (each.service, each.subject) == (SERVICE, digest)), None)
        if known is None or (not known.is_well and now - known.answered_at >= ASK_AGAIN):
            yield offer


def _offers(connection: Connection) -> list[Offer]:
    """One for each deployment: what its latest launch was offered."""
    query = (
        select(placements.c.registration_id, placements.c.deployment_id, placements.c.notices_url)
        .join(registrations)
        .where(placements.c.notices_url.is_not(None), registrations.c.status == "active")
        .order_by(placements.c.updated_at, placements.c.id)
    )
    latest = {(row.registration_id, row.deployment_id): Offer(*row) for row in connection.execute(query)}
    return list(latest.values())
