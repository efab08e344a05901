"""One roster read from its platform: all of its pages or nothing (facts: lti.md §7, openedx.md §7, moodle.md §6)."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from lti_tool.errors import OutboundError, PlatformRefused
from lti_tool.lti.groups import fetch_groups
from lti_tool.lti.nrps import Member, RosterPage, fetch_differences, fetch_roster
from lti_tool.lti.platform_api import PlatformApi
from lti_tool.rosters.due import LEASE, DueRoster
from lti_tool.tasks import Clock

log = logging.getLogger(__name__)

# However many activities a course has: a few that cannot be asked about are enough to give up names.
MOST_LINKS_TRIED = 3


@dataclass(frozen=True, slots=True)
class Reading:
    """What a platform said: the members by their user id, of the whole course or (`is_whole` false) those who changed
    since the last read; `group_names` by group id, None where the platform was not asked or did not answer."""

    members: Mapping[str, Member]
    is_whole: bool
    differences_url: str | None = None
    resource_link_id: str | None = None
    group_names: Mapping[str, str] | None = None

    @property
    def active(self) -> dict[str, Member]:
        """Who belongs to the course now, by user id."""
        return {user_id: member for user_id, member in self.members.items() if member.status == "Active"}


def read(api: PlatformApi, due: DueRoster, clock: Clock) -> Reading:
    """Ask the platform for what has changed, or for the whole roster. Call it outside of a transaction.

    Raises OutboundError with a code of `lti.nrps`, when any page could not be read, and PlatformRefused
    `roster_too_slow` when the lease ran out before the last one came.
    """
    reading = (_changes(api, due, clock) if due.may_ask_differences else None) or _whole(api, due, clock)
    return replace(reading, group_names=_group_names(api, due))


def _changes(api: PlatformApi, due: DueRoster, clock: Clock) -> Reading | None:
    """None when the platform does not know that address any more: then the whole is read."""
    assert due.differences_url
    try:
        pages = list(_in_time(due, clock, fetch_differences(api, due.key.registration_id, due.differences_url)))
    except PlatformRefused as error:
        log.info("differences of a roster refused", extra={"registration": due.key.registration_id, "code": error.code})
        return None
    return _reading(pages, is_whole=False)


def _whole(api: PlatformApi, due: DueRoster, clock: Clock) -> Reading:
    reading = _reading(list(_pages(api, due, clock)), is_whole=True)
    asks_for_names = _is_nameless(reading) and due.registration.profile.name == "moodle"
    return _named(api, due, clock, reading) if asks_for_names else reading


def _pages(api: PlatformApi, due: DueRoster, clock: Clock, resource_link_id: str | None = None) -> Iterator[RosterPage]:
    pages = fetch_roster(
        api,
        due.key.registration_id,
        due.memberships_url,
        resource_link_id=resource_link_id,
        groups=due.groups_url is not None,
    )
    return _in_time(due, clock, pages)


def _in_time(due: DueRoster, clock: Clock, pages: Iterator[RosterPage]) -> Iterator[RosterPage]:
    """The readers are few: a platform that goes on and on must not keep one from all others."""
    for page in pages:
        if clock() >= due.taken_at + LEASE:
            raise PlatformRefused(
                "roster_too_slow", "The platform's roster had no end in a quarter of an hour.", answered=200
            )
        yield page


def _reading(pages: list[RosterPage], *, is_whole: bool) -> Reading:
    """The first address of differences counts: it knows of what changes while the later pages are read."""
    members: dict[str, Member] = {}
    for member in chain.from_iterable(page.members for page in pages):
        before = members.get(member.user_id)
        members[member.user_id] = member if before is None or not is_whole else _as_one(before, member)
    return Reading(members, is_whole, next((page.differences_url for page in pages if page.differences_url), None))


def _as_one(first: Member, other: Member) -> Member:
    """A person whom a whole roster lists twice (one entry for each role, or on two pages) has all that either says; of
    differences the last one holds."""
    if first.status != other.status:
        return first if first.status == "Active" else other
    return replace(
        other,
        roles=tuple(dict.fromkeys(first.roles + other.roles)),
        name=other.name or first.name,
        email=other.email or first.email,
        group_ids=tuple(dict.fromkeys(first.group_ids + other.group_ids)),
    )


def _is_nameless(reading: Reading) -> bool:
    return bool(reading.members) and not any(each.name or each.email for each in reading.members.values())


def _named(api: PlatformApi, due: DueRoster, clock: Clock, reading: Reading) -> Reading:
    """Moodle sends names that teachers decide about only to who asks for one activity (`rlid`), and then lists only the
    people who see that activity: names are taken from there, membership is not."""
    for link in due.resource_link_ids[:MOST_LINKS_TRIED]:
        try:
            told = _reading(list(_pages(api, due, clock, link)), is_whole=True)
        except OutboundError as error:
            log.info("names of a roster refused", extra={"registration": due.key.registration_id, "code": error.code})
            continue
        if not _is_nameless(told) and told.members:
            return replace(reading, members=_with_names(reading, told), resource_link_id=link)
    return reading


def _with_names(reading: Reading, told: Reading) -> dict[str, Member]:
    return {
        user_id: replace(member, name=told.members[user_id].name, email=told.members[user_id].email)
        if user_id in told.members
        else member
        for user_id, member in reading.members.items()
    }


def _group_names(api: PlatformApi, due: DueRoster) -> dict[str, str] | None:
    """A course without readable groups still has its roster."""
    if due.groups_url is None:
        return None
    try:
        return {each.id: each.name for each in fetch_groups(api, due.key.registration_id, due.groups_url)}
    except OutboundError as error:
        log.info("groups of a course not read", extra={"registration": due.key.registration_id, "code": error.code})
        return None
