"""What people do on a training day, in minutes after its beginning. Everybody here is a pattern, nobody a person."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Pause:
    """Out of the meeting from `starts` to `ends` while the connection keeps its id: put back in the waiting room
    (`waits`), or a short drop. Nobody knows whether Zoom sends a LEFT to the waiting room as well: `tells` decides."""

    starts: int
    ends: int
    waits: bool = False
    tells: bool = True


@dataclass(frozen=True, slots=True)
class Visit:
    """One connection from `starts` to `ends`, in seconds after the beginning (negative: before it).

    `moves` are the seconds at which it changes room, `unseen` those at which it does so without any notice (rooms that
    the host or the timer closes); `waits` is how long it first stood in the waiting room. `phone` marks a dial-in,
    which Zoom cannot name, unless it is bound to another visit of the same person (`bound_to`, its number). `roles` are
    changes of role, each with its second.
    """

    starts: int
    ends: int
    moves: tuple[int, ...] = ()
    waits: int = 0
    phone: bool = False
    unseen: tuple[int, ...] = ()
    pauses: tuple[Pause, ...] = ()
    bound_to: int | None = None
    roles: tuple[tuple[int, str], ...] = ()


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
    "put_back": Behaviour(
        "is put back in the waiting room for four minutes",
        (Visit(-300, 28_800, (2400, 3930), pauses=(Pause(9000, 9240, waits=True),)),),
    ),
    "rooms_closed": Behaviour(
        "is there all day; the host closes the small groups and Zoom tells nothing of it",
        (Visit(-240, 28_860, (2400, 7800), unseen=(3930, 9315)),),
    ),
    "bound_phone": Behaviour(
        "listens by telephone, bound to the computer, which drops out in the afternoon",
        (_visit(-5, 300, 40, 65.5), Visit(60, 28_740, phone=True, bound_to=0)),
    ),
    "other_address": Behaviour(
        "is there all day, signed in to Zoom with another address", (_visit(-2, 480),), registers=False, alias=True
    ),
    "guest": Behaviour("is there all day, known to nobody", (_visit(-2, 479),), registers=False),
    "phone": Behaviour("dials in by telephone", (_visit(1, 478, phone=True),), registers=False),
    "stepped_out": Behaviour(
        "goes away after an hour and a half and comes back before lunch",
        (_visit(-5, 92, 40, 65.5), _visit(171, 481, 270, 300)),
    ),
    "very_late": Behaviour(
        "comes nearly two hours late and then stands in the waiting room", (_visit(145, 480, waits=37),)
    ),
    "no_show": Behaviour("does not come", ()),
}


def pattern(behaviour: str, length: int) -> tuple[Visit, ...]:
    """The visits of a pattern on a day of `length` seconds; a shorter day cuts them off. Raises KeyError for a pattern
    that does not exist."""
    latest = length + 120
    return tuple(_until(latest, each) for each in BEHAVIOURS[behaviour].visits if each.starts < latest)


def _until(latest: int, visit: Visit) -> Visit:
    return replace(
        visit,
        ends=min(visit.ends, latest),
        moves=tuple(move for move in visit.moves if move < latest),
        unseen=tuple(move for move in visit.unseen if move < latest),
        pauses=tuple(pause for pause in visit.pauses if pause.ends < latest),
        roles=tuple(role for role in visit.roles if role[0] < latest),
    )
