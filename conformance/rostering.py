"""The tests of Names and Roles: after a launch that names the service, the tool reads the roster by its own road."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta

from sqlalchemy import select

from conformance.launching import Launched, opened
from conformance.messages import ROSTER_SCOPE
from conformance.parties import Heard, Platform
from conformance.results import Finding
from conformance.services import ROSTER_TYPE
from conformance.tool import Tool
from lti_tool.lti.claims import NRPS
from lti_tool.rosters import schedule
from lti_tool.rosters.reading import RosterReader
from lti_tool.rosters.schedule import CourseKey
from lti_tool.tables.courses import placements, roster_members

DAILY = timedelta(days=1)


def find(number: int, tool: Tool, platform: Platform, launched: Launched) -> Iterator[Finding]:
    """What must hold in the roster test of this number."""
    yield from opened("teacher", launched)
    url = launched.answer.claims[NRPS]["context_memberships_url"]
    course = _course_of(tool, url)
    yield Finding("The roster's address is read from the message", course is not None, url)
    if course is not None and number in LOOKS:
        before = len(platform.heard())
        read(tool, course)
        yield from LOOKS[number](tool, platform, platform.heard()[before:])


def read(tool: Tool, course: CourseKey) -> None:
    """Read this course's roster now, as the worker does."""
    context = tool.context
    schedule.plan(context.database, context.clock())
    with context.database.write() as connection:
        schedule.ask_now(connection, course, context.clock())
    RosterReader(context.database, context.platform_api, context.clock, every=DAILY).read_all()


def _course_of(tool: Tool, url: str) -> CourseKey | None:
    """The course in which a placement was offered this roster."""
    query = select(placements.c.registration_id, placements.c.context_id).where(placements.c.memberships_url == url)
    with tool.context.database.read() as connection:
        row = connection.execute(query).first()
    return None if row is None else CourseKey(row.registration_id, row.context_id or "")


def _asked(tool: Tool, platform: Platform, heard: Sequence[Heard]) -> Iterator[Finding]:
    pages = _of(heard, "roster")
    yield Finding(
        "The roster is asked for by GET", bool(pages) and {each.method for each in pages} == {"GET"}, _seen(pages)
    )
    answered = [each for each in pages if each.status == 200]
    yield Finding("The platform answers", bool(answered), f"{len(answered)} of {len(pages)} requests with 200")
    members, known = set(platform.members()), _kept(tool)
    yield Finding(
        "Every member on every page is known then", members <= known, f"{len(members & known)} of {len(members)}"
    )


def _accepted(_tool: Tool, _platform: Platform, heard: Sequence[Heard]) -> Iterator[Finding]:
    said = {each.accept for each in _of(heard, "roster")}
    yield Finding(f"Accept is {ROSTER_TYPE}", said == {ROSTER_TYPE}, ", ".join(said) or "nothing was asked")


def _borne(_tool: Tool, platform: Platform, heard: Sequence[Heard]) -> Iterator[Finding]:
    schemes = {each.scheme for each in _of(heard, "roster")}
    yield Finding("It comes as Authorization: Bearer", schemes == {"Bearer"}, ", ".join(schemes) or "nothing was asked")
    granted = [each for each in platform.heard() if each.service == "token" and each.authorized]
    yield Finding("The platform has granted a token for our assertion", bool(granted), f"{len(granted)} granted so far")
    taken = [each for each in _of(heard, "roster") if each.authorized]
    seen = ", ".join(sorted({each.token for each in taken})) or "none"
    yield Finding("The platform takes the token", len(taken) == len(_of(heard, "roster")) > 0, seen)


def _scoped(_tool: Tool, _platform: Platform, heard: Sequence[Heard]) -> Iterator[Finding]:
    scopes = {scope for each in _of(heard, "roster") for scope in each.scopes}
    yield Finding(f"The token's scope is {ROSTER_SCOPE}", scopes == {ROSTER_SCOPE}, ", ".join(scopes) or "none")


def _of(heard: Sequence[Heard], service: str) -> list[Heard]:
    return [each for each in heard if each.service == service]


def _seen(pages: Sequence[Heard]) -> str:
    return ", ".join(f"{each.method} {each.path}" for each in pages) or "nothing was asked"


def _kept(tool: Tool) -> set[str]:
    with tool.context.database.read() as connection:
        return set(connection.execute(select(roster_members.c.user_id)).scalars())


Look = Callable[[Tool, Platform, Sequence[Heard]], Iterator[Finding]]
LOOKS: Mapping[int, Look] = {39: _asked, 40: _accepted, 41: _borne, 42: _scoped}
