"""What is known of somebody's presence in one live session, from whatever source: plain values.

PURE. Evidence has a grade: the conference system told it live (`webhook`), in its report (`report`), in `both`; it was
inferred from what came (`estimated`); or staff vouch for it (`manual`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

Evidence = Literal["webhook", "report", "both", "estimated", "manual"]

WAITING_ROOM: Final = "waiting_room"


@dataclass(frozen=True, slots=True)
class PresenceInterval:
    """Somebody was in the meeting from `from_at` to `to_at` (aware UTC).

    `source` says which record shows it, for example "connection:…", "report:…", "correction:…" or "waiting_room". With
    `counts` false no second of it is credited; where staff took it away (`manual`), no other evidence counts either.
    `from_evidence` and `to_evidence` grade the two edges, None where they are as good as the whole. `role` is set while
    the person ran the meeting ("host", "co-host", …).
    """

    from_at: datetime
    to_at: datetime
    evidence: Evidence
    counts: bool
    source: str
    from_evidence: Evidence | None = None
    to_evidence: Evidence | None = None
    role: str = ""


@dataclass(frozen=True, slots=True)
class RoomStay:
    """In which breakout room somebody was; it says where, never whether. `room` is empty where nobody knows which."""

    from_at: datetime
    to_at: datetime
    room: str


@dataclass(frozen=True, slots=True)
class ReportComparison:
    """The two records of one person side by side, in seconds in the meeting (not clipped to the agenda), over the
    instances whose report is settled. `difference_seconds` is report − webhook; `reasons` are short codes."""

    webhook_seconds: int
    report_seconds: int
    difference_seconds: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PersonPresence:
    """All the evidence about one person in one live session. `person_key` names whom it speaks of ("trainee:7",
    "registrant:…", "email:…", "connection:…"); `trainee_id` is None while nobody has matched the person. `former_keys`
    are all keys that parts of the same evidence may have had before. `report` is None while no settled report covers
    the person's presence."""

    person_key: str
    trainee_id: int | None
    display_name: str | None
    email: str | None
    registrant_id: str | None
    intervals: tuple[PresenceInterval, ...]
    flags: tuple[str, ...] = ()
    former_keys: tuple[str, ...] = ()
    rooms: tuple[RoomStay, ...] = ()
    report: ReportComparison | None = None
