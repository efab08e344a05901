"""The picker inside the learning platform: a teacher chooses what a link opens, and the answer goes back signed.

What a link of a course may open, from the published programme. PURE.

A picked link says what it opens twice, in its address and in `custom`: platforms keep one, the other or both, and both
stay the same when a course is run again and every resource link id changes.

What the picker's form may hold: ids of choices, what grades mean, and whether to answer with nothing at all.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal
from urllib.parse import quote

from flask import Blueprint
from flask import request as http_request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate
from werkzeug.wrappers import Response

from lti_tool import audit
from lti_tool.gates import wording
from lti_tool.grades import line_items
from lti_tool.lti import deep_linking
from lti_tool.lti.deep_linking import LONGEST_LABEL, ContentItem, DeepLinkRequest, ItemScore
from lti_tool.lti.registration import Registration, load
from lti_tool.programme import versions
from lti_tool.programme.catalogue import Module
from lti_tool.programme.model import Programme
from lti_tool.web import headers
from lti_tool.web.page import show
from lti_tool.web.request import connection, house, now
from lti_tool.web.session import access, viewer
from lti_tool.web.staff import overview

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

blueprint = Blueprint("deep_linking", __name__)

Page = str | Response | tuple[str, int]

PICKED_ONE, PICKED_MORE, PICKED_NONE = "The link is ready.", "The links are ready.", "Nothing was picked."


@blueprint.get("/deep-linking/<int:request_id>")
@access("staff")
def picker(request_id: int) -> Page:
    """What can be picked, each with its gate in words."""
    asked = _asked(request_id)
    # The first key of a new tool is made here: a view that writes must not wait for another writer, which is itself.
    house().keys.signing_key()
    return _picker(asked, PICKED.load({}), {})


@blueprint.post("/deep-linking/<int:request_id>")
@access("staff")
def answer(request_id: int) -> Page:
    """Sign what was picked, or that nothing was, and hand it to the browser to send to the platform. Once."""
    asked, programme = _asked(request_id), versions.current(connection()).programme
    given = http_request.form.to_dict() | {"choice": http_request.form.getlist("choice")}
    try:
        picked = PICKED.load(given)
        chosen = _chosen(programme, asked, picked)
    except ValidationError as error:
        kept = Picked(choice=tuple(given["choice"]), score=None, nothing=False)
        return _picker(asked, kept, error.messages_dict), 422
    return _answer_page(asked, [_item(programme, asked, each, picked) for each in chosen], chosen)


def _asked(request_id: int) -> DeepLinkRequest:
    who = viewer()
    return deep_linking.load(
        connection(),
        request_id,
        trainee_id=who.trainee_id,
        registration_id=who.registration_id,
        context_id=who.context_id,
        now=now(),
    )


def _picker(asked: DeepLinkRequest, picked: Picked, problems: dict[str, list[str]]) -> str:
    registration = load(connection(), asked.registration_id)
    deep_linking.verify_return_url(registration, asked.settings.return_url, house().http.check_url)
    programme = versions.current(connection()).programme
    offered = groups(programme)
    return show(
        "staff/deep_linking.html",
        programme,
        asked=asked,
        kind=deep_linking.offered_type(asked.settings),
        groups=offered,
        has_credit=any(choice.earns_credit for group in offered for choice in group.choices),
        usual_score=picked.score or programme.scores.single_line_item,
        coming=overview.next_sessions(connection(), now()),
        in_words=partial(wording.gate_in_words, programme),
        platform=registration.profile,
        picked=picked,
        problems=problems,
    )


def _chosen(programme: Programme, asked: DeepLinkRequest, picked: Picked) -> list[Choice]:
    """The choices behind a form. Raises ValidationError for none, too many, or one that is not offered here."""
    if picked.nothing:
        return []
    if deep_linking.offered_type(asked.settings) is None:
        raise _problem("Your learning platform takes no links in this place.")
    try:
        chosen = find(programme, picked.choice)
    except KeyError as error:
        raise _problem("This is not offered any more. Choose again.") from error
    if not chosen:
        raise _problem("Choose what the link opens.")
    if len(chosen) > 1 and not asked.settings.accept_multiple:
        raise _problem("Your learning platform takes one link here. Choose one.")
    return chosen


def _problem(says: str) -> ValidationError:
    return ValidationError({"choice": [says]})


def _item(programme: Programme, asked: DeepLinkRequest, choice: Choice, picked: Picked) -> ContentItem:
    score = picked.score or programme.scores.single_line_item
    kind = deep_linking.offered_type(asked.settings)
    assert kind is not None
    return ContentItem(
        type=kind,
        url=house().settings.public_url + choice.path,
        title=choice.title,
        text=choice.says,
        custom=custom_of(choice, score),
        score=_line_item(programme, choice, meaning_of(choice, score)),
    )


def _line_item(programme: Programme, choice: Choice, meaning: ScoreMeaning) -> ItemScore | None:
    """The gradebook column that a module's link comes with, called as the ledger calls its own, which finds it so."""
    module = programme.modules.get(choice.offering or "")
    if module is None:
        return None
    ending = f" – {line_items.LABELS[meaning]}"
    credits = line_items.largest_credit(module)
    return ItemScore(
        label=choice.title[: LONGEST_LABEL - len(ending)].rstrip() + ending,
        maximum=line_items.whole_maximum(credits) if meaning == "ce" and credits else line_items.COMPLETION_MAXIMUM,
        resource_id=line_items.resource_id(module.id, meaning),
        tag=line_items.TAGS[meaning],
    )


def _answer_page(asked: DeepLinkRequest, items: list[ContentItem], chosen: list[Choice]) -> str:
    """The form that goes to the platform; the request counts as answered from here on."""
    registration = load(connection(), asked.registration_id)
    url = asked.settings.return_url
    to = deep_linking.verify_return_url(registration, url, house().http.check_url)
    token = _signed(asked, registration, items)
    deep_linking.answer(connection(), asked, now())
    audit.record(
        connection(),
        actor=viewer().actor,
        act="deep_link_answered",
        subject=f"platform:{registration.id}",
        at=now(),
        contents=[each.id for each in chosen],
    )
    headers.allow(form_to=[to])
    programme = versions.current(connection()).programme
    profile = registration.profile
    return show("staff/deep_linking_send.html", programme, return_url=url, token=token, chosen=chosen, platform=profile)


def _signed(asked: DeepLinkRequest, registration: Registration, items: list[ContentItem]) -> str:
    message = (PICKED_ONE if len(items) == 1 else PICKED_MORE) if items else PICKED_NONE
    return deep_linking.sign_response(
        house().keys.signing_key(), registration, asked.deployment_id, asked.settings, items, message, now()
    )
