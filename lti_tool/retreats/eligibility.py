"""Who may apply for a retreat: the same gate as everywhere, asked for the first day of one of its dates."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from lti_tool.errors import Conflict, NotFound
from lti_tool.gates.decide import ask
from lti_tool.gates.decision import Decision
from lti_tool.programme.catalogue import Retreat, RetreatDate
from lti_tool.programme.model import UNSET, Programme
from lti_tool.programme.versions import Published
from lti_tool.times import day_of


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Whether one trainee may apply for one date of a retreat. `is_offered` is false while applications are closed for
    everyone; `place` is None while no date is announced."""

    retreat: Retreat
    place: RetreatDate | None
    decision: Decision
    is_offered: bool

    @property
    def may_apply(self) -> bool:
        """True if the gate is open, or pending only on a decision (retreats.md H4.6)."""
        return self.is_offered and self.place is not None and (self.decision.open or self.decision.is_pending)


def eligibility(
    connection: Connection,
    published: Published,
    trainee_id: int,
    retreat_id: str,
    at: datetime,
    *,
    starts_on: date | None = None,
) -> Eligibility:
    """Whether this trainee may apply for `starts_on`; by default for the next date, or the last if all are past.

    Raises NotFound "retreat_unknown" or "retreat_date_unknown".
    """
    programme = published.programme
    retreat = retreat_of(programme, retreat_id)
    place = date_of(retreat, starts_on) if starts_on else next_date(retreat, day_of(at, programme.zone))
    start = place.starts_on if place else None
    decision = ask(connection, published, trainee_id, retreat_id, at, offering_start=start)
    return Eligibility(retreat, place, decision, is_offered(programme, retreat_id))


def retreat_of(programme: Programme, retreat_id: str) -> Retreat:
    """Raises NotFound "retreat_unknown"."""
    retreat = programme.retreats.get(retreat_id)
    if retreat is None:
        raise NotFound("retreat_unknown", "The programme has no such retreat.", "See the list of retreats.")
    return retreat


def shown_dates(retreat: Retreat) -> tuple[RetreatDate, ...]:
    """The dates that are certain, in order; others are never shown (programme.yaml C22)."""
    certain = (each for each in retreat.dates if each.confidence in ("printed", "confirmed"))
    return tuple(sorted(certain, key=lambda each: each.starts_on))


def date_of(retreat: Retreat, starts_on: date) -> RetreatDate:
    """Raises NotFound "retreat_date_unknown"."""
    for each in shown_dates(retreat):
        if each.starts_on == starts_on:
            return each
    raise NotFound("retreat_date_unknown", "The retreat has no date that starts on this day.", "Choose a listed date.")


def next_date(retreat: Retreat, today: date) -> RetreatDate | None:
    """The next date that has not begun, else the last one; None if no date is announced."""
    dates = shown_dates(retreat)
    return next((each for each in dates if each.starts_on >= today), dates[-1] if dates else None)


def is_offered(programme: Programme, retreat_id: str) -> bool:
    """Whether applications are open at all: the retreat is published and its gate is decided."""
    gate = programme.gates.get(retreat_id)
    return programme.is_published(retreat_id) and gate is not None and gate.mode != UNSET


def verify_offered(programme: Programme, retreat_id: str) -> None:
    """Raises Conflict "retreat_not_offered"."""
    if not is_offered(programme, retreat_id):
        raise Conflict(
            "retreat_not_offered",
            "This retreat cannot be applied for: its requirements are not decided yet.",
            "Write to the training team if you would like to hear when they are.",
        )
