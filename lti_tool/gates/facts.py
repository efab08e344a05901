"""What is known of one person, as immutable values: the only thing besides the programme that a decision rests on.

Every record knows when it was recorded and, where it can end, when it ended, so that facts can be taken back to any
moment (gates.md A2.9). Instants are aware UTC; dates are wall dates of the programme's zone.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from functools import cached_property
from hashlib import sha256
from typing import Any, Self

OPEN_STATES = ("submitted", "more_info")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorded:
    id: int
    recorded_at: datetime

    def as_of(self, at: datetime) -> Self | None:
        """The record as it stood at `at`; None before it was recorded."""
        return self if self.recorded_at <= at else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ending(_Recorded):
    """A record that is in force from `recorded_at` until `ended_at`; it is ended with a reason, never deleted."""

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
    """`status` is what the board says: active, probation or inactive. The number is no fact that a gate needs."""

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
    """A request in the states of gates.md A3.3; `changed_at` is the latest change of state, `decided_at` the
    reviewer's."""

    target: str
    state: str
    submitted_at: datetime | None
    decided_at: datetime | None
    changed_at: datetime
    expires_on: date | None = None

    def as_of(self, at: datetime) -> Self | None:
        """The state it had then: before its decision it was submitted, before its end it was approved."""
        if self.recorded_at > at:
            return None
        if self.changed_at <= at:
            return self
        if self.submitted_at is None or self.submitted_at > at:
            return replace(self, state="draft", changed_at=self.recorded_at, decided_at=None, expires_on=None)
        if self.decided_at is None or self.decided_at > at:
            return replace(self, state="submitted", changed_at=self.submitted_at, decided_at=None, expires_on=None)
        return replace(self, state=_decided_state(self.state), changed_at=self.decided_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation(_Recorded):
    list_name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance(_Recorded):
    """The status word of one screening step for one offering; nothing else of it is known here."""

    offering: str
    step: str
    status: str
    valid_until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation(_Recorded):
    """`state` is unused, accepted or anything else (then it no longer counts)."""

    offering: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffException(_Ending):
    """Opens one offering for one person until the end of `expires_on` (gates.md A4)."""

    offering: str
    expires_on: date


@dataclass(frozen=True)
class Facts:
    """Everything known of one trainee.

    `unavailable` names the collections below that could not be read: conditions that need them are `unknown`.
    """

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
        records = {name: sorted(map(_plain, getattr(self, name))) for name in RECORDS}
        whole = [self.trainee_id, self.profession, sorted(self.unavailable), records]
        return sha256(json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @cached_property
    def latest_at(self) -> datetime | None:
        """The latest moment at which anything here changed; None while nothing is recorded."""
        moments = [moment for name in RECORDS for record in getattr(self, name) for moment in _moments(record)]
        return max(moments, default=None)

    def as_of(self, at: datetime) -> "Facts":
        """The facts as they were recorded by `at`. A profession carries no time and stays."""
        if self.latest_at is None or self.latest_at <= at:
            return self
        known: dict[str, Any] = {name: _recorded_by(getattr(self, name), at) for name in RECORDS}
        return replace(self, **known)


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


def _decided_state(state: str) -> str:
    return "approved" if state in ("expired", "revoked") else state


def _recorded_by(records: Iterable[_Recorded], at: datetime) -> tuple[Any, ...]:
    known = (record.as_of(at) for record in records)
    return tuple(record for record in known if record is not None)


def _moments(record: Any) -> list[datetime]:
    names = ("recorded_at", "ended_at", "submitted_at", "decided_at", "changed_at")
    return [moment for name in names if (moment := getattr(record, name, None)) is not None]


def _plain(record: Any) -> str:
    return json.dumps([getattr(record, each.name) for each in fields(record)], default=str)
