"""One mapping of a programme document while it is read, and how a dataclass is read from it.

PURE. A key that is not asked for is an unknown key. A wrong value is reported with its path and reading goes on, so
that one run shows all errors; a document with errors is never used.

A dataclass is its own reading table: each field is read by its key (its name, or its `Key`) and its type. A type with
None in it may be absent; a field with a default takes it; any other must be there. Lists and mappings of records may
be absent and are then empty.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import date, time
from decimal import Decimal
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, cast, get_args, get_origin

from lti_tool.programme.values import (
    UNSET,
    Key,
    Mark,
    amount,
    by_name,
    clock,
    count,
    day,
    flag,
    items,
    list_of,
    mapping,
    one_of,
    text,
)
from lti_tool.programme.yaml_source import Problem

T = TypeVar("T")
Parse = Callable[[Any], T]
Build = Callable[["Entry"], T]

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")

PARSERS: Mapping[Any, Parse[Any]] = {str: text, bool: flag, int: count, Decimal: amount, date: day, time: clock}


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

    def error(self, code: str, message: str, key: str) -> None:
        self.report.error(code, message, self.at(key))

    def need(self, key: str, parse: Parse[T]) -> T:
        """A value that must be there and be set. If it is not, an error is reported and the result is None."""
        self._asked.add(key)
        if key not in self.value:
            self.report.error("missing", f"'{key}' is missing.", self.path or key)
            return cast(T, None)
        if self.value[key] is None or self.value[key] == UNSET:
            self.error("not_set", f"'{key}' must have a value.", key)
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
            self.error("wrong_value", f"'{key}' {error}.", key)
            return None

    def some(self, key: str, parse: Parse[T], otherwise: T) -> T:
        """A value that has a default."""
        value = self.may(key, parse)
        return otherwise if value is None else value

    def child(self, key: str, build: Build[T]) -> T | None:
        """A mapping inside this one, or None if it is absent, null or UNSET."""
        inner = self.may(key, mapping)
        return None if inner is None else self._built(inner, self.at(key), key, build)

    def part(self, key: str, build: Build[T]) -> T:
        """A mapping inside this one that must be there. If it is not, an error is reported and the result is None."""
        inner = self.need(key, mapping)
        return cast(T, None) if inner is None else self._built(inner, self.at(key), key, build)

    def named(self, key: str, build: Build[T]) -> dict[str, T]:
        """A mapping of named entries, each read by `build`."""
        inner = self.may(key, mapping) or {}
        for name in inner:
            if not NAME.fullmatch(name):
                message = f"'{name[:80]}' cannot be a name: use letters, digits, '_' and '-', starting with a letter."
                self.error("wrong_name", message, f"{key}.{name}")
        return {name: self._item(each, f"{self.at(key)}.{name}", build, name) for name, each in inner.items()}

    def each(self, key: str, build: Build[T]) -> tuple[T, ...]:
        """A list of entries, each read by `build`."""
        found = self.may(key, items) or []
        return tuple(self._item(each, f"{self.at(key)}[{index}]", build) for index, each in enumerate(found))

    def read(self, record: type[T], **known: Any) -> T:
        """This entry as a record, with the fields that are `known` from elsewhere."""
        return record(**self.values(record, **known))

    def values(self, record: Any, **known: Any) -> dict[str, Any]:
        """The fields of the record by name, with those that are `known` from elsewhere."""
        return known | {form.name: self._field(form) for form in forms(record) if form.name not in known}

    def close(self) -> None:
        """Report every key that was not asked for."""
        for key in self.value:
            if key not in self._asked:
                known = ", ".join(sorted(self._asked))
                self.error("unknown_key", f"'{key}' is not known here. Known: {known}.", key)

    def _field(self, form: "Form") -> Any:
        key, kind = form.key, form.type
        inner = (*get_args(kind), None, None)
        if form.is_name:
            return self.name
        if is_record(kind):
            return (self.child if form.may_be_absent else self.part)(key, reading(kind))
        if is_record(inner[1]):  # by name
            return self.named(key, reading(inner[1]))
        if is_record(inner[0]):  # a list, or by name where its records have one
            if any(each.is_name for each in forms(inner[0])):
                return tuple(self.named(key, reading(inner[0])).values())
            return self.each(key, reading(inner[0]))
        if get_origin(kind) is Mapping and NoneType in get_args(inner[1]):
            parse = parser(inner[1])
            return self.child(key, lambda entry: {name: entry.may(name, parse) for name in entry.value}) or {}
        parse = parser(form.written)
        if form.may_be_absent:
            return self.may(key, parse)
        return self.need(key, parse) if form.default is MISSING else self.some(key, parse, form.default)

    def _item(self, value: Any, path: str, build: Build[T], name: str = "") -> T:
        if not isinstance(value, dict):
            self.report.error("wrong_value", "This must be an entry with keys of its own.", path)
            return cast(T, None)
        return self._built(value, path, name, build)

    def _built(self, value: Mapping[str, Any], path: str, name: str, build: Build[T]) -> T:
        entry = Entry(value, path, self.report, name)
        built = build(entry)
        entry.close()
        return built


def reading(record: type[T], **known: Any) -> Build[T]:
    """The function that reads an entry as a record."""
    return lambda entry: entry.read(record, **known)


class Form(NamedTuple):
    """How one field is written; `type` is what it holds, without None and annotations."""

    name: str
    key: str
    written: Any
    type: Any
    is_name: bool
    may_be_absent: bool
    default: Any


def is_record(written: Any) -> bool:
    return is_dataclass(written)


@cache
def forms(record: Any) -> tuple[Form, ...]:
    """How each field of a dataclass is written."""
    return tuple(_form(each) for each in fields(record))


def _form(field: "Field[Any]") -> Form:
    bare, notes, may_be_none = plain_type(field.type)
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return Form(
        name=field.name,
        key=next((each.key for each in notes if isinstance(each, Key)), field.name),
        written=field.type,
        type=bare,
        is_name=Mark.NAME in notes,
        may_be_absent=may_be_none or Mark.OPEN in notes,
        default=default,
    )


def plain_type(written: Any) -> tuple[Any, tuple[Any, ...], bool]:
    """A type without its annotations and without None, the annotations, and whether None was in it."""
    notes: tuple[Any, ...] = ()
    may_be_none = False
    while get_origin(written) is Annotated or NoneType in get_args(written):
        if get_origin(written) is Annotated:
            notes += written.__metadata__
            written = written.__origin__
        else:
            may_be_none = True
            written = next(each for each in get_args(written) if each is not NoneType)
    return written, notes, may_be_none


def parser(written: Any) -> Parse[Any]:
    """What reads a single value, a list of values or values by name, of this type."""
    bare, notes, _may_be_none = plain_type(written)
    own: Parse[Any] | None = next((each for each in notes if callable(each)), None)
    if own is not None:
        return own
    inner = get_args(bare)
    if get_origin(bare) is Literal:
        return one_of(inner)
    if get_origin(bare) is tuple:
        return list_of(parser(inner[0]))
    if get_origin(bare) is Mapping:
        return mapping if inner[1] is Any else by_name(parser(inner[1]))
    return PARSERS[bare]
