"""What the desk's forms may hold."""

from marshmallow import EXCLUDE, Schema, fields, validate

from lti_tool.gates.equivalency import APPROVAL_REASONS, DECLINE_REASONS
from lti_tool.gates.forms import MAX_TEXT, filled


class _ApprovalForm(Schema):
    class Meta:
        unknown = EXCLUDE

    reason_code = fields.String(load_default=APPROVAL_REASONS[0], validate=validate.OneOf(APPROVAL_REASONS))
    text = fields.String(load_default="", validate=validate.Length(max=MAX_TEXT))


class _DeclineForm(Schema):
    class Meta:
        unknown = EXCLUDE

    reason_code = fields.String(load_default=DECLINE_REASONS[0], validate=validate.OneOf(DECLINE_REASONS))
    text = fields.String(required=True, validate=filled("Tell the person why, and what to do instead.", MAX_TEXT))


class _QuestionForm(Schema):
    class Meta:
        unknown = EXCLUDE

    question = fields.String(required=True, validate=filled("Write the question.", MAX_TEXT))


APPROVAL = _ApprovalForm()
DECLINE = _DeclineForm()
QUESTION = _QuestionForm()

REASON_WORDS = {
    "equivalent_outside": "Equivalent training elsewhere",
    "equivalent_inside": "Equivalent inside the programme",
    "tested_out": "Tested out",
    "administrative": "Administrative",
    "not_equivalent": "Not equivalent",
    "provider_not_accepted": "Provider not accepted",
    "evidence_missing": "Evidence missing",
}
