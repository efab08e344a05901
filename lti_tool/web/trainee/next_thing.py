"""The one thing to do next, which the home page shows on top. PURE."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from lti_tool.attendance.live_sessions import LiveSession
    from lti_tool.web.trainee.progress import ModuleProgress

Kind = Literal[
    "in_class",
    "today",
    "question",
    "soon",
    "later",
    "announced",
    "waiting",
    "no_date",
    "locked",
    "done",
    "nothing",
]
# A class that begins within this time is joined; an earlier reader adds it to the calendar, or looks at the dates.
JOINED_WITHIN, NOTED_WITHIN = timedelta(hours=12), timedelta(days=21)


class Request(Protocol):
    """A request for an equivalency, as far as it matters here."""

    target: str
    state: str


@dataclass(frozen=True, slots=True)
class NextThing:
    """What to do next, and what it is about: a module, one of its sessions or announced dates, or a request."""

    kind: Kind
    module: "ModuleProgress | None" = None
    session: "LiveSession | None" = None
    day: date | None = None
    request: Request | None = None


def next_thing(
    modules: Sequence["ModuleProgress"], requests: Sequence[Request], now: datetime, attending: Collection[int] = ()
) -> NextThing:
    """The most pressing thing for this trainee. `attending` are the running sessions that the trainee is recorded in: a
    class that repeats a completed module matters only to those who are in it.

    A class for which training elsewhere may stand waits for that answer: the trainee need not take it.
    """
    return next(_in_order(modules, requests, now, attending))


def _in_order(
    modules: Sequence["ModuleProgress"], requests: Sequence[Request], now: datetime, attending: Collection[int]
) -> Iterator[NextThing]:
    to_take = [each for each in modules if each.to_take]
    waiting = {each.target: each for each in requests if each.state == "submitted"}
    classes = sorted(
        ((session, each) for each in modules if each.is_open for session in each.sessions),
        key=lambda pair: (pair[0].starts_at, pair[0].id),
    )
    for session, module in classes:
        if session.starts_at <= now and (module.to_take or session.id in attending):
            yield NextThing("in_class", module, session)
    ahead = [(session, module) for session, module in classes if module.to_take and now < session.starts_at]
    for session, module in ahead:
        if session.starts_at - now <= JOINED_WITHIN:
            yield NextThing("today", module, session)
    for request in requests:
        if request.state == "more_info":
            yield NextThing("question", request=request)
    scheduled = [
        (session.held_on, NextThing("soon" if session.starts_at - now <= NOTED_WITHIN else "later", module, session))
        for session, module in ahead
    ]
    dated = [
        (each.dates[0].date or date.max, NextThing("announced", each, day=each.dates[0].date))
        for each in to_take
        if each.dates
    ]
    for _, thing in sorted([*scheduled, *dated], key=lambda pair: pair[0]):
        if thing.module and thing.module.module.id not in waiting:
            yield thing
    for request in waiting.values():
        yield NextThing("waiting", request=request)
    for module in to_take:
        yield NextThing("no_date", module)
    for module in modules:
        if module.is_needed:
            yield NextThing("locked", module)
    yield NextThing("done" if modules else "nothing")
