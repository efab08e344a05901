"""What is missing from, or odd about, the evidence of presence, as long as it is: each kind with its words.

The conference adapter looks for them and `record`s what it finds; the desk, the commands and the metrics read.
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
DESK = "/desk#evidence"
SESSION = "/desk/sessions/{session}"


class GapWords(NamedTuple):
    """What it means, what to do about it, where to look, and whether presence is being lost (else it is a note)."""

    says: str
    next_step: str
    where: str
    is_wrong: bool


GAPS: Mapping[str, GapWords] = {
    "not_configured": GapWords(
        "Zoom delivers, and no secret token is set: everything is turned away.",
        "Set GATEHOUSE_ZOOM_SECRET_TOKENS and restart; Zoom tries again for 85 minutes.",
        DESK,
        True,
    ),
    "never_heard": GapWords(
        "A session is near, and Zoom has never delivered anything.",
        "At Zoom, give the app's event subscription this tool's address with /zoom/webhook, and validate it.",
        DESK,
        True,
    ),
    "challenge_late": GapWords(
        "Zoom asks every 72 hours whether the webhook's address is ours, and has not asked for longer.",
        "Wait for the next one; after 80 hours look at the event subscription in the Zoom app.",
        DESK,
        False,
    ),
    "challenge_overdue": GapWords(
        "Zoom has not asked for 80 hours whether the webhook's address is ours: the subscription may be disabled.",
        "In the Zoom app, look at the event subscription, validate the address again and enable it.",
        DESK,
        True,
    ),
    "challenge_refused": GapWords(
        "Questions whether the webhook's address is ours came with a wrong signature. After six, Zoom stops sending.",
        "Compare the secret token in the Zoom app with the first of GATEHOUSE_ZOOM_SECRET_TOKENS.",
        DESK,
        True,
    ),
    "signatures_wrong": GapWords(
        "Deliveries with a wrong signature were turned away, and none with a right one came since.",
        "If the secret token was changed at Zoom, set it, restart, and fetch what was missed from Zoom's log.",
        DESK,
        True,
    ),
    "storing_failed": GapWords(
        "Deliveries could not be stored within the last two hours. Zoom was asked to send them again.",
        "Look after the database: Zoom tries again 5, 25 and 85 minutes after the first time, then never.",
        DESK,
        False,
    ),
    "deliveries_unread": GapWords(
        "Deliveries wait to be read for more than five minutes.",
        "Is a worker running? `gatehouse serve` has one inside, unless it was started with --no-worker.",
        DESK,
        True,
    ),
    "deliveries_unreadable": GapWords(
        "Zoom signed deliveries that cannot be read. They are kept as they came and count for nothing.",
        "Tell whoever maintains Gatehouse: Zoom may have changed the form of its deliveries.",
        DESK,
        False,
    ),
    "deliveries_stale": GapWords(
        "Deliveries came with a signature that is too old, or from the future. They do not count by themselves.",
        "Compare this machine's clock with the real time.",
        DESK,
        False,
    ),
    "log_unreadable": GapWords(
        "Zoom's own log of deliveries, the way back for what was lost, could not be read.",
        "It is tried again by itself; look at the code: scopes and id of the app, or the limits of the account's plan.",
        DESK,
        False,
    ),
    "not_started": GapWords(
        "The session should have begun ten minutes ago, and Zoom has not said that its meeting started.",
        "Is the meeting running? Then look at the event subscription, and at the meeting number of the session.",
        SESSION,
        True,
    ),
    "quiet": GapWords(
        "The session runs, and nothing has come from Zoom about it for a while.",
        "If people come and go, look at the event subscription in the Zoom app.",
        SESSION,
        True,
    ),
    "no_deliveries": GapWords(
        "The session is over, and nothing came from Zoom about it.",
        "Compare the meeting number; fetch what was missed from Zoom's log, which reaches back seven days.",
        SESSION,
        True,
    ),
    "end_missing": GapWords(
        "The session must be over, and Zoom has not said so.",
        "Say when it was over: `gatehouse session end --help`, or the session's page.",
        SESSION,
        True,
    ),
    "edges_missing": GapWords(
        "Of some people Zoom told only that they came, or only that they left: part of their presence is estimated.",
        "The report may settle it; otherwise look at each of them in the review list.",
        SESSION,
        False,
    ),
    "people_differ": GapWords(
        "Webhooks and report do not speak of the same people.",
        "Look at those whom only one of them knows, in the review list.",
        SESSION,
        False,
    ),
    "report_failing": GapWords(
        "Zoom has not given the report of this session.",
        "It is asked again by itself until a day after the end; `gatehouse zoom reconcile` asks now.",
        SESSION,
        False,
    ),
    "reports_refused": GapWords(
        "Zoom refuses the report of this session, for a reason that staff can mend.",
        "Look at the code: scopes and credentials of the Server-to-Server OAuth app, or the account's plan.",
        SESSION,
        True,
    ),
    "reports_unsettled": GapWords(
        "A day after the end, Zoom has not said the same twice about this session: it stays provisional.",
        "Run `gatehouse zoom reconcile` for it, or decide by what the webhooks prove.",
        SESSION,
        False,
    ),
    "locked_evidence": GapWords(
        "Something came from Zoom about a session that is locked. It counts for nothing as long as it is.",
        "Reopen the session with a reason if it must count: `gatehouse session reopen --help`.",
        SESSION,
        False,
    ),
    "settlement_parked": GapWords(
        "The attendance of this session could not be computed in eight attempts.",
        "Look at the error code among the tasks; `gatehouse session settle` tries again.",
        "/desk#tasks",
        True,
    ),
}


@dataclass(frozen=True, slots=True)
class Gap:
    """One gap. `subject` is "webhook" or "session:7"; `since` is None where nobody knows, and then the moment it was
    first seen; `details` holds ids, codes and numbers only."""

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

    @property
    def _order(self) -> tuple[bool, int, str]:
        return not self.words.is_wrong, list(GAPS).index(self.code), self.subject


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
    """The gaps there are: what loses presence first."""
    columns = (zoom_gaps.c[name] for name in ("code", "subject", "since", "count", "details"))
    return in_order([Gap(**row._mapping) for row in connection.execute(select(*columns)) if row.code in GAPS])


def in_order(found: Collection[Gap]) -> list[Gap]:
    return sorted(found, key=lambda gap: gap._order)


def counts(connection: Connection) -> dict[str, int]:
    """How many subjects there are of every code; 0 where there is none."""
    query = select(zoom_gaps.c.code, func.count()).group_by(zoom_gaps.c.code)
    return dict.fromkeys(GAPS, 0) | {row[0]: row[1] for row in connection.execute(query)}


def dated(connection: Connection, found: Sequence[Gap], now: datetime) -> list[Gap]:
    """These gaps, each with the moment since when it is known."""
    known = {(gap.code, gap.subject): gap.since for gap in on_record(connection)}
    return [replace(gap, since=gap.since or known.get((gap.code, gap.subject)) or now) for gap in found]


def record(connection: Connection, found: Sequence[Gap], now: datetime) -> None:
    """Bring the records in line with what was found: what is not among it is no gap any more."""
    present = dated(connection, found, now)
    keys = {(gap.code, gap.subject) for gap in present}
    for code, subject in connection.execute(select(zoom_gaps.c.code, zoom_gaps.c.subject)).all():
        if (code, subject) not in keys:
            connection.execute(delete(zoom_gaps).filter_by(code=code, subject=subject))
    known = {(gap.code, gap.subject): gap for gap in on_record(connection)}
    for gap in present:
        if known.get((gap.code, gap.subject)) != gap:
            _write(connection, gap, now)
    connection.execute(update(zoom_gaps).values(seen_at=now))


def _write(connection: Connection, gap: Gap, now: datetime) -> None:
    values = {"since": gap.since, "count": gap.count, "details": dict(gap.details), "seen_at": now}
    new = upsert(connection, zoom_gaps).values(code=gap.code, subject=gap.subject, **values)
    connection.execute(new.on_conflict_do_update(index_elements=["code", "subject"], set_=values))
