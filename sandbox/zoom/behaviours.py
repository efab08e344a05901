"""What people do on a training day, in minutes after its beginning. Everybody here is a pattern, nobody a person."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Visit:
    """One connection from `starts` to `ends`, in seconds after the beginning (negative: before it).

    `moves` are the seconds at which it changes room; `waits` is how long it first stood in the waiting room;
    `phone` marks a dial-in, which Zoom cannot name.
    """

    starts: int
    ends: int
    moves: tuple[int, ...] = ()
    waits: int = 0
    phone: bool = False


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A pattern of a 9–5 day. `registers` false: joins as a guest; `alias` true: signs in with another address."""

    says: str
    visits: tuple[Visit, ...]
    registers: bool = True
    alias: bool = False


def _visit(starts: float, ends: float, *moves: float, waits: float = 0, phone: bool = False) -> Visit:
    return Visit(int(starts * 60), int(ends * 60), tuple(int(move * 60) for move in moves), int(waits * 60), phone)


# In and out of three rounds of small groups.
ROUNDS = (40, 65.5, 130, 155.25, 270, 300)

BEHAVIOURS: dict[str, Behaviour] = {
    "all_day": Behaviour("is there from before the start to after the end", (_visit(-8, 482, 40, 65.5),)),
    "breakouts": Behaviour("is there all day, in and out of breakout rooms", (_visit(-5, 480, *ROUNDS),)),
    "away_for_lunch": Behaviour("closes Zoom during lunch", (_visit(-6, 182, 40, 65.5), _visit(238, 481, 270, 300))),
    "leaves_at_lunch": Behaviour("leaves at lunch and does not come back", (_visit(-4, 181, 40, 65.5),)),
    "late": Behaviour("arrives forty minutes late", (_visit(40, 480, 65.5),)),
    "two_devices": Behaviour(
        "is there on a laptop all day and on a second device for most of it",
        (_visit(-7, 481, *ROUNDS), _visit(12, 455)),
    ),
    "reconnects": Behaviour(
        "loses the connection five times",
        (
            _visit(-3, 50.25, 40),
            _visit(49.0, 95),
            _visit(96.5, 170, 130),
            _visit(172, 250),
            _visit(250.5, 333, 270),
            _visit(334.2, 480),
        ),
    ),
    "waiting_room": Behaviour("stands in the waiting room for the first half hour", (_visit(30, 480, 65.5, waits=32),)),
    "other_address": Behaviour(
        "is there all day, signed in to Zoom with another address", (_visit(-2, 480),), registers=False, alias=True
    ),
    "guest": Behaviour("is there all day, known to nobody", (_visit(-2, 479),), registers=False),
    "phone": Behaviour("dials in by telephone", (_visit(1, 478, phone=True),), registers=False),
    "no_show": Behaviour("does not come", ()),
}


def pattern(behaviour: str, length: int) -> tuple[Visit, ...]:
    """The visits of a pattern on a day of `length` seconds; a shorter day cuts them off. Raises KeyError for a pattern
    that does not exist."""
    latest = length + 120
    return tuple(
        Visit(
            each.starts,
            min(each.ends, latest),
            tuple(move for move in each.moves if move < latest),
            each.waits,
            each.phone,
        )
        for each in BEHAVIOURS[behaviour].visits
        if each.starts < latest
    )
