"""Reads the rows of Zoom's participant report, matches them to participants, and compares them with the webhooks.

PURE. A row is one or several intervals of one connection and doesn't name the connection (zoom.md §6). Its `duration`
is ignored, because Zoom's own sample contradicts its times. Time in the waiting room is not presence. A row belongs to
a participant of the same instance by its registrant, or by its `user_id` and its times (zoom.md §6). `user_id`s repeat
between people, so a row that fits two participants belongs to neither. Names are never read.

In the comparison neither record silently wins (zoom.md §6). What webhooks prove counts, with evidence `both` where the
report agrees; what only the report has counts as `report`; an estimate counts where the report confirms it and stays
unconfirmed elsewhere. The unions of the two records are compared, since a report may merge or split rows; differences
of up to two seconds are rounding.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from lti_tool.attendance.evidence import WAITING_ROOM, Evidence, PresenceInterval, RoomInterval
from lti_tool.intervals import Interval, common, longer, union, without
from lti_tool.text import clean
from zoom_adapter.bound_connections import Identity, Participant, keys_of, only, room_order
from zoom_adapter.connections import ConnectionEvent, ConnectionInterval, StaffRole
from zoom_adapter.events import address, instant, text

WAITING_STATUS = "in_waiting_room"
# The times of report and webhooks for one moment may differ by this much (zoom.md §6).
TOLERANCE = timedelta(seconds=2)
# Why the two records differ. The first two contradict each other; the others leave an estimate unconfirmed, or fill it.
REPORT_LACKS = "report_lacks"
WEBHOOKS_LACK = "webhooks_lack"
UNCONFIRMED = "estimate_unconfirmed"
COMPLETED = "completed_by_report"
WAITED = "waiting_room_in_report"
# A row of a breakout room has this person's address, and nothing else shows that it was this person.
ROOM_UNCLEAR = "room_unclear_in_report"

# How a row identifies its person: like the participant, not at all, or in a way that the participant lacks.
Identifies = Literal["the same", "nothing", "more"]
# Rows are matched in this order, the most certain first.
MATCHING_ORDER: tuple[Identifies, ...] = ("the same", "nothing", "more")


class ReportRow(NamedTuple):
    """One usable row. Texts are never None; the instants are aware UTC, in whole seconds."""

    user_id: str
    registrant_id: str
    email: str
    name: str
    join_at: datetime
    leave_at: datetime
    room: str

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        return self.join_at, self.leave_at


def read_rows(raw: Iterable[Mapping[str, Any]]) -> tuple[list[ReportRow], Counter[str]]:
    """The usable rows, each once and in order, and how many were left out by reason: `waiting_room`, `no_times`,
    `no_length`, `repeated`, `not_a_row`."""
    rows: set[ReportRow] = set()
    dropped: Counter[str] = Counter()
    for each in raw:
        row = _row_or_reason(each)
        if isinstance(row, str):
            dropped[row] += 1
        elif row in rows:
            dropped["repeated"] += 1
        else:
            rows.add(row)
    return sorted(rows), dropped


def _row_or_reason(raw: object) -> ReportRow | str:
    if not isinstance(raw, Mapping):
        return "not_a_row"
    if text(raw.get("status")) == WAITING_STATUS:
        return "waiting_room"
    joined, left = instant(raw.get("join_time")), instant(raw.get("leave_time"))
    if joined is None or left is None:
        return "no_times"
    joined, left = joined.replace(microsecond=0), left.replace(microsecond=0)
    if left <= joined:
        return "no_length"
    user_id, room = text(raw.get("user_id")), text(raw.get("bo_mtg_id"))
    return ReportRow(
        user_id=user_id,
        registrant_id=text(raw.get("registrant_id")),
        email=address(raw.get("user_email")),
        name=clean(text(raw.get("name"))),
        join_at=joined,
        leave_at=left,
        room="" if room == user_id else room,  # In Zoom's own sample both are equal, and there is no breakout room.
    )


@dataclass(slots=True)
class MatchedParticipant:
    """One participant with its rows.

    `taken`: join event of an interval with a row of exactly its times → the identity in that row. `half`: rows that
    share one end with the participant. `elsewhere`: rows of the same registrant on a connection without any event.
    """

    participant: Participant
    rows: list[ReportRow] = field(default_factory=list)
    taken: dict[ConnectionEvent, Identity] = field(default_factory=dict)
    half: list[ReportRow] = field(default_factory=list)
    elsewhere: list[ReportRow] = field(default_factory=list)

    def has_times_of(self, row: ReportRow, tolerance: timedelta = TOLERANCE) -> bool:
        """Whether the row begins with the join event of an interval that is not another person's, and ends with a leave
        event of the participant. A report may merge intervals, so the two events needn't be of one interval."""
        identity, connections = identity_of(row), self.participant.connections
        joins = (event for each in connections for event in each.joins if event.user_id == row.user_id)
        starts = (event.at for event in joins if self.taken.get(event, identity) == identity)
        ends = (event.at for each in connections for event in each.exits)
        return _is_near(row.join_at, starts, tolerance) and _is_near(row.leave_at, ends, tolerance)

    def shares_an_end_with(self, row: ReportRow) -> bool:
        connections = self.participant.connections
        joins = (event.at for each in connections for event in each.joins if event.user_id == row.user_id)
        lefts = (event.at for each in connections for event in each.exits if event.user_id == row.user_id)
        return _is_near(row.join_at, joins) or _is_near(row.leave_at, lefts)

    def identified(self) -> Participant:
        """The participant; one without a registrant takes the identity in its rows."""
        participant = self.participant
        identity, marks = participant.identity, participant.marks
        if identity.registrant_id or "conflict" in marks:
            return participant
        registrants = {row.registrant_id for row in self.rows if row.registrant_id}
        if len(registrants) > 1:
            return replace(participant, identity=identity._replace(email=""), marks=marks | {"conflict"})
        email = identity.email or only({row.email for row in self.rows if row.email and not row.room})
        return replace(participant, identity=identity._replace(registrant_id=only(registrants), email=email))


