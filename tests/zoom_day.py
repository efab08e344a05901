"""Days on Zoom for tests: the generator of the sandbox, and hypothesis strategies over it."""

from collections.abc import Iterable
from datetime import UTC, datetime

from hypothesis import strategies as st

from sandbox.zoom.behaviours import BEHAVIOURS, Visit
from sandbox.zoom.training_day import Attendee, Span, TrainingDay, registrant_id

MEETING = "86400001234"
OPENS = datetime(2026, 12, 1, 17, 0, tzinfo=UTC)
CLOSES = datetime(2026, 12, 2, 1, 0, tzinfo=UTC)
NAMES = ("Ada Lindholm", "Élodie Moreau", "Bo Nwosu", "佐藤 ゆき", "Sam O’Hara", "Ada Lindholm")


def seconds(spans: Iterable[Span]) -> int:
    return sum(int((end - start).total_seconds()) for start, end in spans)


def people_of(*behaviours: str, meeting: str = MEETING) -> tuple[Attendee, ...]:
    """One registered person for each behaviour, addressed by it: `late` is `late@example.org`."""
    return tuple(
        Attendee(f"Person {name}", f"{name}@example.org", registrant_id(meeting, f"{name}@example.org"), name)
        for name in behaviours
    )


def whole_day(*attendees: Attendee, meeting: str = MEETING, seed: int = 0) -> TrainingDay:
    """A day from 9:00 to 17:00 in Pacific time."""
    return TrainingDay(meeting, OPENS, CLOSES, attendees, seed=seed)


@st.composite
def visits(draw: st.DrawFn) -> Visit:
    starts = draw(st.integers(-600, 28_000))
    ends = starts + draw(st.integers(1, 9000))
    moves = draw(st.lists(st.integers(starts, ends), max_size=4))
    return Visit(starts, ends, tuple(moves))


@st.composite
def attendees(draw: st.DrawFn, number: int) -> Attendee:
    """Somebody with a registrant id, with an e-mail only, or with neither; with a pattern or visits of any kind."""
    email = draw(st.sampled_from([f"person{number}@example.org", ""]))
    registrant = draw(st.sampled_from([f"rg-{number:04}", ""]))
    name = draw(st.sampled_from(NAMES))
    behaviour = draw(st.sampled_from(sorted(BEHAVIOURS)))
    own = draw(st.none() | st.lists(visits(), max_size=4).map(tuple))
    return Attendee(name, email, registrant, behaviour, own)


@st.composite
def training_days(draw: st.DrawFn) -> TrainingDay:
    """A day of up to five people, its deliveries complete."""
    count = draw(st.integers(1, 5))
    cast = tuple(draw(attendees(number)) for number in range(count))
    return whole_day(*cast, seed=draw(st.integers(0, 1000)))
