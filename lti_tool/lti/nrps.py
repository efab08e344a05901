"""Names and Role Provisioning Services 2.0: who is in a course, page by page (lti.md §7).

With it Course Groups Service 1.0: the names of a course's groups. The roster says who is in which group.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Literal

from lti_tool.errors import PlatformRefused
from lti_tool.http import Reply
from lti_tool.lti.claims import LONGEST_ID, LONGEST_SHOWN, is_plain_text
from lti_tool.lti.paging import (
    UnreadableError,
    answered,
    is_same_origin,
    link,
    pages,
    read_id,
    read_list,
    read_object,
    readable,
    shown,
)
from lti_tool.lti.platform_api import PlatformApi, Question, with_query
from lti_tool.text import email_address

ROSTER_SCOPE = "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"
ROSTER_TYPE = "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"
# Open edX refuses a course that is larger than the site allows with a 403 that says so (openedx.md §7).
ABOVE_LIMIT = b"above_response_limit"
GROUPS_SCOPE = "https://purl.imsglobal.org/spec/lti-gs/scope/contextgroup.readonly"
GROUPS_TYPE = "application/vnd.ims.lti-gs.v1.contextgroupcontainer+json"
# Course Groups Service 1.0: asked for by this parameter, told in this list of each member (unverified).
GROUPS_PARAMETER = "groups"
GROUPS_FIELD, GROUP_ID_FIELD = "group_enrollments", "group_id"

Status = Literal["Active", "Inactive", "Deleted"]
STATUSES: dict[str, Status] = {"active": "Active", "inactive": "Inactive", "deleted": "Deleted"}


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a course. `roles` are as the platform sends them, short names or URIs. Names and addresses may be
    missing for everybody (lti.md NR-6)."""

    user_id: str
    roles: tuple[str, ...]
    status: Status
    name: str | None = None
    email: str | None = None
    group_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RosterPage:
    """One page; `differences_url` is opaque and leads to what changes from now on, where the platform offers it.
    `skipped` is how many entries do not say who the person is."""

    members: tuple[Member, ...]
    differences_url: str | None
    skipped: int = 0


def fetch_roster(
    api: PlatformApi,
    registration_id: int,
    memberships_url: str,
    *,
    resource_link_id: str | None = None,
    limit: int = 100,
    groups: bool = False,
) -> Iterator[RosterPage]:
    """The roster of a course, or of those who see one resource link (`rlid`, which a platform may ignore, lti.md NR-5).

    `limit` is a hint. Each page is asked for when it is wanted; a roster is whole only once the iterator has ended.
    Raises what `PlatformApi.fetch` and `paging.pages` do, and PlatformRefused `above_response_limit` (the course is
    larger than the platform tells), `roster_refused` or `roster_unreadable`. A member who cannot be told from others is
    skipped and counted.
    """
    wanted = {
        "limit": str(limit),
        "rlid": resource_link_id,
        GROUPS_PARAMETER: "true" if groups else None,
    }
    url = with_query(memberships_url, {name: value for name, value in wanted.items() if value is not None})
    return pages(api, _question(registration_id, url, memberships_url), partial(_read_page, memberships_url))


def fetch_differences(api: PlatformApi, registration_id: int, differences_url: str) -> Iterator[RosterPage]:
    """Who changed since the roster that gave this address; only here a member may be "Deleted" (lti.md NR-2). Raises as
    `fetch_roster`. The address is another one each time, so its answers are noted without a subject."""
    question = _question(registration_id, differences_url, "")
    return pages(api, question, partial(_read_page, differences_url))


def _question(registration_id: int, url: str, subject: str) -> Question:
    return Question(
        registration_id, (ROSTER_SCOPE,), url, "roster", subject, accept=ROSTER_TYPE, not_the_token=ABOVE_LIMIT
    )


def _read_page(asked_url: str, reply: Reply) -> RosterPage:
    if reply.status == 403 and ABOVE_LIMIT in reply.body:
        raise PlatformRefused(
            "above_response_limit",
            "The course has more members than the platform lists at once, and it does not list them in parts.",
            answered=reply.status,
        )
    with answered(
        reply,
        refused=PlatformRefused(
            "roster_refused", "The platform does not give this course's roster to the tool.", answered=reply.status
        ),
        unreadable=PlatformRefused(
            "roster_unreadable", "The platform's roster is not as NRPS 2.0 describes it.", answered=reply.status
        ),
    ):
        listed = read_object(reply).get("members")
        if not isinstance(listed, list):
            raise UnreadableError
    differences_url = link(reply, "differences", asked_url)
    is_theirs = differences_url is not None and is_same_origin(differences_url, asked_url)
    members = tuple(readable(listed, _member))
    return RosterPage(members, differences_url if is_theirs else None, skipped=len(listed) - len(members))


def _member(entry: dict[str, Any]) -> Member:
    """lti.md NR-2: `user_id` and `roles` are promised; a missing status means Active, an unknown one is not Active.

    A role that is no plain text gives nothing (lti.md RO-4), an address that was cut is none, and groups that cannot be
    read are left out: none of these costs the course its roster.
    """
    status, roles, email = entry.get("status"), entry.get("roles") or [], entry.get("email")
    groups = entry[GROUPS_FIELD] if isinstance(entry.get(GROUPS_FIELD), list) else []
    if not isinstance(roles, list):
        raise UnreadableError
    parts = (shown(entry.get("given_name")), shown(entry.get("family_name")))
    return Member(
        user_id=read_id(entry.get("user_id")),
        roles=tuple(each for each in roles if is_plain_text(each, LONGEST_ID)),
        status=STATUSES.get(str(status).lower(), "Inactive") if status else "Active",
        name=shown(entry.get("name")) or shown(" ".join(part for part in parts if part)),
        email=email_address(email) if isinstance(email, str) and len(email) <= LONGEST_SHOWN else None,
        group_ids=tuple(readable(groups, lambda group: read_id(group.get(GROUP_ID_FIELD)))),
    )


@dataclass(frozen=True, slots=True)
class Group:
    """One group of a course; a group without a name is called by its id."""

    id: str
    name: str


def fetch_groups(api: PlatformApi, registration_id: int, groups_url: str) -> list[Group]:
    """The groups of a course, all pages of them.

    Raises what `PlatformApi.fetch` and `paging.pages` do, and PlatformRefused `groups_refused` or `groups_unreadable`.
    """
    question = Question(registration_id, (GROUPS_SCOPE,), groups_url, "groups", groups_url, accept=GROUPS_TYPE)
    return list(chain.from_iterable(pages(api, question, _read_group_page)))


def _read_group_page(reply: Reply) -> Iterable[Group]:
    with answered(
        reply,
        refused=PlatformRefused(
            "groups_refused", "The platform does not give this course's groups to the tool.", answered=reply.status
        ),
        unreadable=PlatformRefused(
            "groups_unreadable",
            "The platform's groups are not as the Course Groups Service describes them.",
            answered=reply.status,
        ),
    ):
        listed = read_list(read_object(reply).get("groups"))
        named = [(read_id(each.get("id")), shown(each.get("name"))) for each in listed]
    return [Group(group_id, name or group_id) for group_id, name in named]