def _is_near(at: datetime, others: Iterator[datetime], tolerance: timedelta = TOLERANCE) -> bool:
    return any(abs(at - other) <= tolerance for other in others)


def match_rows(
    participants: Sequence[Participant], rows: Iterable[ReportRow]
) -> tuple[list[MatchedParticipant], list[ReportRow]]:
    """The participants with their rows, and the rows that match none. A row with both ends of a participant also
    identifies it, if its events don't."""
    matcher = _Matcher(participants)
    left = list(rows)
    for identifies in MATCHING_ORDER:
        left = [row for row in left if not matcher.match_exactly(row, identifies)]
    unmatched = [row for row in left if not matcher.match(row)]
    for each in matcher.matched:
        # Two overlapping rows of one `user_id` contradict each other. A telephone bound to a computer has its own.
        rows = [*each.rows, *each.half]
        for row in each.half:
            others = [other.bounds for other in rows if other.user_id == row.user_id and other != row]
            is_contradicted = bool(longer(common([row.bounds], others), TOLERANCE))
            (unmatched if is_contradicted else each.rows).append(row)
    found = [replace(each, participant=each.identified(), rows=sorted(each.rows)) for each in matcher.matched]
    return found, sorted(unmatched)


def identity_of(row: ReportRow) -> Identity:
    """The identity in the row. The address of a breakout room's row can follow the room (zoom.md §3.3)."""
    return Identity(row.registrant_id, "" if row.room else row.email)


def row_keys(row: ReportRow, meeting_uuid: str) -> list[str]:
    """The possible keys of the person of an unmatched row, the most certain first."""
    return [*keys_of(identity_of(row)), f"report:{meeting_uuid}:{row.user_id or row.join_at.isoformat()}"]


class _Matcher:
    """The participants of one instance by what a row may say about them."""

    def __init__(self, participants: Sequence[Participant]) -> None:
        self.matched = [MatchedParticipant(each) for each in participants]
        self.by_registrant: dict[str, list[MatchedParticipant]] = defaultdict(list)
        self.by_user: dict[str, list[MatchedParticipant]] = defaultdict(list)
        self.emails = {each.identity.email for each in participants} - {""}
        for each in self.matched:
            self.by_registrant[each.participant.identity.registrant_id].append(each)
            for user_id in {id_ for connection in each.participant.connections for id_ in connection.user_ids}:
                self.by_user[user_id].append(each)

    def match_exactly(self, row: ReportRow, identifies: Identifies) -> bool:
        """Give the row to the one participant that has an interval of exactly its times, free or of the same person, if
        the row identifies its person in this way."""
        same = [each for each in self._candidates(row) if each.has_times_of(row, timedelta())]
        if len(same) != 1 or _identifies(row, same[0].participant) != identifies:
            return False
        same[0].rows.append(row)
        same[0].taken[ConnectionEvent(row.join_at, row.user_id)] = identity_of(row)
        return True

    def match(self, row: ReportRow) -> bool:
        """Give any other row to a participant, if one matches. An interval that has its row gets no other."""
        candidates = self._candidates(row)
        whole = [each for each in candidates if each.has_times_of(row)]
        if len(whole) == 1:
            whole[0].rows.append(row)
        elif row.registrant_id and (named := self.by_registrant.get(row.registrant_id)):
            own = next((each for each in named if each in candidates), None)
            (own.rows if own else named[0].elsewhere).append(row)
        else:
            half = [each for each in candidates if each.shares_an_end_with(row)]
            if len(half) != 1 or _identifies(row, half[0].participant) == "more":
                return False
            half[0].half.append(row)
        return True

    def _candidates(self, row: ReportRow) -> list[MatchedParticipant]:
        """The participants of the row's `user_id` whose identity doesn't contradict the row's."""
        return [each for each in self.by_user.get(row.user_id, []) if self._may_be(row, each.participant)]

    def _may_be(self, row: ReportRow, participant: Participant) -> bool:
        """A registrant may have any address, unless the row has only an address, and that is another participant's."""
        known, said = participant.identity, identity_of(row)
        if "conflict" in participant.marks:
            return False
        if known.registrant_id and said.registrant_id:
            return known.registrant_id == said.registrant_id
        if not said.email or said.email == known.email:
            return True
        return said.email not in self.emails if known.registrant_id else not known.email


