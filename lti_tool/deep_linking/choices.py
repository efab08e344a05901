"""What a link of a course may open, from the published programme. PURE.

A picked link says what it opens twice, in its address and in `custom`: platforms keep one, the other or both, and both
stay the same when a course is run again and every resource link id changes.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

from lti_tool.programme.model import Module, Programme

ScoreMeaning = Literal["completion", "ce"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing to pick. `id` is also what a launch of the link is known by (placements.content); `path` is our own."""

    id: str
    title: str
    says: str
    path: str
    custom: Mapping[str, str] = field(default_factory=dict)
    offering: str | None = None
    """The module or retreat behind it."""
    is_scored: bool = False
    earns_credit: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Choices that belong together, such as a series of modules."""

    id: str
    title: str
    choices: tuple[Choice, ...]


def groups(programme: Programme) -> tuple[Group, ...]:
    """Everything that can be picked now: what the programme offers, and the pages of the tool."""
    series = [Group(each.id, each.title, _modules(programme, each.modules)) for each in programme.series]
    listed = {module_id for each in programme.series for module_id in each.modules}
    others = Group(
        "modules", "Other modules", _modules(programme, (id for id in programme.modules if id not in listed))
    )
    retreats = Group("retreats", "Retreats", tuple(_retreats(programme)))
    pages = Group("pages", "Pages for the whole course", PAGES)
    return tuple(each for each in (*series, others, retreats, pages) if each.choices)


def find(programme: Programme, ids: Iterable[str]) -> list[Choice]:
    """The choices of these ids, each once, in the order of the page. Raises KeyError for an id that is not offered."""
    offered = {choice.id: choice for group in groups(programme) for choice in group.choices}
    wanted = {offered[each].id for each in ids}
    return [choice for choice in offered.values() if choice.id in wanted]


def custom_of(choice: Choice, score: ScoreMeaning | None) -> dict[str, str]:
    """The custom parameters that the link carries; what its grade means only where there are two meanings."""
    return {**choice.custom, "score": score} if score and choice.earns_credit else dict(choice.custom)


def meaning_of(choice: Choice, score: ScoreMeaning | None) -> ScoreMeaning:
    """What the grade of the link means: completion where there is no credit to earn."""
    return score if score and choice.earns_credit else "completion"


def _modules(programme: Programme, ids: Iterable[str]) -> tuple[Choice, ...]:
    return tuple(_module(programme.modules[each]) for each in ids if programme.is_published(each))


def _module(module: Module) -> Choice:
    return Choice(
        id=f"module:{module.id}",
        title=module.label,
        says=module.subtitle or "",
        path=f"/modules/{quote(module.id, safe='')}",
        custom={"module_id": module.id},
        offering=module.id,
        is_scored=True,
        earns_credit=any(module.credits.values()),
    )


def _retreats(programme: Programme) -> Iterator[Choice]:
    for retreat in programme.retreats.values():
        if programme.is_published(retreat.id):
            yield Choice(
                id=f"retreat:{retreat.id}",
                title=retreat.title,
                says="Its dates, who may apply, and the application.",
                path=f"/retreats/{quote(retreat.id, safe='')}",
                custom={"retreat_id": retreat.id},
                offering=retreat.id,
            )


def _page(name: str, title: str, says: str, path: str) -> Choice:
    return Choice(id=f"page:{name}", title=title, says=says, path=path, custom={"page": name})


PAGES = (
    _page("dashboard", "Dashboard", "Every module with its state for the learner, and what comes next.", "/"),
    _page("retreats", "All retreats", "Every retreat, and how the learner stands to it.", "/retreats"),
    _page("calendar", "Calendar", "The learner's live sessions, to subscribe to.", "/calendar"),
)
