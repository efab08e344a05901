"""Copied courses, as platforms report them by notices (Platform Notification Service; lti.md §14)."""

import logging
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter

from sqlalchemy import Connection, select

from lti_tool.db import Database, insert_ignoring
from lti_tool.errors import OutboundError
from lti_tool.lti import login, service_log
from lti_tool.lti.notices import CONTEXT_COPY, Notice, ask_for_notices
from lti_tool.lti.platform_api import PlatformApi
from lti_tool.signing import fingerprint
from lti_tool.tables.courses import course_copies, placements
from lti_tool.tables.platforms import registrations
from lti_tool.tasks import Clock

NOTICES_PATH = "/lti/notices"
SERVICE = "notices"
# How long after a refusal a platform is asked again.
ASK_AGAIN = timedelta(hours=6)

log = logging.getLogger(__name__)


def take(connection: Connection, notices: Iterable[Notice], now: datetime) -> int:
    """Record the course copies of verified notices, in the caller's transaction. Returns how many were new.

    Notices of other kinds have no effect. Raises RefusedLaunch `nonce_used` for a notice that has come before.
    """
    count = 0
    # Always in the same order, so that two deliveries of the same notices do not block each other.
    for notice in sorted(notices, key=attrgetter("nonce")):
        # Kept apart from the nonces of launches and of other platforms.
        login.use(connection, fingerprint(f"notice {notice.registration_id} {notice.nonce}"), notice.expires_at)
        if notice.type != CONTEXT_COPY or notice.context_id is None:
            continue
        for origin in sorted(set(notice.origin_context_ids) - {notice.context_id}):
            row = {
                "registration_id": notice.registration_id,
                "context_id": notice.context_id,
                "origin_context_id": origin,
                "noticed_at": now,
            }
            count += connection.execute(insert_ignoring(connection, course_copies), row).rowcount
    return count


@dataclass(frozen=True, slots=True)
class Offer:
    """A deployment whose platform offers notices at `service_url`."""

    registration_id: int
    deployment_id: str
    service_url: str

    def subject(self, handler_url: str) -> str:
        """The key of the platform's answer. It changes when the tool or the service moves, so both are asked again."""
        return f"{self.deployment_id} {self.service_url} {handler_url}"


class NoticeAsker:
    """Asks platforms to send notices, once per deployment. It has its own thread, because a platform may be slow."""

    def __init__(self, database: Database, api: PlatformApi, clock: Clock, handler_url: str) -> None:
        self._database = database
        self._api = api
        self._clock = clock
        self._handler_url = handler_url
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="notices")
        self._asking: Future[None] | None = None

    def ask_due(self) -> bool:
        """Periodic job: start asking the platforms that are due. Returns False: there is never more to do at once."""
        if self._asking is not None and not self._asking.done():
            return False
        if self._asking is not None and (error := self._asking.exception()) is not None:
            log.error("notices could not be asked for", extra={"error": type(error).__name__})
        offers = self._load_due()
        self._asking = self._pool.submit(self.ask_all, offers) if offers else None
        return False

    def finish(self) -> None:
        """Wait until the platforms have been asked. Raises what went wrong."""
        if self._asking is not None:
            self._asking.result()

    def ask_all(self, offers: Iterable[Offer] | None = None) -> None:
        """Ask these deployments' platforms, or all that are due, one after the other."""
        for offer in self._load_due() if offers is None else offers:
            status, code = 200, ""
            try:
                ask_for_notices(self._api, offer.registration_id, offer.service_url, self._handler_url, [CONTEXT_COPY])
            except OutboundError as error:
                status, code = error.answered, error.code
                log.warning("notices not asked for", extra={"registration": offer.registration_id, "code": code})
            subject = offer.subject(self._handler_url)
            with self._database.write() as connection:
                service_log.record(connection, offer.registration_id, SERVICE, subject, status, code, self._clock())

    def _load_due(self) -> list[Offer]:
        """The offers in the latest launch of each deployment of active platforms, except those accepted, and those
        refused recently."""
        query = (
            select(placements.c.registration_id, placements.c.deployment_id, placements.c.notices_url)
            .join(registrations)
            .where(placements.c.notices_url.is_not(None), registrations.c.status == "active")
            .order_by(placements.c.updated_at, placements.c.id)
        )
        now, due = self._clock(), []
        with self._database.read() as connection:
            latest = {(row.registration_id, row.deployment_id): Offer(*row) for row in connection.execute(query)}
            for offer in latest.values():
                digest = service_log.subject_digest(offer.subject(self._handler_url))
                answers = service_log.of_registration(connection, offer.registration_id)
                known = next((each for each in answers if (each.service, each.subject) == (SERVICE, digest)), None)
                if known is None or (not known.is_well and now - known.answered_at >= ASK_AGAIN):
                    due.append(offer)
        return due
