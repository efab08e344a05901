"""Gaps in the evidence of presence, for as long as they last: what is missing or odd, each kind with its words.

The conference adapter looks for gaps and records what it finds; the desk, the commands and the metrics read them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, select, update

from lti_tool.db import upsert
from lti_tool.tables.zoom import zoom_gaps

WEBHOOK = "webhook"
DESK = "/desk/settings/zoom"
SESSION = "/desk/sessions/{session}"
SETTINGS = SESSION + "/settings"


class GapWords(NamedTuple):
    """What a gap means, what to do about it, where to look, and whether presence is being lost (else it is a note)."""

    says: str
    next_step: str
    where: str
    is_wrong: bool


GAPS: Mapping[str, GapWords] = {
    "not_configured": GapWords(
        "Zoom sends messages, but no secret token is set, so all of them are refused.",
        "Set GATEHOUSE_ZOOM_SECRET_TOKENS and restart; Zoom tries again for 85 minutes.",
        DESK,
        True,
    ),
    "never_heard": GapWords(
        "A session is near, and Zoom has never sent a message.",
        "In the Zoom app, set the event subscription to this tool's address with /zoom/webhook, and validate it.",
        DESK,
        True,
    ),
    "challenge_late": GapWords(
        "Zoom validates the webhook's address every 72 hours, and has not done so for longer.",
        "Wait for the next request; after 80 hours check the event subscription in the Zoom app.",
        DESK,
        False,
    ),
    "challenge_overdue": GapWords(
        "Zoom has not validated the webhook's address for 80 hours. The subscription may be disabled.",
        "In the Zoom app, open the event subscription, validate the address again and enable it.",
        DESK,
        True,
    ),
    "challenge_refused": GapWords(
        "Zoom's requests to validate the webhook's address had a wrong signature. After six, Zoom stops sending.",
        "Compare the secret token in the Zoom app with the first of GATEHOUSE_ZOOM_SECRET_TOKENS.",
        DESK,
        True,
    ),
    "signatures_wrong": GapWords(
        "Deliveries with a wrong signature were refused, and none with a correct one has come since.",
        "If the secret token was changed at Zoom, set it, restart, and fetch the missing messages from Zoom's log.",
        DESK,
        True,
    ),
    "storing_failed": GapWords(
        "Deliveries could not be stored within the last two hours. Zoom was asked to send them again.",
        "Check the database: Zoom tries again 5, 25 and 85 minutes after the first time, then never.",
        DESK,
        False,
    ),
    "deliveries_unread": GapWords(
        "Deliveries have been waiting to be read for more than five minutes.",
        "Check that a worker is running. The server includes one, unless it was started without.",
        DESK,
        True,
    ),
    "deliveries_unreadable": GapWords(
        "Zoom sent signed deliveries that cannot be read. They are kept as they came and do not count.",
        "Report it to the people who maintain Gatehouse: Zoom may have changed the form of its deliveries.",
        DESK,
        False,
    ),
    "deliveries_stale": GapWords(
        "Deliveries had a signature that is too old, or from the future. They do not count by themselves.",
        "Check this machine's clock.",
        DESK,
        False,
    ),
    "log_unreadable": GapWords(
        "Zoom's own log of deliveries, from which lost messages are fetched, could not be read.",
        "It is tried again automatically. The code says why: scopes or id of the app, or limits of the account's plan.",
        DESK,
        False,
    ),
    "not_started": GapWords(
        "The session should have begun ten minutes ago, and Zoom has not reported the start of its meeting.",
        "If the meeting is running, check the event subscription and the meeting number of the session.",
        SESSION,
        True,
    ),
    "quiet": GapWords(
        "The session is running, and Zoom has sent nothing about it for a while.",
        "If people come and go, check the event subscription in the Zoom app.",
        SESSION,
        True,
    ),
    "no_deliveries": GapWords(
        "The session is over, and Zoom sent nothing about it.",
        "Check the meeting number; fetch the missing messages from Zoom's log, which reaches back seven days.",
        SESSION,
        True,
    ),
    "end_missing": GapWords(
        "The scheduled end is past, and Zoom has not reported the end.",
        "Record when it ended, in the session's settings.",
        SETTINGS,
        True,
    ),
    "edges_missing": GapWords(
        "For some people Zoom reported only a join or only a leave, so part of their presence is estimated.",
        "The report may settle it; otherwise check each of them in the review list.",
        SESSION,
        False,
    ),
    "people_differ": GapWords(
        "Webhooks and report do not list the same people.",
        "In the review list, check the people whom only one of them lists.",
        SESSION,
        False,
    ),
    "report_failing": GapWords(
        "Zoom has not returned the report of this session.",
        "It is requested again automatically until a day after the end. The session's settings can ask Zoom now.",
        SETTINGS + "#reports",
        False,
    ),
    "reports_refused": GapWords(
        "Zoom refuses the report of this session, for a reason that staff can fix.",
        "The code says why: scopes or credentials of the Server-to-Server OAuth app, or the account's plan.",
        SESSION,
        True,
    ),
    "reports_unsettled": GapWords(
        "A day after the end, Zoom has not returned the same report twice, so the session stays provisional.",
        "Ask Zoom again, or decide without a report, in the session's settings.",
        SETTINGS + "#reports",
        False,
    ),
    "locked_evidence": GapWords(
        "Zoom sent something about a locked session. It does not count while the session is locked.",
        "If it must count, open the session again in its settings, with a reason.",
        SETTINGS,
        False,
    ),
    "settlement_parked": GapWords(
        "The attendance of this session could not be computed in eight attempts.",
        "The list of background jobs has the error code. Report it to the people who maintain Gatehouse.",
        "/desk/settings/jobs",
        True,
    ),
}


@dataclass(frozen=True, slots=True)
class Gap:
    """One gap. `subject` is "webhook" or "session:7"; `since` is None until it is known or the gap is recorded.
    `details` holds ids, codes and numbers only."""

    code: str
    subject: str = WEBHOOK
    since: datetime | None = None
    count: int = 1
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> GapWords:
        return GAPS[self.code]

    @property
    def session_id(self) -> int | None:
        kind, _, number = self.subject.partition(":")
        return int(number) if kind == "session" else None

    @property
    def where(self) -> str:
        return self.words.where.format(session=self.session_id)


def of_session(
    code: str,
    session_id: int,
    since: datetime | None = None,
    count: int = 1,
    details: Mapping[str, Any] = MappingProxyType({}),
) -> Gap:
    """A gap in the evidence of one live session."""
    return Gap(code, f"session:{session_id}", since, count, dict(details))


def on_record(connection: Connection) -> list[Gap]:
    """The recorded gaps, those that lose presence first."""
    columns = (zoom_gaps.c[name] for name in ("code", "subject", "since", "count", "details"))
    return in_order([Gap(**row._mapping) for row in connection.execute(select(*columns)) if row.code in GAPS])


def in_order(found: Collection[Gap]) -> list[Gap]:
    codes = list(GAPS)
    return sorted(found, key=lambda gap: (not gap.words.is_wrong, codes.index(gap.code), gap.subject))


def counts(connection: Connection) -> dict[str, int]:
    """How many subjects each code has; 0 where there is none."""
    query = select(zoom_gaps.c.code, func.count()).group_by(zoom_gaps.c.code)
    return dict.fromkeys(GAPS, 0) | {row[0]: row[1] for row in connection.execute(query)}


def dated(connection: Connection, found: Sequence[Gap], now: datetime) -> list[Gap]:
    """These gaps, each with the moment since when it is known: its own, the recorded one, or now."""
    known = {(gap.code, gap.subject): gap.since for gap in on_record(connection)}
    return [replace(gap, since=gap.since or known.get((gap.code, gap.subject)) or now) for gap in found]


def record(connection: Connection, found: Sequence[Gap], now: datetime) -> None:
    """Bring the records in line with what was found: a gap that was not found is over."""
    present = dated(connection, found, now)
    keys = {(gap.code, gap.subject) for gap in present}
    for code, subject in connection.execute(select(zoom_gaps.c.code, zoom_gaps.c.subject)).all():
        if (code, subject) not in keys:
            connection.execute(delete(zoom_gaps).filter_by(code=code, subject=subject))
    known = {(gap.code, gap.subject): gap for gap in on_record(connection)}
    for gap in present:
        if known.get((gap.code, gap.subject)) != gap:
            values = {"since": gap.since, "count": gap.count, "details": dict(gap.details), "seen_at": now}
            new = upsert(connection, zoom_gaps).values(code=gap.code, subject=gap.subject, **values)
            connection.execute(new.on_conflict_do_update(index_elements=["code", "subject"], set_=values))
    connection.execute(update(zoom_gaps).values(seen_at=now))
