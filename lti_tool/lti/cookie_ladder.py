"""PURE. The cookie ladder: how a launch is known to come back to the browser that began its login (facts: lti.md §12).

Three rungs, best first: the login's partitioned cookie; a value that the platform keeps for us in its own page, if it
offered that at the login; the same login once more in a new tab, where cookies are first-party. Which rung a launch
stands on, and what comes next, is decided here and nowhere else.
"""

from enum import Enum


class Cookie(Enum):
    """What came back of the cookie that the login set."""

    RIGHT = "right"
    WRONG = "wrong"
    ABSENT = "absent"


class Stored(Enum):
    """What the platform's storage gave back: nobody has asked yet, it gave nothing (no answer in time, an error, no
    value), a value that is not ours, or the very value that the login left there."""

    UNASKED = "unasked"
    SILENT = "silent"
    WRONG = "wrong"
    RIGHT = "right"


class Step(Enum):
    """What happens to the launch."""

    ENTER = "enter with a session cookie"
    ENTER_WITHOUT_COOKIES = "enter; the session stays in the page's script"
    ASK_PLATFORM = "ask the platform's storage"
    OFFER_TAB = "offer a new tab: no cookies, no storage"
    OFFER_TAB_SILENT = "offer a new tab: the storage gave nothing"
    REFUSE_STORED = "refuse: the storage gave another value; offer a new tab"
    REFUSE_FOREIGN = "refuse: another browser began this, or it was used already"


# The second rung, for a browser that sends no cookie of ours to a platform that offered its storage.
_BY_STORAGE = {
    Stored.UNASKED: Step.ASK_PLATFORM,
    Stored.SILENT: Step.OFFER_TAB_SILENT,
    Stored.WRONG: Step.REFUSE_STORED,
    Stored.RIGHT: Step.ENTER_WITHOUT_COOKIES,
}


def next_step(cookie: Cookie, *, others: bool, offered: bool, stored: Stored) -> Step:
    """The step of a launch. `others`: the browser sends other cookies of ours, so it does keep cookies here.
    `offered`: the platform offered its storage at the login, as our own signed state says."""
    if cookie is Cookie.RIGHT:
        return Step.ENTER
    if cookie is Cookie.WRONG or others:
        return Step.REFUSE_FOREIGN
    # What is said to come from a storage that nobody offered counts for nothing.
    return _BY_STORAGE[stored] if offered else Step.OFFER_TAB
