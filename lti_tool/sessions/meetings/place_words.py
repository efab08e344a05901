"""How a place in a Zoom meeting is said to people (pure): a word for its state, a sentence for what is in its way."""

from typing import NamedTuple, Protocol


class Standing(NamedTuple):
    """A sign, a word, and what it means or what staff can do; `can_try` where trying again may help."""

    kind: str
    word: str
    says: str
    can_try: bool = False


class Place(Protocol):
    """What is looked at (sessions.places.Place)."""

    @property
    def wanted(self) -> bool: ...
    @property
    def state(self) -> str: ...
    @property
    def last_code(self) -> str | None: ...


# Why Zoom did not do it, and what staff can do.
REASONS = {
    "no_answer": "Zoom did not answer. It is tried again by itself.",
    "zoom_unavailable": "Zoom has trouble of its own. It is tried again by itself.",
    "zoom_answer_unreadable": "Zoom's answer could not be read. It is tried again by itself.",
    "zoom_rate_limited": "Zoom takes no more calls of this account at the moment. It goes on by itself.",
    "zoom_daily_limit": "Zoom's limit of calls for today is used up. It goes on by itself after midnight UTC.",
    "zoom_registrant_limit": "Zoom takes no more changes of this registration today. It goes on after midnight UTC.",
    "zoom_adds_used": "Zoom allows three registrations of a person a day. It goes on by itself after midnight UTC.",
    "zoom_changes_used": "Zoom allows ten changes of a registration a day. It goes on by itself after midnight UTC.",
    "zoom_scope_missing": "The Zoom app lacks a scope; `gatehouse zoom verify` names it. Add it and try again.",
    "zoom_not_permitted": "Zoom does not allow it: check that the meeting is this account's and its host is licensed.",
    "zoom_token_refused": "Zoom does not accept the credentials of the app. Check them in the settings.",
    "zoom_not_found": "Zoom does not know this meeting, or registration is off for it. Check the session's number, and "
    "the meeting's settings at Zoom.",
    "zoom_registrants_full": "The meeting has as many registrants as Zoom allows. Cancel places that nobody needs, or "
    "hold the class in a second meeting.",
    "zoom_host_cannot_register": "Zoom does not register the host or an alternative host. Nothing is to be done: they "
    "join with their own Zoom account.",
    "zoom_request_invalid": "Zoom does not take the person's name or address. Check the address on the platform.",
    "address_shared": "Several people here have this address, and Zoom would take them for one. Give each an own "
    "address on the platform.",
    "registrant_of_another": "Zoom's registration under this address belongs to somebody else here. Look at the links "
    "and the addresses of both.",
}
SOON = "It takes a few seconds."
OTHERWISE = "Zoom refused it for a reason of its own. It is tried again by itself."
NO_ADDRESS = (
    "We know no e-mail address of this person, and Zoom registers nobody without. It can come from the platform."
)


def standing(place: Place, email: str | None) -> Standing:
    """How a place stands, for staff."""
    if place.state == "refused":
        return Standing("shut", "Refused", reason(place.last_code), can_try=True)
    if not place.wanted:
        return _unwanted(place)
    if place.state == "registered":
        return Standing("open", "Registered", "Joins by a link of the own.")
    if not email:
        return Standing("shut", "No address", NO_ADDRESS)
    if place.last_code is None:
        return Standing("wait", "Being registered", SOON)
    return Standing("wait", "Not registered yet", reason(place.last_code), can_try=True)


def _unwanted(place: Place) -> Standing:
    if place.state in ("registered", "pending"):
        stuck = place.last_code is not None
        return Standing("wait", "Being cancelled", reason(place.last_code) if stuck else SOON, can_try=stuck)
    return Standing("note", "No place", "The gate is shut, the person left the course, or the class is off.")


def reason(code: str | None) -> str:
    """What a code means; a plain sentence for one that is not known."""
    return REASONS.get(code or "", OTHERWISE)
