"""What a column of a gradebook means, and what ours are called on a platform.

A module has two: how much of it somebody attended, and the credit they earned (ce.md G1). Nothing is asked here.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from lti_tool.lti.line_items import LINE_ITEM_SCOPE, LineItem, NewLineItem
from lti_tool.lti.quirks import Profile
from lti_tool.programme.model import Module, Programme

Meaning = Literal["completion", "ce"]

TAGS: dict[Meaning, str] = {"completion": "gatehouse-completion", "ce": "gatehouse-ce"}
LABELS: dict[Meaning, str] = {"completion": "attendance", "ce": "CE credit"}
COMPLETION_MAXIMUM = 100
LONGEST_LABEL = 100


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of a course that shows a module, as columns see it: `score` is the meaning that its link names."""

    placement_id: int
    registration_id: int
    profile: Profile
    module_id: str
    resource_link_id: str
    score: Meaning | None
    line_item_url: str | None
    line_items_url: str | None
    scopes: Collection[str]

    @property
    def can_make(self) -> bool:
        """Whether the tool may make columns in this course."""
        return self.line_items_url is not None and LINE_ITEM_SCOPE in self.scopes

    @property
    def trusts_given(self) -> bool:
        """Whether the one line item of the launch is the unit's own: where the tool makes them, Open edX names the
        first of several, whichever unit it belongs to (xblock-lti-consumer#707)."""
        return not (self.profile.grade_needs_bound_line_item and self.can_make)


def whole_maximum(credits: Decimal) -> int:
    """Credits as the whole number that Open edX asks for: 6.5 becomes 65, 3.75 becomes 375 (ce.md G5)."""
    tens = max(1, -int(credits.normalize().as_tuple().exponent))
    return int(credits.scaleb(tens))


def meanings(programme: Programme, unit: Unit) -> tuple[Meaning, ...]:
    """What the unit's columns mean, its own first. Where there is but one: what its link says, else the programme's
    choice. Elsewhere both, as far as the module earns credit, but for a link that is there for the credit alone."""
    if unit.profile.one_grade_per_link or not unit.can_make:
        return (unit.score or programme.scores.single_line_item,)
    if unit.score == "ce":
        return ("ce",)
    return ("completion", "ce") if largest_credit(programme.modules.get(unit.module_id)) else ("completion",)


def largest_credit(module: Module | None) -> Decimal | None:
    """The most credits of one body that a module offers; None where it offers none."""
    offered = [] if module is None else [credits for credits in module.credits.values() if credits]
    return max(offered, default=None)


def resource_id(module_id: str, meaning: Meaning) -> str:
    """By what a column of ours is known on any platform, also after a course was copied: "F1:completion"."""
    return f"{module_id}:{meaning}"


def new_column(programme: Programme, unit: Unit, meaning: Meaning) -> NewLineItem:
    """The line item to be made. Only the unit's own column is tied to its link: with two, a platform would no longer
    name one of them at a launch (lti.md AG-1)."""
    module = programme.modules[unit.module_id]
    credits = largest_credit(module)
    is_own = meaning == meanings(programme, unit)[0]
    ending = f" – {LABELS[meaning]}"
    return NewLineItem(
        label=module.label[: LONGEST_LABEL - len(ending)].rstrip() + ending,
        maximum=whole_maximum(credits) if meaning == "ce" and credits else COMPLETION_MAXIMUM,
        resource_id=resource_id(unit.module_id, meaning),
        tag=TAGS[meaning],
        resource_link_id=unit.resource_link_id if is_own else None,
    )


def choose_bound(unit: Unit, new: NewLineItem, bound: Iterable[LineItem]) -> LineItem | None:
    """Of the line items tied to the unit's link the one to use; None when there is none for this module.

    The one of our own name comes first, then one that nobody named (the platform made it for the unit). Where the unit
    has a single grade, any will do: all of them write it.
    """
    ordered = sorted(bound, key=lambda item: (_name_of(item) != _name_of(new), bool(item.resource_id), item.url))
    if unit.profile.one_grade_per_link:
        return next(iter(ordered), None)
    return next((item for item in ordered if _name_of(item) == _name_of(new) or not item.resource_id), None)


def choose_named(unit: Unit, named: Iterable[LineItem]) -> LineItem | None:
    """Of the line items that carry our name the one to use: not one that is tied to another unit."""
    free = [item for item in named if item.resource_link_id in (None, unit.resource_link_id)]
    return min(free, key=lambda item: item.url, default=None)


def _name_of(item: LineItem | NewLineItem) -> tuple[str | None, str | None]:
    return item.resource_id, item.tag
