"""Published versions of the programme document: numbered from 1, never changed afterwards.

A version is kept as the text it was published from, and parsed once in a process. Two documents are compared in one
plain form, in which what means the same looks the same: the digest and the diff rest on it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, time
from decimal import Decimal
from functools import partial
from hashlib import sha256
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from lti_tool.errors import NotFound, ProgrammeError
from lti_tool.programme.loader import read_programme
from lti_tool.programme.model import Programme
from lti_tool.tables.programme import programme_versions

# Where something is written, not what it says.
BOOKKEEPING = frozenset({"path", "unset"})

# Lists whose order means nothing, and rules.
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
        "recommended",
        "refs",
        "rule",
        "screening_steps",
        "sets",
        "start_choices",
        "suggested_rule",
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
    """The plain form of the value of the field `name`. A list of records with ids is a mapping by id; a list whose
    order means nothing is sorted, as all are inside a rule (`gates` judges whether two rules mean the same)."""
    if is_dataclass(value):
        return {
            each.name: _plain(getattr(value, each.name), each.name)
            for each in fields(value)
            if each.name not in BOOKKEEPING
        }
    if isinstance(value, Mapping):
        return {str(key): _plain(each, name) for key, each in value.items()}
    if isinstance(value, tuple | list):
        key = next((each for each in ("id", "earlier") if value and hasattr(value[0], each)), None)
        if key is not None:
            return {getattr(each, key): _plain(each, name) for each in value}
        plain = [_plain(each, name) for each in value]
        return sorted(plain, key=partial(json.dumps, sort_keys=True)) if name in UNORDERED else plain
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return value.isoformat() if isinstance(value, date | time) else value


@dataclass(frozen=True, slots=True)
class Published:
    """One published version."""

    version: int
    programme: Programme


def current(connection: Connection) -> Published:
    """The version in force. Raises NotFound `programme_not_published` before the first."""
    last = newest(connection)
    if last is None:
        raise NotFound(
            "programme_not_published",
            "No programme has been published yet.",
            "Publish one with: gatehouse programme publish FILE",
        )
    return _published(connection, last)


def version(connection: Connection, number: int) -> Published:
    """One version by its number. Raises NotFound `programme_version_unknown`."""
    return _published(connection, _version_row(connection, number))


def document_of(connection: Connection, number: int) -> str:
    """The text that a version was published from. Raises NotFound `programme_version_unknown`."""
    return _document(connection, _version_row(connection, number).version)


def newest(connection: Connection) -> Row[Any, Any] | None:
    """The row of the latest version; None before the first."""
    return connection.execute(_newest_version).first()


def _version_row(connection: Connection, number: int) -> Row[Any, Any]:
    row = connection.execute(_one_version, {"number": number}).first()
    if row is None:
        raise NotFound("programme_version_unknown", f"There is no programme version {number}.")
    return row


def _document(connection: Connection, number: int) -> str:
    wanted = select(programme_versions.c.document).where(programme_versions.c.version == number)
    return str(connection.execute(wanted).scalar_one())


# Programmes by the digest of their document. The number of versions is small, so none is ever dropped. One thread
# parses, and those that want the same one wait.
_parsed: dict[str, Programme] = {}
_parsing = Lock()


def _published(connection: Connection, row: Row[Any, Any]) -> Published:
    """A version as it was checked. One that this release can no longer read opens nothing."""
    if row.digest not in _parsed:
        with _parsing:
            if row.digest not in _parsed:
                _parsed[row.digest] = _parse(connection, row)
    return Published(row.version, _parsed[row.digest])


def _parse(connection: Connection, row: Row[Any, Any]) -> Programme:
    checked = read_programme(_document(connection, row.version), f"version {row.version}")
    if checked.programme is None:
        message = f"Programme version {row.version} cannot be read by this release: {checked.errors[0]}"
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
