"""The deep linking picker: a teacher chooses what a link opens, and the signed answer goes back to the platform.

A picked link says what it opens twice, in its address and in `custom`. Platforms keep one, the other or both, and both
stay the same when a course is run again and every resource link id changes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal
from urllib.parse import quote

from flask import Blueprint
from marshmallow import ValidationError, fields, validate
from werkzeug.wrappers import Response

from lti_tool import audit
from lti_tool.gates import wording
from lti_tool.grades import line_items
from lti_tool.lti import deep_linking
from lti_tool.lti.deep_linking import ContentItem, DeepLinkRequest
from lti_tool.lti.registration import load
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.rights import SET_UP_UNITS
from lti_tool.web import headers
from lti_tool.web.forms import Form, Problems, sent
from lti_tool.web.page import show
from lti_tool.web.request import connection, context, now
from lti_tool.web.session import access, viewer
from lti_tool.web.staff import overview

ScoreMeaning = Literal["completion", "ce"]
Page = str | Response | tuple[str, int]

MAX_CHOICES = 100
PICKED_ONE, PICKED_MORE, PICKED_NONE = "The link is ready.", "The links are ready.", "Nothing was picked."


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing to pick. `id` is also the content of the link's launches (placements.content), `path` is its page.
    `offering` is the module or retreat behind it."""

    id: str
    title: str
    says: str
    path: str
    custom: Mapping[str, str] = field(default_factory=dict)
    offering: str | None = None
    is_scored: bool = False
    earns_credit: bool = False


PAGES = (
    Choice(
        id="page:dashboard",
        title="Dashboard",
        says="Every module with its state for the learner, and what comes next.",
        path="/",
        custom={"page": "dashboard"},
    ),
    Choice(
        id="page:retreats",
        title="All retreats",
        says="Every retreat, and whether the learner may apply.",
        path="/retreats",
        custom={"page": "retreats"},
    ),
    Choice(
        id="page:calendar",
        title="Calendar",
        says="The learner's live sessions, as a calendar to subscribe to.",
        path="/calendar",
        custom={"page": "calendar"},
    ),
)


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
    others = _modules(programme, (id for id in programme.modules if id not in listed))
    retreats = tuple(
        Choice(
            id=f"retreat:{retreat.id}",
            title=retreat.title,
            says="Its dates, who may apply, and the application.",
            path=f"/retreats/{quote(retreat.id, safe='')}",
            custom={"retreat_id": retreat.id},
            offering=retreat.id,
        )
        for retreat in programme.retreats.values()
        if programme.is_published(retreat.id)
    )
    every = (
        *series,
        Group("modules", "Other modules", others),
        Group("retreats", "Retreats", retreats),
        Group("pages", "Pages for the whole course", PAGES),
    )
    return tuple(each for each in every if each.choices)


def _modules(programme: Programme, ids: Iterable[str]) -> tuple[Choice, ...]:
    return tuple(
        Choice(
            id=f"module:{module.id}",
            title=module.label,
            says=module.subtitle or "",
            path=f"/modules/{quote(module.id, safe='')}",
            custom={"module_id": module.id},
            offering=module.id,
            is_scored=True,
            earns_credit=any(module.credits.values()),
        )
        for module in (programme.modules[each] for each in ids if programme.is_published(each))
    )


def find(programme: Programme, ids: Iterable[str]) -> list[Choice]:
    """The choices of these ids, each once, in the order of the page. Raises KeyError for an id that is not offered."""
    offered = {choice.id: choice for group in groups(programme) for choice in group.choices}
    wanted = {offered[each].id for each in ids}
    return [choice for choice in offered.values() if choice.id in wanted]


def custom_of(choice: Choice, score: ScoreMeaning | None) -> dict[str, str]:
    """The custom parameters of the link. They include the meaning of its grade only if there are two meanings."""
    return {**choice.custom, "score": score} if score and choice.earns_credit else dict(choice.custom)


def meaning_of(choice: Choice, score: ScoreMeaning | None) -> ScoreMeaning:
    """The meaning of the link's grade: completion if there is no credit to earn."""
    return score if score and choice.earns_credit else "completion"


@dataclass(frozen=True, slots=True)
class Picked:
    """A form as it was sent. `score` is None if the programme decides; `nothing` asks for an empty answer."""

    choice: tuple[str, ...] = ()
    score: ScoreMeaning | None = None
    nothing: bool = False


