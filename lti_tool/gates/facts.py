"""The facts about one trainee: with the programme, the only input of a decision.

PURE. Every record knows when it was recorded and, if it can end, when it ended, so that facts can be taken back to any
moment (gates.md A2.9). Instants are aware UTC; dates are wall dates in the programme's zone.
"""

import json
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from functools import cached_property
from hashlib import sha256
from typing import Any, Self

OPEN_STATES = ("submitted", "more_info")
MOMENTS = ("recorded_at", "ended_at", "submitted_at", "decided_at", "changed_at")
RECORDS = (
    "completions",
    "equivalencies",
    "licences",
    "retreats",
    "attestations",
    "clearances",
    "invitations",
    "exceptions",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorded:
    id: int
    recorded_at: datetime

    def as_of(self, at: datetime) -> Self | None:
        """The record as it stood at `at`; None before it was recorded."""
        return self if self.recorded_at <= at else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ending(_Recorded):
    """A record that is in force from `recorded_at` until `ended_at`; it is ended, never deleted."""

    ended_at: datetime | None = None
    ended_reason: str | None = None

    def as_of(self, at: datetime) -> Self | None:
        if self.recorded_at > at:
            return None
        if self.ended_at is None or self.ended_at <= at:
            return self
        return replace(self, ended_at=None, ended_reason=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion(_Ending):
    """`origin` is attendance, imported or staff."""

    module: str
    completed_on: date
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence(_Ending):
    """`status` is what the board says: active, probation or inactive. No gate needs the licence number."""

    type: str
    jurisdiction: str
    issued_on: date
    expires_on: date
    status: str
    verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RetreatRecord(_Ending):
    """A roster entry; `outcome` is attended or no_show."""

    retreat: str
    starts_on: date
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EquivalencyRequest(_Recorded):
    """A request in one of the states of gates.md A3.3. `changed_at` is the latest change of state, `decided_at` the
    reviewer's decision."""

    target: str
    state: str
    submitted_at: datetime | None
    decided_at: datetime | None
    changed_at: datetime
    expires_on: date | None = None

    def is_accepted_on(self, day: date) -> bool:
        """Whether it is approved and in force on this day."""
        return self.state == "approved" and (self.expires_on is None or self.expires_on >= day)

    def as_of(self, at: datetime) -> Self | None:
        """With the state it had then: submitted before its decision, approved before it expired or was revoked."""
        if self.recorded_at > at:
            return None
        if self.changed_at <= at:
            return self
        if self.submitted_at is None or self.submitted_at > at:
            return replace(self, state="draft", changed_at=self.recorded_at, decided_at=None, expires_on=None)
        if self.decided_at is None or self.decided_at > at:
            return replace(self, state="submitted", changed_at=self.submitted_at, decided_at=None, expires_on=None)
        decided = "approved" if self.state in ("expired", "revoked") else self.state
        return replace(self, state=decided, changed_at=self.decided_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation(_Recorded):
    list_name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance(_Recorded):
    """The status of one screening step for one offering; Gatehouse knows nothing else about screening."""

    offering: str
    step: str
    status: str
    valid_until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation(_Recorded):
    """`state` is unused or accepted; an invitation in any other state does not count."""

    offering: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffException(_Ending):
    """Opens one offering for one person until the end of `expires_on` (gates.md A4)."""

    offering: str
    expires_on: date


@dataclass(frozen=True)
class Facts:
    """Everything known about one trainee. `unavailable` names the collections that were not loaded: a condition that
    needs one of them is `unknown`."""

    trainee_id: int
    completions: tuple[Completion, ...] = ()
    equivalencies: tuple[EquivalencyRequest, ...] = ()
    licences: tuple[Licence, ...] = ()
    retreats: tuple[RetreatRecord, ...] = ()
    attestations: tuple[Attestation, ...] = ()
    clearances: tuple[Clearance, ...] = ()
    invitations: tuple[Invitation, ...] = ()
    exceptions: tuple[StaffException, ...] = ()
    profession: str | None = None
    unavailable: frozenset[str] = frozenset()

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the facts in canonical form: the order in which they were loaded does not matter."""

        def plain(record: Any) -> str:
            return json.dumps([getattr(record, each.name) for each in fields(record)], default=str)

        records = {name: sorted(map(plain, getattr(self, name))) for name in RECORDS}
        whole = [self.trainee_id, self.profession, sorted(self.unavailable), records]
        return sha256(json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @cached_property
    def latest_at(self) -> datetime | None:
        """The time of the latest change in these facts; None if nothing is recorded."""
        records = [record for name in RECORDS for record in getattr(self, name)]
        moments = [getattr(record, name, None) for record in records for name in MOMENTS]
        return max((moment for moment in moments if moment is not None), default=None)

    def as_of(self, at: datetime) -> "Facts":
        """The facts that were recorded by `at`. A profession has no time and is kept."""
        if self.latest_at is None or self.latest_at <= at:
            return self
        known = {name: [record.as_of(at) for record in getattr(self, name)] for name in RECORDS}
        changes: dict[str, Any] = {name: tuple(filter(None, records)) for name, records in known.items()}
        return replace(self, **changes)
