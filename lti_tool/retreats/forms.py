"""What the application to a retreat may hold: a date and one statement. There is no field for anything about health."""

from marshmallow import EXCLUDE, Schema, fields


class _ApplicationForm(Schema):
    class Meta:
        unknown = EXCLUDE

    starts_on = fields.Date(
        required=True, error_messages={"required": "Choose a date.", "invalid": "Choose one of the dates."}
    )
    statement = fields.String(load_default=None)


APPLICATION = _ApplicationForm()