class PickedForm(Form):
    """The picked choices and the meaning of their grade, or `nothing`."""

    choice = fields.List(
        fields.String(), load_default=(), validate=validate.Length(max=MAX_CHOICES, error="Choose fewer at once.")
    )
    score = fields.String(
        load_default=None,
        validate=validate.OneOf(("completion", "ce"), error="Choose what the grade means."),
    )
    nothing = fields.Boolean(load_default=False)


PICKED = PickedForm()

blueprint = Blueprint("deep_linking", __name__, url_prefix="/deep-linking")


@blueprint.get("/<int:deep_link_id>")
@access(SET_UP_UNITS)
def picker(deep_link_id: int) -> Page:
    """Everything that can be picked, each with its gate in words."""
    asked = _load_request(deep_link_id)
    # A new tool makes its first key here. A view that writes would wait for another writer, which is itself.
    context().keys.signing_key()
    return _picker(asked, Picked(), {})


@blueprint.post("/<int:deep_link_id>")
@access(SET_UP_UNITS)
def answer(deep_link_id: int) -> Page:
    """Sign what was picked, or that nothing was, for the browser to send to the platform. Works once."""
    asked, programme = _load_request(deep_link_id), versions.current(connection()).programme
    given = sent("choice")
    try:
        values = PICKED.load(given)
        picked = Picked(tuple(values["choice"]), values["score"], values["nothing"])
        chosen = _load_choices(programme, asked, picked)
    except ValidationError as error:
        return _picker(asked, Picked(choice=tuple(given["choice"])), error.messages_dict), 422
    score = picked.score or programme.scores.single_line_item
    return _answer_page(programme, asked, chosen, [_content_item(programme, asked, each, score) for each in chosen])


def _load_request(deep_link_id: int) -> DeepLinkRequest:
    who = viewer()
    return deep_linking.load(
        connection(),
        deep_link_id,
        trainee_id=who.trainee_id,
        registration_id=who.registration_id,
        context_id=who.context_id,
        now=now(),
    )


def _picker(asked: DeepLinkRequest, picked: Picked, problems: Problems) -> str:
    registration = load(connection(), asked.registration_id)
    deep_linking.verify_return_url(registration, asked.settings.return_url, context().http.check_url)
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


def _load_choices(programme: Programme, asked: DeepLinkRequest, picked: Picked) -> list[Choice]:
    """The picked choices. Raises ValidationError for none, too many, or one that is not offered here."""
    if picked.nothing:
        return []
    problem, chosen = "", []
    try:
        chosen = find(programme, picked.choice)
    except KeyError:
        problem = "This is not offered any more. Choose again."
    if deep_linking.offered_type(asked.settings) is None:
        problem = "Your learning platform takes no links in this place."
    elif not problem and not chosen:
        problem = "Choose what the link opens."
    elif len(chosen) > 1 and not asked.settings.accept_multiple:
        problem = "Your learning platform takes one link here. Choose one."
    if problem:
        raise ValidationError({"choice": [problem]})
    return chosen


def _content_item(programme: Programme, asked: DeepLinkRequest, choice: Choice, score: ScoreMeaning) -> ContentItem:
    """The link, with a gradebook column if it opens a module."""
    kind = deep_linking.offered_type(asked.settings)
    assert kind is not None
    module, meaning = programme.modules.get(choice.offering or ""), meaning_of(choice, score)
    profile = load(connection(), asked.registration_id).profile
    return ContentItem(
        type=kind,
        url=context().settings.public_url + choice.path,
        title=choice.title,
        text=choice.says,
        custom=custom_of(choice, score),
        score=line_items.new_column(module, profile, meaning) if module else None,
    )


def _answer_page(programme: Programme, asked: DeepLinkRequest, chosen: list[Choice], items: list[ContentItem]) -> str:
    """The form that goes to the platform. From here on the request counts as answered."""
    registration = load(connection(), asked.registration_id)
    url = asked.settings.return_url
    to = deep_linking.verify_return_url(registration, url, context().http.check_url)
    message = (PICKED_ONE if len(items) == 1 else PICKED_MORE) if items else PICKED_NONE
    key, deployment_id = context().keys.signing_key(), asked.deployment_id
    token = deep_linking.sign_response(key, registration, deployment_id, asked.settings, items, message, now())
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
    profile = registration.profile
    return show("staff/deep_linking_send.html", programme, return_url=url, token=token, chosen=chosen, platform=profile)
