"""What the desk's forms about presence may hold. Texts are judged by the records, which refuse with codes of their own;
a field that is missing is an empty one."""

from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from lti_tool.errors import BadInput

PRESENT, ABSENT = "present", "absent"
LARGEST_ID = 10**18 - 1


class _Form(Schema):
    class Meta:
        unknown = EXCLUDE


class _MatchForm(_Form):
    trainee = fields.Integer(required=True, validate=validate.Range(1, LARGEST_ID))
    kind = fields.String(load_default="")
    reason = fields.String(load_default="")


class _ReasonForm(_Form):
    reason = fields.String(load_default="")


class _ReviewForm(_ReasonForm):
    person_key = fields.String(load_default="")
    digest = fields.String(load_default="")


class _CorrectionForm(_ReasonForm):
    what = fields.String(required=True, validate=validate.OneOf((PRESENT, ABSENT)))
    starts = fields.String(load_default="")
    ends = fields.String(load_default="")
    evidence = fields.String(load_default="")


class _AnswerForm(_Form):
    answer = fields.String(load_default="")


class _SearchForm(_Form):
    wanted = fields.String(load_default="")


MATCH = _MatchForm()
REASON = _ReasonForm()
REVIEW = _ReviewForm()
CORRECTION = _CorrectionForm()
ANSWER = _AnswerForm()
SEARCH = _SearchForm()


def read(form: Schema, given: dict[str, str]) -> dict[str, Any]:
    """The form's values. Raises BadInput `form_incomplete`; nothing is changed."""
    try:
        values: dict[str, Any] = form.load(given)
    except ValidationError as error:
        raise BadInput(
            "form_incomplete",
            "The form is incomplete, or holds something it cannot take.",
            "Go back, complete the form and send it again.",
        ) from error
    return values