def _identifies(row: ReportRow, participant: Participant) -> Identifies:
    known, said = participant.identity, identity_of(row)
    if said.registrant_id:
        return "the same" if said.registrant_id == known.registrant_id else "more"
    if said.email == known.email:
        return "the same" if said.email else "nothing"
    return "more" if said.email and not (known.registrant_id or known.email) else "nothing"


@dataclass(frozen=True, slots=True)
class WebhookRecord:
    """One person in one instance by the webhooks: intervals with their source, open starts, and staff roles, since a
    report has no roles."""

    intervals: tuple[tuple[ConnectionInterval, str], ...]
    open_from: tuple[datetime, ...] = ()
    roles: tuple[StaffRole, ...] = ()

    def presence(self) -> Iterator[PresenceInterval]:
        """What counts while there is no settled report."""
        for each, source in self.intervals:
            yield _presence(each, source, each.bounds, "estimated" if each.estimated else "webhook", each.counts)


@dataclass(frozen=True, slots=True)
class Compared:
    """What counts after the comparison. `webhook` and `report` are the presence in each record, `reasons` say why they
    differ, and `settled` are the flags of the webhooks that the report has answered."""

    intervals: tuple[PresenceInterval, ...]
    webhook: tuple[Interval, ...]
    report: tuple[Interval, ...]
    reasons: frozenset[str]
    settled: frozenset[str]


def reported_presence(intervals: Sequence[ConnectionInterval], rows: Sequence[ReportRow]) -> list[Interval]:
    """The presence in the rows of one participant, without its time in the waiting room: a merged row may cover that
    time. The person may have been in the meeting on another device meanwhile. A row that begins inside a waiting time
    shows the admission, if no webhook did."""
    proven = union(each.bounds for each in intervals if each.is_proven)
    found = []
    for row in rows:
        waiting = (
            each.bounds
            for each in intervals
            if each.waiting and not (each.end_by == "estimated" and each.start + TOLERANCE < row.join_at)
        )
        found += without([row.bounds], without(union(waiting), proven))
    return union(found)


def completed(participant: Participant, rows: Sequence[ReportRow]) -> Participant:
    """The participant, completed with the times of its rows: an unknown start is known by the report, and an interval
    without an end is not open. A row counts for its own connection only."""
    if not participant.open_from and not any(map(_lacks_start, participant.intervals)):
        return participant
    histories = []
    for connection, history in zip(participant.connections, participant.histories, strict=True):
        others = {id_ for each in participant.connections if each is not connection for id_ in each.user_ids}
        reported = union(row.bounds for row in rows if row.user_id not in others)
        # The start is known if the report shows presence until the end of the interval; that the next interval begins
        # there is not enough.
        intervals = tuple(
            each._replace(start_by="report")
            if _lacks_start(each) and any(one.start + TOLERANCE < each.end <= one.end + TOLERANCE for one in reported)
            else each
            for each in history.intervals
        )
        is_open = not all(
            any(one.start - TOLERANCE <= at < one.end - TOLERANCE for one in reported) for at in history.open_from
        )
        flags = history.flags if is_open else history.flags - {"open"}
        histories.append(replace(history, intervals=intervals, flags=flags))
    return replace(participant, histories=tuple(histories))


def _lacks_start(interval: ConnectionInterval) -> bool:
    return interval.start_by == "estimated" and not interval.counts and not interval.stale


def compare(
    webhooks: WebhookRecord, rows: Sequence[ReportRow], reported: Iterable[tuple[datetime, datetime]]
) -> Compared:
    """What counts if a settled report covers the instance. `reported` is the `reported_presence` of the rows."""
    comparison = _Comparison(webhooks, rows, reported)
    intervals = [part for each, source in webhooks.intervals for part in comparison.parts_of(each, source)]
    intervals += comparison.only_reported()
    if longer(without(comparison.covered, comparison.reported), TOLERANCE):
        comparison.reasons.add(WAITED)
    return Compared(
        intervals=tuple(intervals),
        webhook=tuple(union(each.bounds for each, _ in webhooks.intervals if each.counts)),
        report=tuple(comparison.covered),
        reasons=frozenset(comparison.reasons),
        settled=frozenset(comparison.settled),
    )


