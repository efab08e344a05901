"""What the forms about courses may hold."""

from marshmallow import EXCLUDE, Schema, fields, validate

LONGEST_ID = 255
MOST_UNITS = 1000
# 18 digits are below the largest id of either database.
LARGEST_ID = 10**18 - 1


class _ConfirmForm(Schema):
    class Meta:
        unknown = EXCLUDE

    platform = fields.Integer(required=True, validate=validate.Range(1, LARGEST_ID))
    course = fields.String(load_default="", validate=validate.Length(max=LONGEST_ID))
    unit = fields.List(
        fields.Integer(validate=validate.Range(1, LARGEST_ID)),
        required=True,
        validate=validate.Length(min=1, max=MOST_UNITS),
    )


class _AssignForm(Schema):
    class Meta:
        unknown = EXCLUDE

    module = fields.String(required=True, validate=validate.Length(1, LONGEST_ID))


CONFIRM = _ConfirmForm()
ASSIGN = _AssignForm()
