"""One mapping of the document while it is being read, and what a single value may look like.

Every key is asked for; what nobody asked for is an unknown key. A wrong value is reported with its path and reading
goes on, so that one run shows all errors; a document with errors is never used.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, time
from decimal import Decimal
from typing import Any, Self, TypeVar, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lti_tool.programme.model import UNSET
from lti_tool.programme.problems import Problem

T = TypeVar("T")
Parse = Callable[[Any], T]

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


class Report:
    """What was found so far: problems, and the paths that say UNSET."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.unset: list[str] = []

    def error(self, code: str, message: str, path: str) -> None:
        self.problems.append(Problem("error", code, message, path))


class Entry:
    """One mapping; `name` is its own key, `path` its place in the document."""

    def __init__(self, value: Mapping[str, Any], path: str, report: Report, name: str = "") -> None:
        self.value = value
        self.path = path
        self.name = name
        self.report = report
        self._asked: set[str] = set()

    def at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def has(self, key: str) -> bool:
        return key in self.value

    def need(self, key: str, parse: Parse[T]) -> T:
        """A value that must be there and be set. When it is not, an error is reported and None stands in its place."""
        if key not in self.value:
            self._asked.add(key)
            self.report.error("missing", f"'{key}' is missing.", self.path or key)
            return cast(T, None)
        if self.value[key] is None or self.value[key] == UNSET:
            self._asked.add(key)
            self.report.error("not_set", f"'{key}' must have a value.", self.at(key))
            return cast(T, None)
        return cast(T, self.may(key, parse))

    def may(self, key: str, parse: Parse[T]) -> T | None:
        """A value that may be absent, null or UNSET: all three are None, and UNSET is remembered."""
        self._asked.add(key)
        raw = self.value.get(key)
        if raw == UNSET:
            self.report.unset.append(self.at(key))
        if raw is None or raw == UNSET:
            return None
        try:
            return parse(raw)
        except ValueError as error:
            self.report.error("wrong_value", f"'{key}' {error}.", self.at(key))
            return None

    def some(self, key: str, parse: Parse[T], otherwise: T) -> T:
        """A value that has a default."""
        value = self.may(key, parse)
        return otherwise if value is None else value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, empty when there is none."""
        return self.may(key, texts) or ()

    def text_by_name(self, key: str) -> dict[str, str]:
        """Texts by their names, empty when there are none."""
        return self.may(key, text_by_name) or {}

    def child(self, key: str, build: Callable[[Self], T]) -> T | None:
        """A mapping inside this one, or None when it is absent, null or UNSET."""
        inner = self.may(key, mapping)
        return None if inner is None else self._built(inner, self.at(key), key, build)

    def part(self, key: str, build: Callable[[Self], T]) -> T:
        """A mapping inside this one that must be there. When it is not, an error is reported and None stands for it."""
        inner = self.need(key, mapping)
        return cast(T, None) if inner is None else self._built(inner, self.at(key), key, build)

    def named(self, key: str, build: Callable[[Self], T]) -> dict[str, T]:
        """A mapping of named entries, each read by `build`."""
        inner = self.may(key, mapping) or {}
        return {name: self._named(name, each, self.at(key), build) for name, each in inner.items()}

    def each(self, key: str, build: Callable[[Self], T]) -> tuple[T, ...]:
        """A list of entries, each read by `build`."""
        items = enumerate(self.may(key, anything_listed) or [])
        return tuple(self._item(each, f"{self.at(key)}[{index}]", build) for index, each in items)

    def close(self) -> None:
        """Report every key that nobody asked for."""
        for key in self.value:
            if key not in self._asked:
                known = ", ".join(sorted(self._asked))
                self.report.error("unknown_key", f"'{key}' is not known here. Known: {known}.", self.at(key))

    def _named(self, name: str, value: Any, path: str, build: Callable[[Self], T]) -> T:
        if not NAME.fullmatch(name):
            message = f"'{name[:80]}' cannot be a name: use letters, digits, '_' and '-', starting with a letter."
            self.report.error("wrong_name", message, f"{path}.{name}")
        return self._item(value, f"{path}.{name}", build, name)

    def _item(self, value: Any, path: str, build: Callable[[Self], T], name: str = "") -> T:
        if not isinstance(value, dict):
            self.report.error("wrong_value", "Here must stand an entry with keys of its own.", path)
            return cast(T, None)
        return self._built(value, path, name, build)

    def _built(self, value: Mapping[str, Any], path: str, name: str, build: Callable[[Self], T]) -> T:
        entry = type(self)(value, path, self.report, name)
        built = build(entry)
        entry.close()
        return built


def text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise ValueError("must be a text; put numbers and true or false in quotes")
    if not raw.strip() or raw.strip().upper() == UNSET:
        raise ValueError("must not be empty; UNSET stands in place of a whole value, in capitals")
    return raw.strip()


def texts(raw: Any) -> tuple[str, ...]:
    """A list of texts; a single text is a list of one."""
    return tuple(text(each) for each in (raw if isinstance(raw, list) else [raw]))


def text_by_name(raw: Any) -> dict[str, str]:
    return {key: text(each) for key, each in mapping(raw).items()}


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


def day(raw: Any) -> date:
    try:
        return date.fromisoformat(raw if isinstance(raw, str) and len(raw) == 10 else "")
    except ValueError as error:
        raise ValueError("must be a date like 2024-07-13") from error


def clock(raw: Any) -> time:
    if not isinstance(raw, str) or not CLOCK.fullmatch(raw):
        raise ValueError('must be a time of day like "09:00"')
    return time.fromisoformat(raw)


def clocks(raw: Any) -> tuple[time, ...]:
    return tuple(clock(each) for each in anything_listed(raw))


def zone(raw: Any) -> str:
    try:
        return ZoneInfo(text(raw)).key
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise ValueError("must be an IANA time zone like America/Los_Angeles") from error


def mapping(raw: Any) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise ValueError("must be an entry with keys of its own")
    return raw


def anything_listed(raw: Any) -> list[Any]:
    if not isinstance(raw, list):
        raise ValueError("must be a list")
    return raw


def one_of(choices: Iterable[str]) -> Parse[Any]:
    """A word out of a closed list."""
    allowed = tuple(choices)

    def parse(raw: Any) -> Any:
        if raw not in allowed:
            raise ValueError(f"must be one of: {', '.join(allowed)}")
        return raw

    return parse
