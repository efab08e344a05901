"""Bodies of services' answers: JSON that may be of any shape, read without trust."""

import json
import math
from typing import Any

from lti_tool.http import Reply
from lti_tool.lti.claim_fields import LONGEST_ID, LONGEST_SHOWN, is_plain_text


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
