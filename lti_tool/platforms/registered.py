"""The registered platforms as staff look at them: grouped by issuer, with how they came and when they last launched.

Another unit of a platform that has a client id for each of its units (Open edX without shared passports).
"""

from collections.abc import Mapping, Sequence
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

CAME_BY = {"command": "by command", "file": "from a file", "dynamic": "registered itself"}


@dataclass(frozen=True, slots=True)
class Standing:
    """One registration, when it came, when somebody last launched from it (None: nobody yet), and what speaks against
    letting it in if it still waits for that."""

    registration: Registration
    added_at: datetime
    launched_at: datetime | None
    doubts: tuple[str, ...] = ()

    @property
    def came_by(self) -> str:
        return CAME_BY[self.registration.came_by]

    @property
    def other_hosts(self) -> list[str]:
        """The origins of its addresses that are not the issuer's own: what they answer is believed as well."""
        return sorted(self.registration.hosts - {origin(self.registration.issuer)})


@dataclass(frozen=True, slots=True)
class Issuer:
    """All registrations of one issuer; Open edX has one for each unit, unless units share one."""

    name: str
    standings: tuple[Standing, ...]

    @property
    def pending(self) -> list[Standing]:
        return [each for each in self.standings if each.registration.status == "pending"]

    @property
    def decided(self) -> list[Standing]:
        return [each for each in self.standings if each.registration.status != "pending"]


def by_issuer(connection: Connection) -> list[Issuer]:
    """Every platform; issuers with something to decide first, then by name."""
    times, known = _times(connection), registration.list_registrations(connection)
    every = [Standing(each, *times[each.id], _doubts(each, known)) for each in known]
    every.sort(key=lambda each: (each.registration.issuer, each.registration.id))
    groups = groupby(every, key=lambda each: each.registration.issuer)
    return sorted((Issuer(name, tuple(group)) for name, group in groups), key=lambda each: not each.pending)


def tool_addresses(public_url: str) -> dict[str, str]:
    """What is entered on the platform's side."""
    return {
        "tool_login_url": public_url + LOGIN_PATH,
        "tool_launch_url": public_url + LAUNCH_PATH,
        "tool_key_set_url": f"{public_url}/lti/jwks.json",
    }


def _doubts(each: Registration, known: Sequence[Registration]) -> tuple[str, ...]:
    return tuple(doubts(each, known)) if each.status == "pending" else ()


def _times(connection: Connection) -> Mapping[int, tuple[datetime, datetime | None]]:
    """Registration → when it was added, and its last launch."""
    columns = registrations.c.id, registrations.c.created_at, func.max(enrolments.c.last_launch_at)
    query = select(*columns).select_from(registrations.outerjoin(enrolments))
    rows = connection.execute(query.group_by(registrations.c.id, registrations.c.created_at))
    return {row[0]: (row[1], row[2]) for row in rows}


def beside(
    sibling: Registration, client_id: str, *, key_set_url: str | None = None, token_url: str | None = None
) -> NewRegistration:
    """The registration of another unit: what is not given is its sibling's.

    Open edX's key set address and token address end with the same id of the unit (openedx.md §2). Where the sibling's
    do, one of the two tells the other. Raises BadInput `unit_address_wrong`.
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
