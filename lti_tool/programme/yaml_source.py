"""YAML text to plain values, with the line of every path, and no surprises.

PURE. Only PyYAML's parser is used, never its constructors: no tags, no guessed dates or octal times, no objects. What
can't be read is a Problem, never an exception: size, depth, number of values and aliases are capped before anything is
kept, so no input can exhaust the reader.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import yaml


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding in a document. An `error` keeps it from being published, a `warning` does not.

    `code` is stable (snake_case), `message` a sentence for the person who edits the document, `path` the place in its
    own words (`gates.foundational.rule.any[1]`); `file` and `line` (from 1; 0 if unknown) say where that is written.
    """

    severity: Literal["error", "warning"]
    code: str
    message: str
    path: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.severity}: {self.message} [{self.code}] at {self.path or 'the document'}"


MAX_BYTES = 1_000_000
MAX_DEPTH = 24
MAX_VALUES = 20_000
MAX_KEY = 64

WHOLE = re.compile(r"-?[0-9]{1,15}")
FRACTION = re.compile(r"-?[0-9]{1,12}\.[0-9]{1,12}")
WORDS: Mapping[str, Any] = {"": None, "null": None, "~": None, "true": True, "false": False}

_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Source:
    """A document as plain dicts, lists, texts, whole numbers, Decimals, booleans and None. `lines` gives the line of a
    path, counted from 1; a document with an error has the value None."""

    value: Any
    lines: Mapping[str, int]
    problems: tuple[Problem, ...]

    def line_of(self, path: str) -> int:
        """The line of the path, or of the nearest place above it that is written."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path, 1)


class _Refused(Exception):
    def __init__(self, code: str, message: str, path: str, line: int) -> None:
        super().__init__(message)
        self.problem = Problem("error", code, message, path, line=line)


def load_yaml(text: str | bytes) -> Source:
    """Read one YAML document of at most 1 MB. Never raises: `problems` says what is wrong."""
    try:
        if len(text) > MAX_BYTES:
            raise _Refused("yaml_too_large", f"The document is larger than {MAX_BYTES:,} bytes.", "", 0)
        building = _Building((text if isinstance(text, bytes) else text.encode()).decode("utf-8-sig"))
        value = building.document()
    except UnicodeError:
        return Source(None, {}, (Problem("error", "yaml_not_utf8", "The document is not UTF-8 text.", ""),))
    except _Refused as refusal:
        return Source(None, {}, (refusal.problem,))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 0
        what = getattr(error, "problem", None) or "a character that YAML does not allow"
        return Source(None, {}, (Problem("error", "yaml_syntax", f"This is not valid YAML: {what}.", "", line=line),))
    if building.problems:
        return Source(None, building.lines, tuple(building.problems))
    return Source(value, building.lines, ())


class _Building:
    """Turns the parser's events into values. Depth is capped, so the recursion is as deep as the cap at most."""

    def __init__(self, text: str) -> None:
        self.lines: dict[str, int] = {}
        self.problems: list[Problem] = []
        self._events: Iterator[Any] = yaml.parse(text, Loader=_Parser)
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._values = 0

    def document(self) -> Any:
        next(self._events)  # the stream starts
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise _Refused("yaml_empty", "The document is empty.", "", 1)
        value = self._value(next(self._events), "", 0)
        next(self._events)  # the document ends
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise _Refused("yaml_several", "There is a second document after '---'.", "", _line(after))
        return value

    def _value(self, event: Any, path: str, depth: int) -> Any:
        value: Any
        self.lines.setdefault(path, _line(event))
        self._count(1, event, path)
        if depth > MAX_DEPTH:
            raise _Refused("yaml_too_deep", f"More than {MAX_DEPTH} levels inside one another.", path, _line(event))
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                message = "This alias names nothing that is written before it."
                raise _Refused("yaml_alias", message, path, _line(event))
            value, size = self._anchors[event.anchor]
            self._count(size, event, path)
            return value
        if event.tag is not None:
            raise _Refused("yaml_tag", "Tags (words starting with '!') are not read.", path, _line(event))
        before = self._values
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            value = self._mapping(path, depth)
        else:
            value = []
            while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
                value.append(self._value(inner, f"{path}[{len(value)}]", depth + 1))
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._values - before + 1)
        return value

    def _count(self, more: int, event: Any, path: str) -> None:
        self._values += more
        if self._values > MAX_VALUES:
            message = f"More than {MAX_VALUES:,} values, aliases counted in full."
            raise _Refused("yaml_too_many", message, path, _line(event))

    def _mapping(self, path: str, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
                raise _Refused("yaml_key", "A name on the left of ':' must be a plain word.", path, _line(event))
            key = event.value
            if not 0 < len(key) <= MAX_KEY:
                message = f"A name on the left of ':' has 1 to {MAX_KEY} characters."
                raise _Refused("yaml_key", message, path, _line(event))
            place = f"{path}.{key}" if path else key
            if key in values:
                message = f"'{key}' is written twice."
                self.problems.append(Problem("error", "yaml_duplicate_key", message, place, line=_line(event)))
            self.lines.setdefault(place, _line(event))
            values[key] = self._value(next(self._events), place, depth + 1)
        return values


def _scalar(event: Any) -> Any:
    text: str = event.value
    if event.style is not None and event.style != "":
        return text
    if text in WORDS:
        return WORDS[text]
    if WHOLE.fullmatch(text):
        return int(text)
    return Decimal(text) if FRACTION.fullmatch(text) else text


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
