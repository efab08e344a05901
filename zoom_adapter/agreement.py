"""Webhooks and report of one person in one instance side by side: what counts, by which evidence, where they differ.

PURE. Neither side silently wins (zoom.md §6). What webhooks prove counts, and is of `both` where the report agrees;
what only the report shows counts as `report`; what was only estimated counts where the report confirms it and is
unconfirmed elsewhere. The unions of the two records are compared, since a report may merge or split rows; differences
of up to two seconds are rounding.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lti_tool.sessions.evidence import WAITING_ROOM, Evidence, PresenceInterval
from zoom_adapter.legs import Leg
from zoom_adapter.report_rows import ReportRow
from zoom_adapter.roles import RoleSpan
from zoom_adapter.row_matches import TOLERANCE
from zoom_adapter.segments import Stay, Stays
from zoom_adapter.spans import Span, common, longer, union, without

# Why the two records differ. The first two contradict each other; the others leave an estimate unconfirmed, or fill it.
REPORT_LACKS = "report_lacks"
WEBHOOKS_LACK = "webhooks_lack"
UNCONFIRMED = "estimate_unconfirmed"
COMPLETED = "completed_by_report"
WAITED = "waiting_room_in_report"
# Somebody with this address was in a breakout room, and nothing else says that it was this person.
ROOM_UNCLEAR = "room_unclear_in_report"


@dataclass(frozen=True, slots=True)
class Seen:
    """One person in one instance by the webhooks. `source` names the appearance of each stay; `roles` are the staff
    roles of its connections while they lasted, for a report tells none."""

    stays: tuple[tuple[Stay, str], ...]
    open_from: tuple[datetime, ...] = ()
    roles: tuple[RoleSpan, ...] = ()


@dataclass(frozen=True, slots=True)
class Agreed:
    """What counts after the comparison; `settled` are the flags of the webhooks that the report has answered."""

    intervals: tuple[PresenceInterval, ...]
    webhook: tuple[Span, ...]
    report: tuple[Span, ...]
    reasons: frozenset[str]
    settled: frozenset[str]


def by_webhooks(seen: Seen) -> Iterator[PresenceInterval]:
    """What counts while there is no settled report."""
    for stay, source in seen.stays:
        evidence: Evidence = "estimated" if stay.estimated else "webhook"
        yield _interval(stay, source, (stay.start, stay.end), evidence, counts=stay.counts)


def compare(seen: Seen, rows: Sequence[ReportRow], reported: Iterable[Span]) -> Agreed:
    """What counts where a settled report covers the instance. `reported` is what of the rows is presence, see
    `presence_in`."""
    return _Comparison(seen, rows, reported).agreed()


def presence_in(stays: Sequence[Stay], rows: Sequence[ReportRow]) -> list[Span]:
    """What the rows of one appearance tell, without the time for which it stood in the waiting room: a row may be
    merged across that, but where no webhook told of the admission, a row that begins there does. On another device the
    same person may have been in the meeting meanwhile."""
    proven = union((stay.start, stay.end) for stay in stays if stay.is_proven)
    told = []
    for row in rows:
        waiting = (stay for stay in stays if stay.waiting and not _is_admission(row, stay))
        outside = without(union((stay.start, stay.end) for stay in waiting), proven)
        told += without([(row.join_at, row.leave_at)], outside)
    return union(told)


def _is_admission(row: ReportRow, waiting: Stay) -> bool:
    return waiting.end_by == "estimated" and waiting.start + TOLERANCE < row.join_at


def completed(leg: Leg, rows: Sequence[ReportRow]) -> Leg:
    """The appearance, with what its rows say of edges that no webhook told: a start nobody knew is known by the report,
    and what had no end is not open. A row speaks for its own connection only."""
    if not leg.open_from and not any(map(_lacks_start, leg.stays)):
        return leg
    told = []
    for connection, stays in zip(leg.connections, leg.told, strict=True):
        others = {user_id for each in leg.connections if each is not connection for user_id in each.user_ids}
        spans = union((row.join_at, row.leave_at) for row in rows if row.user_id not in others)
        told.append(_completed(stays, spans))
    return replace(leg, told=tuple(told))


def _completed(told: Stays, spans: Sequence[Span]) -> Stays:
    stays = (stay._replace(start_by="report") if _is_started(stay, spans) else stay for stay in told.stays)
    is_open = any(not _tells_after(at, spans) for at in told.open_from)
    return replace(told, stays=tuple(stays), flags=told.flags if is_open else told.flags - {"open"})


def _is_started(stay: Stay, spans: Sequence[Span]) -> bool:
    """Whether its start is unknown, and the report shows presence until its end: that the next stay begins there is not
    enough."""
    return _lacks_start(stay) and any(start + TOLERANCE < stay.end <= end + TOLERANCE for start, end in spans)


def _lacks_start(stay: Stay) -> bool:
    return stay.start_by == "estimated" and not stay.counts and not stay.stale


def _tells_after(joined: datetime, spans: Sequence[Span]) -> bool:
    return any(start - TOLERANCE <= joined < end - TOLERANCE for start, end in spans)


class _Comparison:
    def __init__(self, seen: Seen, rows: Sequence[ReportRow], reported: Iterable[Span]) -> None:
        self.seen = seen
        self.proven = union((stay.start, stay.end) for stay, _ in seen.stays if stay.is_proven)
        self.rows = rows
        self.told = union((row.join_at, row.leave_at) for row in rows)
        self.reported = union(reported)
        self.reasons: set[str] = set()
        self.open_flags: set[str] = set()

    def agreed(self) -> Agreed:
        intervals = [each for stay, source in self.seen.stays for each in self._of_stay(stay, source)]
        intervals += self._only_reported()
        if longer(without(self.told, self.reported), TOLERANCE):
            self.reasons.add(WAITED)
        counted = union((stay.start, stay.end) for stay, _ in self.seen.stays if stay.counts)
        return Agreed(
            intervals=tuple(intervals),
            webhook=tuple(counted),
            report=tuple(self.told),
            reasons=frozenset(self.reasons),
            settled=frozenset({"estimated", "interrupted", "unconfirmed", "stale"} - self.open_flags),
        )

    def _of_stay(self, stay: Stay, source: str) -> Iterator[PresenceInterval]:
        if stay.waiting:
            yield _interval(stay, source, (stay.start, stay.end), "webhook", counts=False)
        elif stay.is_proven:
            yield from self._proven(stay, source)
        else:
            yield from self._doubtful(stay, source)

    def _proven(self, stay: Stay, source: str) -> Iterator[PresenceInterval]:
        span = (stay.start, stay.end)
        alone = longer(without([span], self.reported), TOLERANCE)
        if alone:
            self.reasons.add(REPORT_LACKS)
        for each in alone:
            yield _interval(stay, source, each, "webhook")
        for each in without([span], alone):
            yield _interval(stay, source, each, "both", self._grade(each[0], "join"), self._grade(each[1], "leave"))

    def _doubtful(self, stay: Stay, source: str) -> Iterator[PresenceInterval]:
        """What no report shows of it stays in doubt, unless the start is known by that."""
        if stay.start_by == "report":
            return
        left = longer(without([(stay.start, stay.end)], union([*self.reported, *self.proven])), TOLERANCE)
        if left:
            self.reasons.add(UNCONFIRMED)
            self.open_flags |= {"stale"} if stay.stale else {"unconfirmed"}
        for each in left:
            yield _interval(stay, source, each, "estimated", counts=False)

    def _only_reported(self) -> Iterator[PresenceInterval]:
        borders = {at for span in self.proven for at in span}
        doubts = [(stay.start, stay.end) for stay, _ in self.seen.stays if not stay.is_proven and not stay.waiting]
        doubts += [(at, self.told[-1][1]) for at in self.seen.open_from if self.told and at < self.told[-1][1]]
        for start, end in without(self.reported, self.proven):
            rounding = end - start <= TOLERANCE
            if rounding and (start in borders or end in borders):
                continue
            if not rounding:
                known = without([(start, end)], union(doubts))
                self.reasons.add(WEBHOOKS_LACK if longer(known, TOLERANCE) else COMPLETED)
            yield from self._reported(start, end)

    def _reported(self, start: datetime, end: datetime) -> Iterator[PresenceInterval]:
        ran = [(span, each.role) for each in self.seen.roles for span in common([(start, end)], [each[:2]])]
        for span in without([(start, end)], union(span for span, _ in ran)):
            yield PresenceInterval(*span, "report", True, "report")
        for span, role in ran:
            yield PresenceInterval(*span, "report", True, "report", role=role)

    def _grade(self, at: datetime, edge: str) -> Evidence:
        told = (row.join_at if edge == "join" else row.leave_at for row in self.rows)
        return "both" if any(abs(each - at) <= TOLERANCE for each in told) else "webhook"


def _interval(
    stay: Stay,
    source: str,
    span: Span,
    evidence: Evidence,
    start_by: Evidence | None = None,
    end_by: Evidence | None = None,
    *,
    counts: bool = True,
) -> PresenceInterval:
    """A part of a stay; the edges that it shares with the stay keep their grade."""
    return PresenceInterval(
        from_at=span[0],
        to_at=span[1],
        evidence=evidence,
        counts=counts,
        source=WAITING_ROOM if stay.waiting else source,
        from_evidence=start_by or (stay.start_by if span[0] == stay.start else evidence),
        to_evidence=end_by or (stay.end_by if span[1] == stay.end else evidence),
        role=stay.role if counts else "",
    )
