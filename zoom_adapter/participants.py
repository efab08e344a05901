"""From appearances and rows of reports to people: which of them are one person, and where that person was.

PURE. Who the person is to us is asked of `identify`; two identities of one trainee are one person, and nothing else
makes two people one (ce.md T8).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lti_tool.attendance.evidence import PersonPresence, PresenceInterval, ReportComparison
from zoom_adapter.bound_connections import Identity, Leg, legs_of, with_emails, with_rows
from zoom_adapter.connections import Instance
from zoom_adapter.report_matching import (
    COMPLETED,
    ROOM_UNCLEAR,
    UNCONFIRMED,
    Agreed,
    Seen,
    by_webhooks,
    compare,
    completed,
    identity_of,
    match_rows,
    presence_in,
    row_keys,
)
from zoom_adapter.report_rows import ReportRow
from zoom_adapter.segments import Span, seconds, union

# A dead connection is noticed after up to a minute and a half, while its owner is back on a new one (zoom.md §1, §4).
# Only a longer overlap means two devices at once.
RECONNECT_OVERLAP = timedelta(minutes=2)

Identify = Callable[[Identity], int | None]
Reports = Mapping[str, Sequence[ReportRow]]
NO_REPORTS: Reports = {}


@dataclass(slots=True)
class _Part:
    """What one instance tells of one person. `rows` is None where no settled report covers the instance; `reported` is
    what of the rows is presence."""

    legs: list[Leg] = field(default_factory=list)
    rows: list[ReportRow] | None = None
    reported: list[Span] = field(default_factory=list)

    @property
    def seen(self) -> Seen:
        return Seen(
            stays=tuple((stay, f"connection:{leg.key}") for leg in self.legs for stay in leg.stays),
            open_from=tuple(at for leg in self.legs for at in leg.open_from),
            roles=tuple(role for leg in self.legs for role in leg.roles),
        )

    @property
    def flags(self) -> set[str]:
        return {flag for leg in self.legs for flag in leg.flags}


@dataclass(slots=True)
class _Found:
    """One person, by instance. `is_unclear`: the report has somebody with this person's address in a breakout room, of
    whom no stay is known; there an address can follow the room (zoom.md §3.3)."""

    trainee_id: int | None
    parts: dict[str, _Part] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    is_unclear: bool = False

    @property
    def legs(self) -> Iterator[Leg]:
        return (leg for part in self.parts.values() for leg in part.legs)

    @property
    def rows(self) -> Iterator[ReportRow]:
        return (row for part in self.parts.values() for row in part.rows or ())

    @property
    def identities(self) -> Iterator[Identity]:
        yield from (leg.identity for leg in self.legs)
        yield from (identity_of(row) for row in self.rows)


class Everybody:
    """Everybody in these instances, with the rows of settled reports (by uuid, an empty list for an empty report)."""

    def __init__(self, instances: Mapping[str, Instance], reports: Reports = NO_REPORTS) -> None:
        parts: list[tuple[str, Identity, list[str], _Part]] = []
        self._room_emails: set[str] = set()
        for uuid in sorted({*instances, *reports}):
            rows = reports.get(uuid)
            matched, strangers = match_rows(legs_of(instances.get(uuid, Instance())), rows or ())
            devices = Counter(each.leg.identity.registrant_id for each in matched)
            for each in matched:
                present = [*presence_in(each.leg.stays, each.rows), *map(_span, each.elsewhere)]
                told = [*each.rows, *each.elsewhere]
                # Where a registrant was there with two devices, nobody knows of which such a row speaks.
                is_one = devices[each.leg.identity.registrant_id] == 1
                leg = completed(each.leg, told if is_one else each.rows)
                part = _Part([leg], None if rows is None else told, present)
                parts.append((uuid, each.leg.identity, list(each.leg.own_keys), part))
            for row in strangers:
                part = _Part([], [row], [_span(row)])
                parts.append((uuid, identity_of(row), row_keys(row, uuid), part))
            self._room_emails |= {row.email for row in strangers if row.room and not row.registrant_id}
        known = with_emails([identity for _, identity, _, _ in parts])
        self._parts = [(uuid, who, keys, part) for who, (uuid, _, keys, part) in zip(known, parts, strict=True)]

    def identities(self) -> set[Identity]:
        """Every identity that `people` will ask for."""
        return {identity for _, identity, _, _ in self._parts}

    def people(self, identify: Identify) -> tuple[PersonPresence, ...]:
        """Everybody, each once, in order of their keys. `identify` gives the trainee's id for an identity, or None."""
        found: dict[str, _Found] = {}
        for uuid, identity, keys, part in self._parts:
            trainee_id = identify(identity)
            key = keys[0] if trainee_id is None else f"trainee:{trainee_id}"
            person = found.setdefault(key, _Found(trainee_id))
            person.keys.update(keys)
            whole = person.parts.setdefault(uuid, _Part())
            whole.legs += part.legs
            whole.reported += part.reported
            whole.rows = whole.rows if part.rows is None else [*(whole.rows or ()), *part.rows]
        for each in found.values():
            each.is_unclear = any(identity.email in self._room_emails for identity in each.identities if identity.email)
        return tuple(_person(key, found[key]) for key in sorted(found))


