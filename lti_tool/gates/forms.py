"""What the forms about training elsewhere may hold. Built once; unknown fields (the CSRF token) are left out."""

from collections.abc import Callable
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load, validate

MAX_TITLE = 255
MAX_TEXT = 4000


def filled(says: str, most: int) -> Callable[[str], None]:
    """A text that is not only spaces and not longer than `most` characters."""

    def check(text: str) -> None:
        if not text.strip():
            raise ValidationError(says)
        if len(text) > most:
            raise ValidationError(f"Please use at most {most} characters.")

    return check


class _Form(Schema):
    class Meta:
        unknown = EXCLUDE

    @pre_load
    def leave_out_empty(self, data: Any, **_: Any) -> dict[str, Any]:
        """A browser sends every field; one left empty is one not given."""
        return {name: value for name, value in data.items() if str(value).strip()}


def _needed(says: str, most: int) -> fields.String:
    return fields.String(required=True, validate=filled(says, most), error_messages={"required": says})


class _RequestForm(_Form):
    provider = fields.String(required=True, error_messages={"required": "Choose where you trained."})
    provider_name = fields.String(load_default=None, validate=validate.Length(max=MAX_TITLE))
    course_title = _needed("Give the title of the course.", MAX_TITLE)
    completed_on = fields.Date(
        required=True,
        error_messages={"required": "Give the day on which it ended.", "invalid": "Give the day as year-month-day."},
    )
    evidence_note = _needed("Say what shows that you took it, for example a certificate and who issued it.", MAX_TEXT)
    statement = fields.String(
        required=True,
        validate=validate.Equal("yes", error="Confirm that what you say is true."),
        error_messages={"required": "Confirm that what you say is true."},
    )
    full_review = fields.String(load_default=None)


class _AnswerForm(_Form):
    answer = _needed("Write your answer.", MAX_TEXT)


REQUEST = _RequestForm()
ANSWER = _AnswerForm()
