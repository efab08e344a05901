"""Lists that come in pages: `Link` headers as platforms really write them, followed as they are (lti.md NR-3, NR-4)."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from lti_tool.errors import PlatformRefused
from lti_tool.http import Reply
from lti_tool.lti.platform_api import PlatformApi, Question
from lti_tool.lti.registration import origin

# Far more than any course has; a platform that goes on is refused, never cut off in silence.
MOST_PAGES = 1000

Page = TypeVar("Page")

_LINK = re.compile(r"<([^<>]*)>([^<]*)")
# Moodle puts the relation of line items between typographic quotes (moodle.md §5.23).
_QUOTES = "\"'\u201c\u201d\u201e\u201f\u2018\u2019"
_RELATION = re.compile(rf";\s*rel\s*=\s*(?:[{_QUOTES}]([^{_QUOTES}]*)[{_QUOTES}]|([^\s;,]+))", re.IGNORECASE)


def pages(api: PlatformApi, question: Question, read: Callable[[Reply], Page]) -> Iterator[Page]:
    """What `read` makes of each page, from the question's to the last; each is asked for when it is wanted.

    Raises what `PlatformApi.fetch` does, and PlatformRefused `next_link_foreign` (the next page is on another host or
    scheme), `pages_in_circle` or `pages_endless`.
    """
    asked = {question.url}
    following: str | None = question.url
    while following is not None:
        asked.add(following)
        here = replace(question, url=following)
        page, following = api.fetch(here, _with_next(here.url, asked, read))
        yield page


def link(reply: Reply, relation: str, base: str) -> str | None:
    """The address of this relation in the `Link` header; a relative one is completed from `base`, any other is left as
    it is. None without one."""
    for found in _LINK.finditer(_readable(reply.headers.get("Link") or "")):
        if relation in _relations(found[2]):
            # Moodle writes the header as if it were HTML.
            address = found[1].strip().replace("&amp;", "&")
            return address if _is_absolute(address) else urljoin(base, address)
    return None


def is_same_origin(url: str, first: str) -> bool:
    """Whether both are web addresses of one scheme, host and port."""
    return origin(url) is not None and origin(url) == origin(first)


def _with_next(here: str, asked: set[str], read: Callable[[Reply], Page]) -> Callable[[Reply], tuple[Page, str | None]]:
    def both(reply: Reply) -> tuple[Page, str | None]:
        page = read(reply)
        following = link(reply, "next", here)
        if following is not None:
            _verify_next(following, here, asked, reply.status)
        return page, following

    return both


def _verify_next(following: str, here: str, asked: set[str], status: int) -> None:
    if not is_same_origin(following, here):
        raise PlatformRefused(
            "next_link_foreign",
            "The platform says that its list goes on at another host, where no access token is sent.",
            answered=status,
        )
    if following in asked:
        raise PlatformRefused("pages_in_circle", "The platform's list leads back to its own pages.", answered=status)
    if len(asked) >= MOST_PAGES:
        raise PlatformRefused("pages_endless", "The platform's list has no end.", answered=status)


def _relations(parameters: str) -> list[str]:
    """The relation types of one link, in lower case; several may stand in one pair of quotes."""
    return [
        name
        for quoted, bare in _RELATION.findall(parameters)
        for name in (quoted or bare).strip(_QUOTES).lower().split()
    ]


def _readable(header: str) -> str:
    """A header is read byte by byte as Latin-1; Moodle's is UTF-8."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header


def _is_absolute(address: str) -> bool:
    try:
        return bool(urlsplit(address).scheme)
    except ValueError:
        return True  # no web address: refused as one of another host
