"""Answers of platforms' services: lists that come in pages, and JSON bodies that are read without trust.

`Link` headers are taken as platforms really write them and followed as they are (lti.md NR-3, NR-4).
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

from lti_tool.errors import PlatformRefused
from lti_tool.http import Reply
from lti_tool.lti.claims import LONGEST_ID, LONGEST_SHOWN, is_plain_text
from lti_tool.lti.platform_api import PlatformApi, Question
from lti_tool.lti.registration import origin
from lti_tool.text import clean

# Far more than any course has; a platform that goes on is refused, never cut off in silence.
MOST_PAGES = 1000

Page = TypeVar("Page")

_LINK = re.compile(r"<([^<>]*)>([^<]*)")
# Moodle puts the relation of line items between typographic quotes (moodle.md §5.23).
_QUOTES = "\"'\u201c\u201d\u201e\u201f\u2018\u2019"
_RELATION = re.compile(rf";\s*rel\s*=\s*(?:[{_QUOTES}]([^{_QUOTES}]*)[{_QUOTES}]|([^\s;,]+))", re.IGNORECASE)


def pages(api: PlatformApi, question: Question, read: Callable[[Reply], Page]) -> Iterator[Page]:
    """What `read` makes of each page, from the question's to the last; each is fetched when it is wanted.

    Raises what `PlatformApi.fetch` does, and PlatformRefused `next_link_foreign` (the next page is on another host or
    scheme), `pages_in_circle` or `pages_endless`.
    """
    asked: set[str] = set()
    url: str | None = question.url

    def read_with_next(reply: Reply) -> tuple[Page, str | None]:
        assert url is not None
        page, following = read(reply), link(reply, "next", url)
        if following is None:
            return page, None
        if not is_same_origin(following, url):
            message = "The platform says that its list goes on at another host, where no access token is sent."
            raise PlatformRefused("next_link_foreign", message, answered=reply.status)
        if following in asked:
            message = "The platform's list leads back to its own pages."
            raise PlatformRefused("pages_in_circle", message, answered=reply.status)
        if len(asked) >= MOST_PAGES:
            raise PlatformRefused("pages_endless", "The platform's list has no end.", answered=reply.status)
        return page, following

    while url is not None:
        asked.add(url)
        page, url = api.fetch(replace(question, url=url), read_with_next)
        yield page


def link(reply: Reply, relation: str, base: str) -> str | None:
    """The address of this relation in the `Link` header; a relative one is completed from `base`, any other is left as
    it is. None without one."""
    header = reply.headers.get("Link") or ""
    with suppress(UnicodeError):  # a header is read as Latin-1; Moodle's is UTF-8
        header = header.encode("latin-1").decode("utf-8")
    for found in _LINK.finditer(header):
        names = " ".join((quoted or bare).strip(_QUOTES) for quoted, bare in _RELATION.findall(found[2]))
        if relation in names.lower().split():
            # Moodle writes the header as if it were HTML.
            address = found[1].strip().replace("&amp;", "&")
            try:
                is_absolute = bool(urlsplit(address).scheme)
            except ValueError:
                is_absolute = True  # no web address: refused as one of another host
            return address if is_absolute else urljoin(base, address)
    return None


def is_same_origin(url: str, first: str) -> bool:
    """Whether both are web addresses of one scheme, host and port."""
    return origin(url) is not None and origin(url) == origin(first)


class UnreadableError(Exception):
    """The body is not what the specification says."""


@contextmanager
def answered(reply: Reply, *, refused: PlatformRefused, unreadable: PlatformRefused) -> Iterator[None]:
    """For a block that reads this answer: raises `refused` if it is no success, and `unreadable` where the block raises
    UnreadableError."""
    if not reply.is_ok:
        raise refused
    try:
        yield
    except UnreadableError as error:
        raise unreadable from error


def read_json(reply: Reply) -> Any:
    """The body as JSON, whatever its media type says. Raises UnreadableError; NaN and Infinity are no JSON."""

    def refuse(constant: str) -> float:
        raise ValueError(constant)

    try:
        return json.loads(reply.body, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise UnreadableError from None


def read_object(reply: Reply) -> dict[str, Any]:
    """The body as a JSON object. Raises UnreadableError."""
    document = read_json(reply)
    if not isinstance(document, dict):
        raise UnreadableError
    return document


def read_list(value: Any) -> list[dict[str, Any]]:
    """A list of objects. Raises UnreadableError for anything else."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise UnreadableError
    return value


def readable(listed: Iterable[Any], read: Callable[[dict[str, Any]], Page]) -> Iterator[Page]:
    """What `read` makes of each object of a list; one that it cannot read (UnreadableError) is left out."""
    for each in listed:
        with suppress(UnreadableError):
            if isinstance(each, dict):
                yield read(each)


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
    return clean(value[:LONGEST_SHOWN]) or None if isinstance(value, str) else None
