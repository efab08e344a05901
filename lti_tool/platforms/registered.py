"""The registered platforms for staff: grouped by issuer, with how they were added and when they last launched.

And the registration of a further unit, for a platform that has one client id per unit (Open edX without shared
passports).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from sqlalchemy import Connection, func, select

from lti_tool.errors import BadInput
from lti_tool.lti import registration
from lti_tool.lti.login import LAUNCH_PATH, LOGIN_PATH
from lti_tool.lti.registration import NewRegistration, Registration, doubts, given, origin
from lti_tool.tables.courses import enrolments
from lti_tool.tables.platforms import registrations

CAME_BY: Mapping[str, str] = {"command": "by command", "file": "from a file", "dynamic": "registered itself"}


@dataclass(frozen=True, slots=True)
class Listed:
    """One registration: when it was added, its last launch (None before the first), and for a pending one the reasons
    against approving it."""

    registration: Registration
    added_at: datetime
    launched_at: datetime | None
    doubts: tuple[str, ...] = ()

    @property
    def came_by(self) -> str:
        return CAME_BY[self.registration.came_by]

    @property
    def other_hosts(self) -> list[str]:
        """The origins of its addresses that are not the issuer's own. Their answers are trusted as well."""
        return sorted(self.registration.hosts - {origin(self.registration.issuer)})


@dataclass(frozen=True, slots=True)
class Issuer:
    """All registrations of one issuer. Open edX has one per unit, unless units share one."""

    name: str
    registrations: tuple[Listed, ...]

    @property
    def pending(self) -> list[Listed]:
        return [each for each in self.registrations if each.registration.status == "pending"]

    @property
    def decided(self) -> list[Listed]:
        return [each for each in self.registrations if each.registration.status != "pending"]


def by_issuer(connection: Connection) -> list[Issuer]:
    """Every platform; issuers with a pending registration first, then by name."""
    known = registration.list_registrations(connection)
    columns = registrations.c.id, registrations.c.created_at, func.max(enrolments.c.last_launch_at)
    query = select(*columns).select_from(registrations.outerjoin(enrolments))
    grouped = connection.execute(query.group_by(registrations.c.id, registrations.c.created_at))
    times = {id: (added_at, launched_at) for id, added_at, launched_at in grouped}
    listed = [
        Listed(each, *times[each.id], tuple(doubts(each, known)) if each.status == "pending" else ()) for each in known
    ]
    listed.sort(key=lambda each: (each.registration.issuer, each.registration.id))
    groups = groupby(listed, key=lambda each: each.registration.issuer)
    return sorted((Issuer(name, tuple(group)) for name, group in groups), key=lambda each: not each.pending)


def tool_addresses(public_url: str) -> dict[str, str]:
    """The addresses to enter on the platform."""
    return {
        "tool_login_url": public_url + LOGIN_PATH,
        "tool_launch_url": public_url + LAUNCH_PATH,
        "tool_key_set_url": f"{public_url}/lti/jwks.json",
    }


def beside(
    sibling: Registration, client_id: str, *, key_set_url: str | None = None, token_url: str | None = None
) -> NewRegistration:
    """The registration of a further unit. Values that are not given are those of its sibling.

    Open edX's key set address and token address end with the same id of the unit (openedx.md §2). If the sibling's do,
    each address can be derived from the other. Raises BadInput `unit_address_wrong`.
    """
    own = _end(sibling.key_set_url)
    if own and own == _end(sibling.token_url):
        if key_set_url and not token_url:
            token_url = _with_end(sibling.token_url, _end(key_set_url))
        elif token_url and not key_set_url:
            key_set_url = _with_end(sibling.key_set_url, _end(token_url))
    return replace(
        given(sibling),
        client_id=client_id,
        key_set_url=key_set_url or sibling.key_set_url,
        token_url=token_url or sibling.token_url,
    )


def _end(url: str) -> str:
    return url.rpartition("/")[2]


def _with_end(url: str, end: str) -> str:
    if not end:
        message = "The unit's address does not end with an id."
        raise BadInput("unit_address_wrong", message, "Copy the whole address from Studio.")
    return f"{url.rpartition('/')[0]}/{end}"
