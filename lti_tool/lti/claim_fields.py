"""How a claim is read: text of a bounded length, text that is only shown, a claim that holds claims."""

import re
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields

LONGEST_ID = 255
LONGEST_URL = 2048
# Canvas puts a token of its own into the address that picked content goes back to.
LONGEST_RETURN_URL = 8192
LONGEST_SHOWN = 255
# Longer than any `data` that fits into a token we read (id_token.LONGEST_TOKEN).
LONGEST_DATA = 64 * 1024
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def is_plain_text(value: object, longest: int) -> bool:
    """Whether a value is text of this length that every database takes: no NUL, no half of a surrogate pair."""
    return isinstance(value, str) and len(value) <= longest and UNSTORABLE.search(value) is None


def plain_text(longest: int = LONGEST_ID, *, claim: str | None = None, required: bool = False) -> fields.String:
    """Text of a bounded length; null where the claim may be missing."""

    def verify(value: str) -> None:
        if not is_plain_text(value, longest):
            raise ValidationError("not text of this length")

    return fields.String(required=required, allow_none=not required, validate=verify, data_key=claim)


def shown() -> fields.Function:
    """Text that is only shown: cut at a length instead of refused."""

    def cut(value: Any) -> str:
        if not isinstance(value, str) or not is_plain_text(value[:LONGEST_SHOWN], LONGEST_SHOWN):
            raise ValidationError("not text")
        return value[:LONGEST_SHOWN]

    return fields.Function(deserialize=cut, allow_none=True)


class Section(fields.Nested):
    """A claim that holds claims and may be missing; platforms written in PHP send an empty one as an empty list."""

    def __init__(self, schema: type[Schema], claim: str) -> None:
        super().__init__(schema, allow_none=True, data_key=claim)

    def deserialize(self, value: Any, *args: Any, **named: Any) -> Any:
        return super().deserialize(None if value in ([], "") else value, *args, **named)


class Claims(Schema):
    """Unknown claims are ignored."""

    class Meta:
        unknown = EXCLUDE
