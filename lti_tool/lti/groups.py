"""Course Groups Service 1.0: the names of a course's groups; who is in one is told by the roster (lti.nrps)."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from lti_tool.errors import PlatformRefused
from lti_tool.http import Reply
from lti_tool.lti.answer_bodies import UnreadableError, read_id, read_json, read_list, shown
from lti_tool.lti.paging import pages
from lti_tool.lti.platform_api import PlatformApi, Question

GROUPS_SCOPE = "https://purl.imsglobal.org/spec/lti-gs/scope/contextgroup.readonly"
GROUPS_TYPE = "application/vnd.ims.lti-gs.v1.contextgroupcontainer+json"


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
    return list(chain.from_iterable(pages(api, question, _read_page)))


def _read_page(reply: Reply) -> Iterable[Group]:
    if not reply.is_ok:
        raise PlatformRefused(
            "groups_refused", "The platform does not give this course's groups to the tool.", answered=reply.status
        )
    try:
        document = read_json(reply)
        if not isinstance(document, dict):
            raise UnreadableError
        return [_group(read_id(each.get("id")), each.get("name")) for each in read_list(document.get("groups"))]
    except UnreadableError as error:
        raise PlatformRefused(
            "groups_unreadable",
            "The platform's groups are not as the Course Groups Service describes them.",
            answered=reply.status,
        ) from error


def _group(group_id: str, name: object) -> Group:
    return Group(group_id, shown(name) or group_id)