class _Comparison:
    """`proven` is what the webhooks prove, `covered` all that the rows cover, `reported` the presence in the rows.
    Collects the `reasons` of differences, and the flags of the webhooks that are `settled`."""

    def __init__(
        self, webhooks: WebhookRecord, rows: Sequence[ReportRow], reported: Iterable[tuple[datetime, datetime]]
    ) -> None:
        self.webhooks = webhooks
        self.rows = rows
        self.proven = union(each.bounds for each, _ in webhooks.intervals if each.is_proven)
        self.covered = union(row.bounds for row in rows)
        self.reported = union(reported)
        self.reasons: set[str] = set()
        self.settled = {"interrupted", "unconfirmed", "stale"}

    def parts_of(self, interval: ConnectionInterval, source: str) -> Iterator[PresenceInterval]:
        """The presence in one interval of the webhooks. What no report shows of an estimate stays unconfirmed, unless
        the report shows when it began."""
        whole = interval.bounds
        if interval.waiting:
            yield _presence(interval, source, whole, "webhook", counts=False)
        elif interval.is_proven:
            alone = longer(without([whole], self.reported), TOLERANCE)
            if alone:
                self.reasons.add(REPORT_LACKS)
            for part in alone:
                yield _presence(interval, source, part, "webhook")
            for part in without([whole], alone):
                grades = self._grade(part.start, "join_at"), self._grade(part.end, "leave_at")
                yield _presence(interval, source, part, "both", grades=grades)
        elif interval.start_by != "report":
            left = longer(without([whole], union([*self.reported, *self.proven])), TOLERANCE)
            if left:
                self.reasons.add(UNCONFIRMED)
                if interval.stale:
                    self.settled.discard("stale")
            for part in left:
                yield _presence(interval, source, part, "estimated", counts=False)

    def only_reported(self) -> Iterator[PresenceInterval]:
        """The presence that webhooks don't prove."""
        proven_times = {at for each in self.proven for at in each}
        intervals = [each for each, _ in self.webhooks.intervals]
        doubts = [each.bounds for each in intervals if not each.is_proven and not each.waiting]
        if self.covered:
            last = self.covered[-1].end
            doubts += [Interval(at, last) for at in self.webhooks.open_from if at < last]
        for part in without(self.reported, self.proven):
            if part.end - part.start > TOLERANCE:
                is_new = longer(without([part], union(doubts)), TOLERANCE)
                self.reasons.add(WEBHOOKS_LACK if is_new else COMPLETED)
            elif not proven_times.isdisjoint(part):
                continue  # rounding
            ran = [(shared, each.role) for each in self.webhooks.roles for shared in common([part], [each[:2]])]
            for start, end in without([part], union(shared for shared, _ in ran)):
                yield PresenceInterval(start, end, "report", True, "report")
            for (start, end), role in ran:
                yield PresenceInterval(start, end, "report", True, "report", role=role)

    def _grade(self, at: datetime, end: Literal["join_at", "leave_at"]) -> Evidence:
        return "both" if _is_near(at, (getattr(row, end) for row in self.rows)) else "webhook"


def _presence(
    interval: ConnectionInterval,
    source: str,
    part: tuple[datetime, datetime],
    evidence: Evidence,
    counts: bool = True,
    grades: tuple[Evidence, Evidence] | None = None,
) -> PresenceInterval:
    """A part of an interval; an end that both share keeps its grade."""
    start, end = part
    start_by = interval.start_by if start == interval.start else evidence
    end_by = interval.end_by if end == interval.end else evidence
    return PresenceInterval(
        from_at=start,
        to_at=end,
        evidence=evidence,
        counts=counts,
        source=WAITING_ROOM if interval.waiting else source,
        from_evidence=grades[0] if grades else start_by,
        to_evidence=grades[1] if grades else end_by,
        role=interval.role if counts else "",
    )


def with_reported_rooms(rooms: Iterable[RoomInterval], rows: Iterable[ReportRow]) -> tuple[RoomInterval, ...]:
    """These rooms, and those of the report at times when no event named a room. The report has other room ids."""
    found = set(rooms)
    for row in rows:
        named = union((each.from_at, each.to_at) for each in found if each.room)
        if row.room and not common([row.bounds], named):
            found = {each for each in found if each.room or each.from_at >= row.leave_at or row.join_at >= each.to_at}
            found.add(RoomInterval(*row.bounds, row.room))
    return tuple(sorted(found, key=room_order))