def _span(row: ReportRow) -> Span:
    return row.join_at, row.leave_at


def people(
    instances: Mapping[str, Instance], identify: Identify, reports: Reports = NO_REPORTS
) -> tuple[PersonPresence, ...]:
    """Everybody who appeared in these instances or their settled reports, each once, in order of their keys."""
    return Everybody(instances, reports).people(identify)


def identities(instances: Mapping[str, Instance]) -> set[Identity]:
    """Every identity that `people` will ask for, without reports."""
    return Everybody(instances).identities()


def _person(key: str, found: _Found) -> PersonPresence:
    agreed = {
        uuid: compare(part.seen, part.rows, part.reported)
        for uuid, part in found.parts.items()
        if part.rows is not None
    }
    intervals = [each for comparison in agreed.values() for each in comparison.intervals]
    for uuid, part in found.parts.items():
        if uuid not in agreed:
            intervals += by_webhooks(part.seen)
    identities = list(found.identities)
    return PersonPresence(
        person_key=key,
        trainee_id=found.trainee_id,
        display_name=_name(found),
        email=min((each.email for each in identities if each.email), default=None),
        registrant_id=min((each.registrant_id for each in identities if each.registrant_id), default=None),
        intervals=tuple(sorted(intervals, key=_order)),
        flags=tuple(sorted(_flags(found, agreed, intervals))),
        former_keys=tuple(sorted(found.keys)),
        rooms=with_rows((room for leg in found.legs for room in leg.rooms), found.rows),
        report=_comparison(agreed, found.is_unclear) if agreed else None,
    )


def _name(found: _Found) -> str | None:
    """The last name on a connection; of somebody known by the report alone the last name in it."""
    names = (name for leg in found.legs for name in leg.names)
    rows = ((row.leave_at, row.name) for row in found.rows if row.name)
    last = max(names, default=None) or max(rows, default=None)
    return last[1] if last else None


def _flags(found: _Found, agreed: Mapping[str, Agreed], intervals: Sequence[PresenceInterval]) -> set[str]:
    flags: set[str] = set()
    for uuid, part in found.parts.items():
        flags |= part.flags - (agreed[uuid].settled if uuid in agreed else frozenset())
    if any(each.evidence == "estimated" for each in intervals):
        flags.add("estimated")
    if any(each.role for each in intervals):
        flags.add("staff_role")
    if _is_concurrent(list(found.legs)):
        flags.add("concurrent")
    if {by_phone for leg in found.legs for by_phone in leg.media} == {True}:
        flags.add("phone_only")
    return flags | _flags_of_reports(found, agreed)


def _flags_of_reports(found: _Found, agreed: Mapping[str, Agreed]) -> set[str]:
    """`report_missing`: of somebody whom webhooks saw the reports know nothing; `report_only`: the other way round;
    `report_differs`: they contradict each other."""
    reasons = _reasons(agreed)
    flags = {"unconfirmed"} if UNCONFIRMED in reasons else set()
    seen = any(each.webhook for each in agreed.values())
    told = any(each.report for each in agreed.values())
    if seen and not told:
        flags.add("report_missing")
    elif told and not any(leg.flags or leg.stays or leg.open_from for leg in found.legs):
        flags.add("report_only")
    elif found.is_unclear or reasons - {UNCONFIRMED, COMPLETED}:
        flags.add("report_differs")
    return flags


def _comparison(agreed: Mapping[str, Agreed], is_unclear: bool) -> ReportComparison:
    """Over all instances whose report is settled; what overlaps counts once on either side."""
    by_webhook = seconds(union(span for each in agreed.values() for span in each.webhook))
    by_report = seconds(union(span for each in agreed.values() for span in each.report))
    difference = by_report - by_webhook
    reasons = _reasons(agreed) | ({ROOM_UNCLEAR} if is_unclear else set()) or ({"rounding"} if difference else set())
    return ReportComparison(by_webhook, by_report, difference, tuple(sorted(reasons)))


def _reasons(agreed: Mapping[str, Agreed]) -> set[str]:
    return {reason for each in agreed.values() for reason in each.reasons}


def _order(interval: PresenceInterval) -> tuple[datetime, datetime, str, str, bool, str]:
    return (interval.from_at, interval.to_at, interval.source, interval.evidence, interval.counts, interval.role)


def _is_concurrent(legs: Sequence[Leg]) -> bool:
    """Whether two appearances of one person overlap for longer than a reconnect explains."""
    spans = sorted(span for leg in legs for span in union((s.start, s.end) for s in leg.stays if not s.waiting))
    latest_end: datetime | None = None
    for start, end in spans:
        if latest_end and min(latest_end, end) - start > RECONNECT_OVERLAP:
            return True
        latest_end = max(end, latest_end or end)
    return False
