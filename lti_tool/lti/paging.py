"""Lists that come in pages: `Link` headers as platforms really write them, followed as they are (lti.md NR-3, NR-4).

Bodies of services' answers: JSON that may be of any shape, read without trust.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

from lti_tool.errors import PlatformRefused
from lti_tool.http import Reply
from lti_tool.lti.claims import LONGEST_ID, LONGEST_SHOWN, is_plain_text
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


class UnreadableError(Exception):
    """The body is not what the specification says."""


def read_json(reply: Reply) -> Any:
    """The body as JSON, whatever its media type says. Raises UnreadableError; NaN and Infinity are no JSON."""
    try:
        return json.loads(reply.body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise UnreadableError from None


def read_list(value: Any) -> list[dict[str, Any]]:
    """A list of objects. Raises UnreadableError for anything else."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise UnreadableError
    return value


def read_id(value: Any, longest: int = LONGEST_ID) -> str:
    """A text that names something; a whole number counts as its digits. Raises UnreadableError."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        value = str(value)
    if not value or not is_plain_text(value, longest):
        raise UnreadableError
    return str(value)


def read_optional_id(value: Any, longest: int = LONGEST_ID) -> str | None:
    """The same, or None where it is missing, null or empty."""
    return None if value is None or value == "" else read_id(value, longest)


def read_number(value: Any) -> float | None:
    """A finite number; None where it is missing or null. Raises UnreadableError."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnreadableError
    try:
        number = float(value)
    except OverflowError:
        raise UnreadableError from None
    if not math.isfinite(number):
        raise UnreadableError
    return number


def shown(value: Any) -> str | None:
    """A text that is only shown, cut at a length; None for anything that is no such text."""
    if not isinstance(value, str) or not is_plain_text(value[:LONGEST_SHOWN], LONGEST_SHOWN):
        return None
    return value[:LONGEST_SHOWN].strip() or None


def _refuse(constant: str) -> float:
    raise ValueError(constant)
