"""What changed between two programmes, in meaning and not in layout."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lti_tool.programme.canonical import canonical
from lti_tool.programme.model import Programme


@dataclass(frozen=True, slots=True)
class Change:
    """One change: `before` is None for what is new, `after` is None for what is gone; both are plain values."""

    path: str
    before: Any
    after: Any


def diff(old: Programme, new: Programme) -> list[Change]:
    """Every change from `old` to `new`, by path. The order of keys, of named things and of sets means nothing."""
    return list(_changes(canonical(old), canonical(new), ""))


def _changes(before: Any, after: Any, path: str) -> Iterator[Change]:
    if isinstance(before, Mapping) and isinstance(after, Mapping) and not path.endswith("rule"):
        for key in sorted(before.keys() | after.keys()):
            place = f"{path}.{key}" if path else key
            yield from _changes(before.get(key), after.get(key), place)
    elif before != after:
        yield Change(path, before, after)
