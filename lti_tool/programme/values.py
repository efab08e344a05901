"""What a single value of a programme document may look like, and what a field says about how it is written.

PURE. Each function turns a plain value into the value of a field, or raises ValueError with the rest of the sentence
"'key' …". A field of a record is read by its name and its type; where that is not enough, its type is `Annotated` with
a `Key`, a `Mark` or one of these functions.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from enum import Enum, auto
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from lti_tool.text import clean, email_address
from lti_tool.times import zone_of

UNSET: Final = "UNSET"

MAX_PASSAGE = 4000
MAX_LINK = 500
# What would change the meaning of a link to an e-mail address.
NOT_IN_MAILTO = re.compile(r"[:/?&#%]")

CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


@dataclass(frozen=True, slots=True)
class Key:
    """The key of a field that is written under another name."""

    key: str


class Mark(Enum):
    NAME = auto()
    """The field is the name under which the record is written; it has no key of its own."""
    OPEN = auto()
    """The value may be absent or UNSET although the record needs one: whoever reads the record decides."""


def text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise ValueError("must be a text; put numbers and true or false in quotes")
    if not raw.strip() or raw.strip().upper() == UNSET:
        raise ValueError("must not be empty; UNSET replaces the whole value and is written in capitals")
    return raw.strip()


def flag(raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise ValueError("must be true or false")
    return raw


def count(raw: Any) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int) or raw < 0:
        raise ValueError("must be a whole number, 0 or more")
    return raw


def amount(raw: Any) -> Decimal:
    if isinstance(raw, bool) or not isinstance(raw, int | Decimal) or raw < 0:
        raise ValueError("must be a number, 0 or more, such as 6.5")
    return Decimal(raw)


def share(raw: Any) -> Decimal:
    found = amount(raw)
    if not 0 < found <= 1:
        raise ValueError("must be more than 0 and at most 1; 0.80 means 80 %")
    return found


def day(raw: Any) -> date:
    try:
        return date.fromisoformat(raw if isinstance(raw, str) and len(raw) == 10 else "")
    except ValueError as error:
        raise ValueError("must be a date like 2024-07-13") from error


def clock(raw: Any) -> time:
    if not isinstance(raw, str) or not CLOCK.fullmatch(raw):
        raise ValueError('must be a time of day like "09:00"')
    return time.fromisoformat(raw)


def zone(raw: Any) -> str:
    try:
        return zone_of(text(raw)).key
    except ValueError as error:
        raise ValueError("must be an IANA time zone like America/Los_Angeles") from error


def passage(raw: Any) -> str:
    """A text for people, in one line: no control characters, runs of blanks as one."""
    found = clean(text(raw))
    if not found or len(found) > MAX_PASSAGE:
        raise ValueError(f"must be a text of 1 to {MAX_PASSAGE} characters")
    return found


def link(raw: Any) -> str:
    """The https address of a page, as it may stand in a link."""
    found = text(raw)
    try:
        url = urlsplit(found)
        is_good = url.scheme == "https" and "." in (url.hostname or "") and "@" not in url.netloc and url.port != 0
    except ValueError:
        is_good = False
    if not is_good or not found.isascii() or not found.isprintable() or " " in found or len(found) > MAX_LINK:
        raise ValueError(f"must be an https address of at most {MAX_LINK} characters, without a user in it")
    return found


def address(raw: Any) -> str:
    """An e-mail address, or the https address of a page; pages print the latter without "https://"."""
    found = text(raw)
    if "@" in found and "://" not in found:
        if email_address(found) is None or NOT_IN_MAILTO.search(found):
            raise ValueError("must be one e-mail address")
        return found
    return link(found if "://" in found else f"https://{found}")


def mapping(raw: Any) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise ValueError("must be an entry with keys of its own")
    return raw


def items(raw: Any) -> list[Any]:
    if not isinstance(raw, list):
        raise ValueError("must be a list")
    return raw


def texts(raw: Any) -> tuple[str, ...]:
    return list_of(text)(raw)


def list_of(parse: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    """A list of such values; a single value is a list of one."""
    return lambda raw: tuple(parse(each) for each in (raw if isinstance(raw, list) else [raw]))


def by_name(parse: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    """Such values by their names."""
    return lambda raw: {name: parse(each) for name, each in mapping(raw).items()}


def one_of(choices: Iterable[str]) -> Callable[[Any], Any]:
    """A word from a closed list."""
    allowed = tuple(choices)

    def parse(raw: Any) -> Any:
        if raw not in allowed:
            raise ValueError(f"must be one of: {', '.join(allowed)}")
        return raw

    return parse


Name = Annotated[str, Mark.NAME]
Refs = Annotated[tuple[str, ...], Key("source")]
Share = Annotated[Decimal, share]
Zone = Annotated[str, zone]
Passage = Annotated[str, passage]
Link = Annotated[str, link]
Address = Annotated[str, address]
