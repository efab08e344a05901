"""What a launch opens: the content that its signed claims name, by custom parameter or by target link.

A page or a module keeps its name when a course is run again and resource link ids change (openedx.md §1).
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from sqlalchemy import Connection

from lti_tool import publication
from lti_tool.errors import RefusedLaunch
from lti_tool.lti.claims import Launch

# Custom parameter `page` → the page it opens.
PAGES = {"dashboard": "/", "retreats": "/retreats", "calendar": "/calendar", "desk": "/desk"}
PAGE_OF_TARGET = {address: page for page, address in PAGES.items() if address != "/"}
OFFERING_OF_TARGET = re.compile(r"/(?P<kind>modules|retreats)/(?P<id>[^/]+)")


@dataclass(frozen=True, slots=True)
class Content:
    """What a link opens; at most one of the three is named."""

    module_id: str | None = None
    retreat_id: str | None = None
    page: str | None = None

    @property
    def key(self) -> str:
        """What `placements.content` holds: "module:F1", "retreat:R1", "page:retreats"; "" when nothing is named."""
        named = {"module": self.module_id, "retreat": self.retreat_id, "page": self.page}
        return next((f"{kind}:{name}" for kind, name in named.items() if name is not None), "")

    @property
    def address(self) -> str | None:
        """The path of its page; None when nothing is named."""
        if self.module_id is not None:
            return f"/modules/{quote(self.module_id, safe='')}"
        if self.retreat_id is not None:
            return f"/retreats/{quote(self.retreat_id, safe='')}"
        return PAGES[self.page] if self.page is not None else None


def content_of(connection: Connection, launched: Launch) -> Content:
    """The content that the claims name; custom parameters come before the target link.

    Raises RefusedLaunch `module_unknown` or `retreat_of_link_unknown` when the published programme has no such module
    or retreat.
    """
    content = _of_custom(launched) or _of_target(launched) or Content()
    _verify(connection, content)
    return content


def _of_custom(launched: Launch) -> Content | None:
    if module_id := launched.custom_value("module_id"):
        return Content(module_id=module_id)
    if retreat_id := launched.custom_value("retreat_id"):
        return Content(retreat_id=retreat_id)
    page = launched.custom_value("page")
    return Content(page=page) if page in PAGES else None


def _of_target(launched: Launch) -> Content | None:
    path = urlsplit(launched.target_link_uri or "").path
    if offering := OFFERING_OF_TARGET.fullmatch(path):
        named = unquote(offering["id"])
        return Content(module_id=named) if offering["kind"] == "modules" else Content(retreat_id=named)
    return Content(page=PAGE_OF_TARGET[path]) if path in PAGE_OF_TARGET else None


def _verify(connection: Connection, content: Content) -> None:
    if content.module_id is None and content.retreat_id is None:
        return
    programme = publication.current(connection).programme
    if content.module_id is not None and content.module_id not in programme.modules:
        raise RefusedLaunch(
            "module_unknown",
            "This unit is connected to a module that the programme does not have.",
            "Tell the people who run the course: the unit's custom parameter module_id names no module of the "
            "published programme.",
            status=404,
        )
    if content.retreat_id is not None and content.retreat_id not in programme.retreats:
        raise RefusedLaunch(
            "retreat_of_link_unknown",
            "This unit is connected to a retreat that the programme does not have.",
            "Tell the people who run the course: the unit's custom parameter retreat_id names no retreat of the "
            "published programme.",
            status=404,
        )
