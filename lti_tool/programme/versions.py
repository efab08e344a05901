"""Publishing programme documents: checked whole, numbered from 1, never changed afterwards.

A version is kept as the text it was published from. Reading one is done once per process: the parsed programme is kept
by its digest.

A programme as plain values in one form: what means the same looks the same. The digest and the diff rest on it.

What changed between two programmes, in meaning and not in layout.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, time
from decimal import Decimal
from hashlib import sha256
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from lti_tool.errors import NotFound, ProgrammeError
from lti_tool.programme.loader import read_programme
from lti_tool.programme.model import Programme
from lti_tool.tables.programme import programme_versions

# Where the document was written down, not what it says.
BOOKKEEPING = frozenset({"path", "unset"})

# Lists whose order carries no meaning.
UNORDERED = frozenset(
    {
        "accepted_for",
        "acknowledged",
        "also_called",
        "also_spelt",
        "audience",
        "licence_types",
        "licences",
        "made_for_demonstration",
        "refs",
        "screening_steps",
        "sets",
        "start_choices",
        "teachers",
        "teaches",
    }
)


def canonical(programme: Programme) -> dict[str, Any]:
    """The programme as mappings, lists, texts, numbers, booleans and None; named things by their name."""
    plain: dict[str, Any] = _plain(programme, "")
    return plain


def programme_digest(programme: Programme) -> str:
    """SHA-256 that is the same for two documents of one meaning, however they are laid out."""
    return sha256(json.dumps(canonical(programme), sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _plain(value: Any, name: str) -> Any:
    if is_dataclass(value):
        kept = (each.name for each in fields(value) if each.name not in BOOKKEEPING)
        return {each: _plain_field(value, each) for each in kept}
    if isinstance(value, Mapping):
        return {str(key): _plain(each, name) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return _listed(value, name)
    return _scalar(value)


def _plain_field(record: Any, name: str) -> Any:
    value = getattr(record, name)
    if name in ("rule", "recommended", "suggested_rule") and value is not None:
        return _rule(value)
    return _plain(value, name)


def _listed(values: Any, name: str) -> Any:
    """A list of things with ids is a mapping by id; one whose order means nothing is sorted."""
    key = next((each for each in ("id", "earlier") if values and hasattr(values[0], each)), None)
    if key is not None:
        return {getattr(value, key): _plain(value, name) for value in values}
    plain = [_plain(value, name) for value in values]
    return sorted(plain, key=_sortable) if name in UNORDERED else plain


def _rule(node: Any) -> Any:
    """A rule without the order of its keys and children; gates.rules judges whether two rules mean the same."""
    if isinstance(node, Mapping):
        return {str(key): _rule(each) for key, each in node.items()}
    if isinstance(node, list | tuple):
        return sorted((_rule(each) for each in node), key=_sortable)
    return _scalar(node)


def _scalar(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, date | time):
        return value.isoformat()
    return value


def _sortable(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Published:
    """One published version."""

    version: int
    programme: Programme


def current(connection: Connection) -> Published:
    """The version in force. Raises NotFound `programme_not_published` before the first."""
    newest = _newest(connection)
    if newest is None:
        raise NotFound(
            "programme_not_published",
            "No programme has been published yet.",
            "Publish one with: gatehouse programme publish FILE",
        )
    return _published(connection, newest)


def version(connection: Connection, number: int) -> Published:
    """One version by its number. Raises NotFound `programme_version_unknown`."""
    return _published(connection, _version_row(connection, number))


def document_of(connection: Connection, number: int) -> str:
    """The text that a version was published from. Raises NotFound `programme_version_unknown`."""
    return _document(connection, _version_row(connection, number).version)


def _newest(connection: Connection) -> Row[Any, Any] | None:
    return connection.execute(_newest_version).first()


def _version_row(connection: Connection, number: int) -> Row[Any, Any]:
    row = connection.execute(_one_version, {"number": number}).first()
    if row is None:
        raise NotFound("programme_version_unknown", f"There is no programme version {number}.")
    return row


def _document(connection: Connection, number: int) -> str:
    wanted = select(programme_versions.c.document).where(programme_versions.c.version == number)
    return str(connection.execute(wanted).scalar_one())


class _Parsed:
    """Programmes by digest, parsed once. The number of versions is small, so nothing is ever dropped."""

    def __init__(self) -> None:
        self._programmes: dict[str, Programme] = {}
        self._turn = Lock()

    def find(self, digest: str) -> Programme | None:
        return self._programmes.get(digest)

    def keep(self, digest: str, programme: Programme) -> Programme:
        with self._turn:
            return self._programmes.setdefault(digest, programme)


_parsed = _Parsed()


def _published(connection: Connection, row: Row[Any, Any]) -> Published:
    programme = _parsed.find(row.digest)
    if programme is None:
        programme = _parsed.keep(row.digest, _read_again(_document(connection, row.version), row.version))
    return Published(row.version, programme)


def _read_again(document: str, number: int) -> Programme:
    """A published document, read as it was checked. What this release can no longer read opens nothing."""
    checked = read_programme(document, f"version {number}")
    if checked.programme is None:
        message = f"Programme version {number} cannot be read by this release: {checked.errors[0]}"
        raise ProgrammeError("programme_version_unreadable", message, "Publish a corrected document.", status=500)
    return checked.programme


_versions = select(programme_versions.c.version, programme_versions.c.digest)
_newest_version = _versions.order_by(programme_versions.c.version.desc()).limit(1)
_one_version = _versions.where(programme_versions.c.version == bindparam("number"))


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
