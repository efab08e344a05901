"""The generic platform's services: a roster of two pages, and a gradebook with line items and scores.

They take what the specifications describe and nothing looser: media types, scopes and fields are looked at, and a score
that is not newer than the last one is refused.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from werkzeug.exceptions import BadRequest, Conflict, Forbidden, NotAcceptable, NotFound, UnsupportedMediaType
from werkzeug.wrappers import Request, Response

from conformance.cases import ROLE_URIS
from conformance.messages import LINE_ITEM_SCOPE, PEOPLE, RESULT_SCOPE, ROSTER_SCOPE, SCORE_SCOPE

ROSTER_TYPE = "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"
LINE_ITEM_TYPE = "application/vnd.ims.lis.v2.lineitem+json"
LINE_ITEMS_TYPE = "application/vnd.ims.lis.v2.lineitemcontainer+json"
SCORE_TYPE = "application/vnd.ims.lis.v1.score+json"
RESULTS_TYPE = "application/vnd.ims.lis.v2.resultcontainer+json"
SCORE_FIELDS = ("userId", "activityProgress", "gradingProgress", "timestamp")
FILTERS = {"resource_link_id": "resourceLinkId", "resource_id": "resourceId", "tag": "tag"}

Scopes = tuple[str, ...]


@dataclass
class Services:
    """What the platform keeps for its course. `url` is the platform's own address, without a path."""

    url: str
    line_items: dict[int, dict[str, Any]] = field(default_factory=dict)
    scores: dict[tuple[int, str], dict[str, Any]] = field(default_factory=dict)

    def memberships(self, request: Request, scopes: Scopes) -> Response:
        """lti.md NR-1, NR-3: one person a page; the address of the second page is opaque to the tool."""
        _need_scope(scopes, ROSTER_SCOPE)
        _need_accept(request, ROSTER_TYPE)
        is_second = request.args.get("after") == "ida+1"
        person, role = (PEOPLE["learner"], "learner") if is_second else (PEOPLE["teacher"], "teacher")
        member = {
            "status": "Active",
            "user_id": person["sub"],
            "name": person["name"],
            "email": person["email"],
            "roles": [ROLE_URIS["learner" if role == "learner" else "teacher"]],
        }
        page = {"id": request.url, "context": {"id": "certification-course"}, "members": [member]}
        response = _json(page, ROSTER_TYPE)
        if not is_second:
            response.headers["Link"] = f'<{self.url}/memberships?after=ida%2B1>; rel="next"'
        return response

    def list_items(self, request: Request, scopes: Scopes) -> Response:
        _need_scope(scopes, LINE_ITEM_SCOPE, LINE_ITEM_SCOPE + ".readonly")
        _need_accept(request, LINE_ITEMS_TYPE)
        wanted = {FILTERS[name]: value for name, value in request.args.items() if name in FILTERS}
        found = [each for each in self.line_items.values() if wanted.items() <= each.items()]
        return _json(found, LINE_ITEMS_TYPE)

    def create_item(self, request: Request, scopes: Scopes) -> Response:
        """lti.md AG-6: label, a positive maximum, and a resourceId that is text."""
        _need_scope(scopes, LINE_ITEM_SCOPE)
        item = _body(request, LINE_ITEM_TYPE)
        _verify_item(item)
        number = len(self.line_items) + 1
        self.line_items[number] = {**item, "id": f"{self.url}/lineitems/{number}"}
        return _json(self.line_items[number], LINE_ITEM_TYPE, 201)

    def show_item(self, request: Request, scopes: Scopes, number: int) -> Response:
        _need_scope(scopes, LINE_ITEM_SCOPE, LINE_ITEM_SCOPE + ".readonly")
        _need_accept(request, LINE_ITEM_TYPE)
        return _json(self._item(number), LINE_ITEM_TYPE)

    def change_item(self, request: Request, scopes: Scopes, number: int) -> Response:
        _need_scope(scopes, LINE_ITEM_SCOPE)
        item = _body(request, LINE_ITEM_TYPE)
        _verify_item(item)
        self.line_items[number] = {**item, "id": self._item(number)["id"]}
        return _json(self.line_items[number], LINE_ITEM_TYPE)

    def take_score(self, request: Request, scopes: Scopes, number: int) -> Response:
        """lti.md AG-7 to AG-9."""
        _need_scope(scopes, SCORE_SCOPE)
        self._item(number)
        score = _body(request, SCORE_TYPE)
        if any(not isinstance(score.get(name), str) for name in SCORE_FIELDS):
            raise BadRequest("a score names " + ", ".join(SCORE_FIELDS))
        if score.get("scoreGiven") is not None and not score.get("scoreMaximum", 0) > 0:
            raise BadRequest("scoreGiven needs a scoreMaximum")
        place = number, score["userId"]
        if place in self.scores and _instant(score) <= _instant(self.scores[place]):
            raise Conflict("a newer score is known")
        self.scores[place] = score
        return Response(status=204)

    def results(self, request: Request, scopes: Scopes, number: int) -> Response:
        _need_scope(scopes, RESULT_SCOPE)
        _need_accept(request, RESULTS_TYPE)
        item = self._item(number)
        user = request.args.get("user_id")
        rows = [
            _result(item, score) for (of, who), score in self.scores.items() if of == number and user in (None, who)
        ]
        return _json(rows, RESULTS_TYPE)

    def _item(self, number: int) -> dict[str, Any]:
        if number not in self.line_items:
            raise NotFound
        return self.line_items[number]


def _result(item: Mapping[str, Any], score: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{item['id']}/results/{score['userId']}",
        "scoreOf": item["id"],
        "userId": score["userId"],
        "resultScore": score.get("scoreGiven"),
        "resultMaximum": score.get("scoreMaximum", item["scoreMaximum"]),
        "comment": score.get("comment", ""),
    }


def _verify_item(item: Mapping[str, Any]) -> None:
    maximum = item.get("scoreMaximum")
    if not str(item.get("label", "")).strip() or not isinstance(maximum, int | float) or maximum <= 0:
        raise BadRequest("a line item has a label and a positive scoreMaximum")
    if not isinstance(item.get("resourceId", ""), str) or not isinstance(item.get("tag", ""), str):
        raise BadRequest("resourceId and tag are text")


def _instant(score: Mapping[str, Any]) -> datetime:
    try:
        at = datetime.fromisoformat(score["timestamp"])
    except ValueError:
        raise BadRequest("the timestamp is not ISO 8601") from None
    if at.tzinfo is None:
        raise BadRequest("the timestamp has no zone")
    return at


def _body(request: Request, media_type: str) -> dict[str, Any]:
    if request.mimetype != media_type:
        raise UnsupportedMediaType
    body = json.loads(request.get_data() or b"null")
    if not isinstance(body, dict):
        raise BadRequest("the body is no object")
    return body


def _need_scope(scopes: Scopes, *wanted: str) -> None:
    if not set(wanted) & set(scopes):
        raise Forbidden("the token lacks the scope")


def _need_accept(request: Request, media_type: str) -> None:
    if media_type not in request.headers.get("Accept", ""):
        raise NotAcceptable


def _json(value: Any, media_type: str, status: int = 200) -> Response:
    return Response(json.dumps(value), status, mimetype=media_type)
