"""The picker inside the learning platform: a teacher chooses what a link opens, and the answer goes back signed."""

from functools import partial

from flask import Blueprint
from flask import request as http_request
from marshmallow import ValidationError
from werkzeug.wrappers import Response

from lti_tool import audit, publication, security_headers
from lti_tool.deep_linking import choices, requests
from lti_tool.deep_linking.choices import Choice, ScoreMeaning
from lti_tool.deep_linking.forms import PICKED, Picked
from lti_tool.deep_linking.requests import DeepLinkRequest
from lti_tool.desk import overview
from lti_tool.gates import sentences
from lti_tool.grades import columns
from lti_tool.lti import deep_linking
from lti_tool.lti.deep_linking import LONGEST_LABEL, ContentItem, ItemScore
from lti_tool.lti.registration import Registration, load
from lti_tool.page import show
from lti_tool.programme.model import Programme
from lti_tool.request import connection, house, now
from lti_tool.session import access, viewer

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
    asked, programme = _asked(request_id), publication.current(connection()).programme
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
    return requests.load(
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
    programme = publication.current(connection()).programme
    groups = choices.groups(programme)
    return show(
        "deep_linking/picker.html",
        programme,
        asked=asked,
        kind=deep_linking.offered_type(asked.settings),
        groups=groups,
        has_credit=any(choice.earns_credit for group in groups for choice in group.choices),
        usual_score=picked.score or programme.scores.single_line_item,
        coming=overview.next_sessions(connection(), now()),
        in_words=partial(sentences.gate_in_words, programme),
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
        chosen = choices.find(programme, picked.choice)
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
        custom=choices.custom_of(choice, score),
        score=_line_item(programme, choice, choices.meaning_of(choice, score)),
    )


def _line_item(programme: Programme, choice: Choice, meaning: ScoreMeaning) -> ItemScore | None:
    """The gradebook column that a module's link comes with, called as the ledger calls its own, which finds it so."""
    module = programme.modules.get(choice.offering or "")
    if module is None:
        return None
    ending = f" – {columns.LABELS[meaning]}"
    credits = columns.largest_credit(module)
    return ItemScore(
        label=choice.title[: LONGEST_LABEL - len(ending)].rstrip() + ending,
        maximum=columns.whole_maximum(credits) if meaning == "ce" and credits else columns.COMPLETION_MAXIMUM,
        resource_id=columns.resource_id(module.id, meaning),
        tag=columns.TAGS[meaning],
    )


def _answer_page(asked: DeepLinkRequest, items: list[ContentItem], chosen: list[Choice]) -> str:
    """The form that goes to the platform; the request counts as answered from here on."""
    registration = load(connection(), asked.registration_id)
    url = asked.settings.return_url
    to = deep_linking.verify_return_url(registration, url, house().http.check_url)
    token = _signed(asked, registration, items)
    requests.answer(connection(), asked, now())
    audit.record(
        connection(),
        actor=viewer().actor,
        act="deep_link_answered",
        subject=f"platform:{registration.id}",
        at=now(),
        contents=[each.id for each in chosen],
    )
    security_headers.allow(form_to=[to])
    programme = publication.current(connection()).programme
    profile = registration.profile
    return show("deep_linking/send.html", programme, return_url=url, token=token, chosen=chosen, platform=profile)


def _signed(asked: DeepLinkRequest, registration: Registration, items: list[ContentItem]) -> str:
    message = (PICKED_ONE if len(items) == 1 else PICKED_MORE) if items else PICKED_NONE
    return deep_linking.sign_response(
        house().keys.signing_key(), registration, asked.deployment_id, asked.settings, items, message, now()
    )
