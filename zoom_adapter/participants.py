"""From participants and report rows to people: which of them are one person, and when that person was present.

PURE. `identify` gives the trainee of an identity; two identities of one trainee are one person, and nothing else makes
two people one (ce.md T8).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter

from lti_tool.attendance.evidence import (
    IDENTITY_DIFFERS,
    REMEMBERED,
    KnownAs,
    PersonPresence,
    PresenceInterval,
    ReportComparison,
    remembered_as,
)
from lti_tool.intervals import seconds, union
from zoom_adapter.bound_connections import (
    NOTHING_SETTLED,
    Identity,
    Participant,
    Recognition,
    participants_of,
    with_emails,
)
from zoom_adapter.connections import Instance
from zoom_adapter.report_matching import (
    COMPLETED,
    ROOM_UNCLEAR,
    UNCONFIRMED,
    Compared,
    ReportRow,
    WebhookRecord,
    compare,
    completed,
    identity_of,
    match_rows,
    reported_presence,
    row_keys,
    with_reported_rooms,
)

# Zoom notices a dead connection after up to a minute and a half, while its owner is back on a new one (zoom.md §1, §4).
# Only a longer overlap means two devices at once.
RECONNECT_OVERLAP = timedelta(minutes=2)

Identify = Callable[[Identity], int | None]
Recognise = Callable[[Identity], Recognition]
Reports = Mapping[str, Sequence[ReportRow]]
NO_REPORTS: Reports = {}


@dataclass(slots=True)
class _InInstance:
    """One person in one instance. `rows` is None while no settled report covers the instance; `reported` is the
    presence in the rows."""

    participants: list[Participant] = field(default_factory=list)
    rows: list[ReportRow] | None = None
    reported: list[tuple[datetime, datetime]] = field(default_factory=list)

    @property
    def webhooks(self) -> WebhookRecord:
        return WebhookRecord(
            intervals=tuple(
                (one, f"connection:{each.keys[0]}") for each in self.participants for one in each.intervals
            ),
            open_from=tuple(at for each in self.participants for at in each.open_from),
            roles=tuple(role for each in self.participants for role in each.roles),
        )


@dataclass(slots=True)
class _Person:
    """One person, by instance. `is_unclear`: a breakout room's row without a participant has this person's address,
    which can follow the room (zoom.md §3.3). `differs`: a part was settled for this trainee, and the evidence alone
    would name another one."""

    key: str
    trainee_id: int | None
    instances: dict[str, _InInstance] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    known_as: set[KnownAs] = field(default_factory=set)
    is_unclear: bool = False
    differs: bool = False

    @property
    def participants(self) -> Iterator[Participant]:
        return (each for instance in self.instances.values() for each in instance.participants)

    @property
    def rows(self) -> Iterator[ReportRow]:
        return (row for instance in self.instances.values() for row in instance.rows or ())

    @property
    def identities(self) -> Iterator[Identity]:
        yield from (each.identity for each in self.participants)
        yield from map(identity_of, self.rows)

    def presence(self) -> PersonPresence:
        """All the evidence, compared with the settled reports. The display name is the last one on a connection, or in
        the report if there is no connection."""
        compared = {
            uuid: compare(each.webhooks, each.rows, each.reported)
            for uuid, each in self.instances.items()
            if each.rows is not None
        }
        intervals = [each for one in compared.values() for each in one.intervals]
        for uuid, instance in self.instances.items():
            if uuid not in compared:
                intervals += instance.webhooks.presence()
        names = (name for each in self.participants for name in each.names)
        reported_names = ((row.leave_at, row.name) for row in self.rows if row.name)
        last_name = max(names, default=None) or max(reported_names, default=None)
        identities = list(self.identities)
        order = attrgetter("from_at", "to_at", "source", "evidence", "counts", "role")
        return PersonPresence(
            person_key=self.key,
            trainee_id=self.trainee_id,
            display_name=last_name[1] if last_name else None,
            email=min((each.email for each in identities if each.email), default=None),
            registrant_id=min((each.registrant_id for each in identities if each.registrant_id), default=None),
            intervals=tuple(sorted(intervals, key=order)),
            flags=tuple(sorted(self._flags(compared, intervals))),
            former_keys=tuple(sorted(self.keys)),
            known_as=tuple(sorted(self.known_as)),
            rooms=with_reported_rooms((room for each in self.participants for room in each.rooms), self.rows),
            report=self._comparison(compared) if compared else None,
        )

    def _flags(self, compared: Mapping[str, Compared], intervals: Sequence[PresenceInterval]) -> set[str]:
        """What is odd. `report_missing`: only the webhooks have this person; `report_only`: only the reports do;
        `report_differs`: they contradict each other."""
        flags: set[str] = set()
        for uuid, instance in self.instances.items():
            settled = compared[uuid].settled if uuid in compared else frozenset()
            flags |= {flag for each in instance.participants for flag in each.flags} - settled
        reasons = _reasons(compared)
        in_report = any(each.report for each in compared.values())
        own = {
            "unconfirmed": UNCONFIRMED in reasons,
            "estimated": any(each.evidence == "estimated" for each in intervals),
            "staff_role": any(each.role for each in intervals),
            "concurrent": _overlap(self.participants),
            IDENTITY_DIFFERS: self.differs,
            "phone_only": {by_phone for each in self.participants for by_phone in each.media} == {True},
        }
        flags |= {flag for flag, is_so in own.items() if is_so}
        if not in_report and any(each.webhook for each in compared.values()):
            flags.add("report_missing")
        elif in_report and not any(each.flags or each.intervals or each.open_from for each in self.participants):
            flags.add("report_only")
        elif self.is_unclear or reasons - {UNCONFIRMED, COMPLETED}:
            flags.add("report_differs")
        return flags

    def _comparison(self, compared: Mapping[str, Compared]) -> ReportComparison:
        """Over all instances with a settled report; what overlaps counts once in either record."""
        by_webhook = seconds(union(part for each in compared.values() for part in each.webhook))
        by_report = seconds(union(part for each in compared.values() for part in each.report))
        difference = by_report - by_webhook
        reasons = _reasons(compared) | ({ROOM_UNCLEAR} if self.is_unclear else set())
        reasons = reasons or ({"rounding"} if difference else set())
        return ReportComparison(by_webhook, by_report, difference, tuple(sorted(reasons)))


class Everybody:
    """All people in these instances and in their settled reports (by uuid; an empty report is an empty list).
    `settled`: connections whose trainee is settled."""

    def __init__(
        self,
        instances: Mapping[str, Instance],
        reports: Reports = NO_REPORTS,
        settled: Mapping[str, int] = NOTHING_SETTLED,
    ) -> None:
        parts: list[tuple[str, Identity, list[str], _InInstance]] = []
        self._room_emails: set[str] = set()
        for uuid in sorted({*instances, *reports}):
            rows = reports.get(uuid)
            matched, unmatched = match_rows(participants_of(instances.get(uuid, Instance()), settled), rows or ())
            devices = Counter(each.participant.identity.registrant_id for each in matched)
            for each in matched:
                one = each.participant
                present = [*reported_presence(one.intervals, each.rows), *(row.bounds for row in each.elsewhere)]
                all_rows = [*each.rows, *each.elsewhere]
                # With two devices of one registrant it is unclear to which of them the rows from elsewhere belong.
                is_single = devices[one.identity.registrant_id] == 1
                whole = completed(one, all_rows if is_single else each.rows)
                in_instance = _InInstance([whole], None if rows is None else all_rows, present)
                parts.append((uuid, one.identity, list(one.person_keys), in_instance))
            for row in unmatched:
                parts.append((uuid, identity_of(row), row_keys(row, uuid), _InInstance([], [row], [row.bounds])))
            self._room_emails |= {row.email for row in unmatched if row.room and not row.registrant_id} - {""}
        known = with_emails([identity for _, identity, _, _ in parts])
        self._parts = [(uuid, who, keys, part) for who, (uuid, _, keys, part) in zip(known, parts, strict=True)]

    def identities(self) -> set[Identity]:
        """All identities for which `people` calls `recognise`."""
        return {identity for _, identity, _, _ in self._parts}

    def people(self, recognise: Recognise) -> tuple[PersonPresence, ...]:
        """All people, each once, in order of their keys."""
        found: dict[str, _Person] = {}
        for uuid, identity, keys, part in self._parts:
            who = recognise(identity)
            key = keys[0] if who.trainee_id is None else f"trainee:{who.trainee_id}"
            person = found.setdefault(key, _Person(key, who.trainee_id))
            person.keys.update(keys)
            person.differs = person.differs or who.differs
            if who.trainee_id is not None and not who.differs and who.known_by in REMEMBERED:
                named = remembered_as(identity.registrant_id, identity.email, identity.connections)
                person.known_as |= {KnownAs(*each, who.known_by) for each in named}
            whole = person.instances.setdefault(uuid, _InInstance())
            whole.participants += part.participants
            whole.reported += part.reported
            whole.rows = whole.rows if part.rows is None else [*(whole.rows or ()), *part.rows]
        for person in found.values():
            person.is_unclear = any(identity.email in self._room_emails for identity in person.identities)
        return tuple(found[key].presence() for key in sorted(found))


def people(
    instances: Mapping[str, Instance], identify: Identify, reports: Reports = NO_REPORTS
) -> tuple[PersonPresence, ...]:
    """All people in these instances or their settled reports, each once, in order of their keys. `identify` gives the
    trainee's id of an identity, or None."""
    return Everybody(instances, reports).people(lambda identity: Recognition(identify(identity)))


def _reasons(compared: Mapping[str, Compared]) -> set[str]:
    return {reason for each in compared.values() for reason in each.reasons}


def _overlap(participants: Iterator[Participant]) -> bool:
    """Whether two participants of one person overlap for longer than a reconnect explains."""
    present = (union(one.bounds for one in each.intervals if not one.waiting) for each in participants)
    latest_end: datetime | None = None
    for start, end in sorted(each for intervals in present for each in intervals):
        if latest_end and min(latest_end, end) - start > RECONNECT_OVERLAP:
            return True
        latest_end = max(end, latest_end or end)
    return False
