"""A programme as plain values in one form: what means the same looks the same. The digest and the diff rest on it."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time
from decimal import Decimal
from hashlib import sha256
from typing import Any

from lti_tool.programme.model import Programme

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
