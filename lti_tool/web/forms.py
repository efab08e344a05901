"""How every page reads the form that was sent: one field by name, or all fields through a schema.

Texts that a record judges itself, such as a reason, are read by name. A schema says what the other forms may hold.
"""

from collections.abc import Callable, Mapping
from typing import Any

from flask import request as http_request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load

from lti_tool.errors import BadInput, GatehouseError
from lti_tool.languages import gettext, translated
from lti_tool.text import clean_lines

# 18 digits are below the largest id of either database.
MAX_ID = 10**18 - 1
MAX_TITLE = 255
MAX_TEXT = 4000

# Name of the field → what is wrong with it.
Problems = dict[str, list[str]]


class Form(Schema):
    """A form of ours. Unknown fields, such as the CSRF token, are ignored."""

    class Meta:
        unknown = EXCLUDE

    @pre_load
    def leave_out_empty(self, data: Any, **_: Any) -> dict[str, Any]:
        """Treat an empty field as missing: a browser sends every field."""
        return {name: value for name, value in data.items() if not isinstance(value, str) or value.strip()}


def required_text(error: str, label: str, longest: int = MAX_TEXT) -> fields.String:
    """A text that must be there and has at most `longest` characters. `label` is what the page calls it."""
    return fields.String(required=True, validate=_at_most(longest, label), error_messages={"required": error})


def optional_text(label: str, longest: int = MAX_TEXT, *, default: str | None = "") -> fields.String:
    """A text that may be left out and has at most `longest` characters. `label` is what the page calls it."""
    return fields.String(load_default=default, validate=_at_most(longest, label))


def _at_most(longest: int, label: str) -> Callable[[str], None]:
    def verify(text: str) -> None:
        if len(text) > longest:
            raise ValidationError(
                gettext(
                    "%(label)s: please use at most %(longest)s characters.", label=translated(label), longest=longest
                )
            )

    return verify


def field(name: str) -> str:
    """One field of the form that was sent, cleaned; "" if it is missing."""
    return clean_lines(http_request.form.get(name, ""))


def sent(*lists: str) -> dict[str, Any]:
    """All fields of the form that was sent, cleaned. Those named in `lists` may occur several times."""
    given = {name: clean_lines(value) for name, value in http_request.form.items()}
    return given | {name: [clean_lines(each) for each in http_request.form.getlist(name)] for name in lists}


def problems(refusal: GatehouseError, field_of: Mapping[str, str]) -> Problems:
    """What a record refused, at the field that it is about: `field_of` gives it by the code of the refusal."""
    return {field_of.get(refusal.code, "form"): [f"{refusal.message} {refusal.next_step}".strip()]}


def read(form: Form, *lists: str, refusal: tuple[str, str, str] | None = None) -> dict[str, Any]:
    """The values of the form that was sent.

    Raises BadInput: `refusal` (code, message, next step), or `form_incomplete` with the first problem.
    """
    try:
        values: dict[str, Any] = form.load(sent(*lists))
    except ValidationError as error:
        if refusal is not None:
            raise BadInput(*refusal) from error
        first = str(next(iter(error.messages_dict.values()))[0])
        raise BadInput("form_incomplete", first, "Go back, complete the form and send it again.") from error
    return values
