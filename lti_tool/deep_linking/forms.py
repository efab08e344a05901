"""What the picker's form may hold: ids of choices, what grades mean, and whether to answer with nothing at all."""

from dataclasses import dataclass
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, post_load, validate

from lti_tool.deep_linking.choices import ScoreMeaning

MOST_CHOICES = 100


@dataclass(frozen=True, slots=True)
class Picked:
    """A form as it was sent; `score` None: what the programme says. `nothing`: the person sends an empty answer."""

    choice: tuple[str, ...]
    score: ScoreMeaning | None
    nothing: bool


class _PickedForm(Schema):
    class Meta:
        unknown = EXCLUDE

    choice = fields.List(
        fields.String(), load_default=list, validate=validate.Length(max=MOST_CHOICES, error="Choose fewer at once.")
    )
    score = fields.String(
        load_default=None,
        validate=validate.OneOf(("completion", "ce"), error="Choose what the grade means."),
    )
    nothing = fields.Boolean(load_default=False)

    @post_load
    def _picked(self, given: dict[str, Any], **_: Any) -> Picked:
        return Picked(tuple(given["choice"]), given["score"], given["nothing"])


PICKED = _PickedForm()
