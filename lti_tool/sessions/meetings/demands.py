"""What a credit class asks of the settings of its Zoom meeting (pure; zoom.md §8)."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

# The settings of a meeting that are looked at, as Zoom names them.
LOOKED_AT = (
    "allow_multiple_devices",
    "approval_type",
    "audio",
    "join_before_host",
    "registration_type",
    "waiting_room",
)
AUTOMATIC, BY_HAND = 0, 1
ONCE_FOR_ALL = 1
NO_PHONE = "voip"


class Demand(NamedTuple):
    """One setting: what is asked, whether it is met (None: Zoom does not tell, look yourself), and why it matters or
    what to do."""

    asks: str
    met: bool | None
    says: str


def demands(kind: str, found: Mapping[str, Any], *, is_series: bool, phone_counts: bool) -> list[Demand]:
    """Each demand on the meeting or webinar of a class; `found` are its settings as Zoom gave them. `is_series`: it
    holds several classes. `phone_counts`: some credit body takes people who only phoned in."""
    return [
        _registration(found.get("approval_type")),
        *([_once(found.get("registration_type"))] if is_series else []),
        _off(found, "allow_multiple_devices", "One device a person", "Two devices at once look like two people."),
        _off(found, "join_before_host", "Nobody joins before the host", "Time before the class counts for nobody."),
        *_phone(found.get("audio"), phone_counts),
        _kind(kind),
        Demand("Waiting room", True, "On or off, as you like: time in it counts for nobody."),
        Demand("Anonymous polls off", None, "Zoom does not tell. An anonymous answer is nobody's; look at your polls."),
    ]


def _registration(approval: object) -> Demand:
    asks = "Registration with automatic approval"
    if approval == AUTOMATIC:
        return Demand(asks, True, "Everybody has a link of their own, so Zoom says who is who.")
    if approval == BY_HAND:
        return Demand(
            asks, False, "Approval is by hand. Choose automatic approval: the gate decides who is registered."
        )
    return Demand(asks, False, "Registration is off, so people are known by their e-mail address only. Switch it on.")


def _once(registration: object) -> Demand:
    says = "People register once and attend any class of the series, with one link."
    if registration == ONCE_FOR_ALL:
        return Demand("One registration for the whole series", True, says)
    return Demand("One registration for the whole series", False, f"Choose: {says[0].lower()}{says[1:]}")


def _off(found: Mapping[str, Any], name: str, asks: str, why: str) -> Demand:
    is_off = found.get(name) is False
    return Demand(asks, is_off, why if is_off else f"Switch it off at Zoom ({name.replace('_', ' ')}). {why}")


def _phone(audio: object, phone_counts: bool) -> Iterator[Demand]:
    if not phone_counts:
        is_off = audio == NO_PHONE
        says = "No credit body here takes people who only phoned in."
        yield Demand("Computer audio only", is_off, says if is_off else f"Switch telephone audio off. {says}")


def _kind(kind: str) -> Demand:
    if kind == "meeting":
        return Demand("A meeting, not a webinar", True, "Zoom tells of breakout rooms in meetings.")
    return Demand(
        "A meeting, not a webinar", None, "A webinar is fine without breakout rooms; of those Zoom tells nothing."
    )
