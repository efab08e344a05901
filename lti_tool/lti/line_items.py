"""Line items of AGS 2.0, found, read, made and changed, and the results that they hold (lti.md §8).

A line item is a column of a platform's gradebook; a result is what the platform itself holds in it for one person.
"""

import json
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain
from typing import Any

from lti_tool.errors import BadInput, PlatformRefused
from lti_tool.http import Reply
from lti_tool.lti.claims import LONGEST_URL
from lti_tool.lti.paging import (
    UnreadableError,
    answered,
    pages,
    read_id,
    read_json,
    read_list,
    read_number,
    read_object,
    read_optional_id,
    readable,
)
from lti_tool.lti.platform_api import PlatformApi, Question, below, with_query
from lti_tool.text import clean

LINE_ITEM_SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope/lineitem"
READ_SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope/lineitem.readonly"
# Platforms take the exact type and nothing else (lti.md AG-4; Open edX 406 and 415, Moodle 400).
LINE_ITEM_TYPE = "application/vnd.ims.lis.v2.lineitem+json"
LINE_ITEMS_TYPE = "application/vnd.ims.lis.v2.lineitemcontainer+json"
# What Open edX takes (openedx.md §5).
LONGEST_LABEL = 100
LONGEST_TAG = 50
# What we read of a platform's; Moodle allows more than 255.
LONGEST_TEXT = 2048
GONE = (404, 410)
RESULT_SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope/result.readonly"
# No gradebook shows larger numbers, and shares of them mean nothing.
LARGEST = 1e9
RESULTS_TYPE = "application/vnd.ims.lis.v2.resultcontainer+json"


@dataclass(frozen=True, slots=True)
class LineItem:
    """One line item as the platform has it. `maximum` is its scoreMaximum; `document` is all that the platform said."""

    url: str
    label: str
    maximum: float | None
    resource_link_id: str | None
    resource_id: str | None
    tag: str | None
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewLineItem:
    """A line item to be made. `maximum` is above 0, on Open edX a whole number, and `resource_id` a text, or a platform
    refuses it (lti.md AG-6, openedx.md §5); `resource_link_id` binds it to that link."""

    label: str
    maximum: int | float
    resource_id: str
    tag: str
    resource_link_id: str | None = None


def find_line_items(
    api: PlatformApi,
    registration_id: int,
    line_items_url: str,
    *,
    resource_link_id: str | None = None,
    resource_id: str | None = None,
    tag: str | None = None,
    offered: Collection[str] = (),
) -> list[LineItem]:
    """The line items of a course that have these values, all pages of them; None asks for any value.

    The platform is asked for them, and what it answers is filtered again; one that cannot be read is skipped, for other
    tools have theirs in the same list. `offered` are the scopes of the launch, from which the one is chosen
    (lti.md TK-3). Raises what `PlatformApi.fetch` and `paging.pages` do, and PlatformRefused
    `line_items_refused` or `line_items_unreadable`.
    """
    wanted = {"resource_link_id": resource_link_id, "resource_id": resource_id, "tag": tag}
    filters = {name: value for name, value in wanted.items() if value is not None}
    question = Question(
        registration_id,
        (_reading(offered),),
        with_query(line_items_url, filters),
        "line_items",
        line_items_url,
        accept=LINE_ITEMS_TYPE,
    )

    def read(reply: Reply) -> list[LineItem]:
        with _answered(reply):
            document = read_json(reply)
            if not isinstance(document, list):
                raise UnreadableError
            return list(readable(document, _item))

    listed = chain.from_iterable(pages(api, question, read))
    return [item for item in listed if all(getattr(item, name) == value for name, value in filters.items())]


def load_line_item(api: PlatformApi, registration_id: int, url: str, *, offered: Collection[str] = ()) -> LineItem:
    """One line item. Raises what `PlatformApi.fetch` does, and PlatformRefused `line_item_gone`, `line_items_refused`
    or `line_items_unreadable`."""
    question = Question(registration_id, (_reading(offered),), url, "line_items", url, accept=LINE_ITEM_TYPE)
    return api.fetch(question, _read_item)


def create_line_item(api: PlatformApi, registration_id: int, line_items_url: str, new: NewLineItem) -> LineItem:
    """Make a line item; it has what the platform made of it.

    A label that is too long is cut. After NoAnswer it may have been made all the same: find it before making another.
    Raises BadInput `line_item_wrong`, what `PlatformApi.fetch` does, and PlatformRefused as `load_line_item`.
    """
    document: dict[str, Any] = {
        "label": _label(new.label),
        "scoreMaximum": _maximum(new.maximum),
        "resourceId": new.resource_id,
        "tag": _tag(new.tag),
    }
    if new.resource_link_id is not None:
        document["resourceLinkId"] = new.resource_link_id
    return api.fetch(_sending(registration_id, "POST", line_items_url, document), _read_new)


def change_line_item(
    api: PlatformApi,
    registration_id: int,
    item: LineItem,
    *,
    label: str | None = None,
    maximum: int | float | None = None,
    resource_id: str | None = None,
    tag: str | None = None,
) -> LineItem:
    """Change what is given and leave the rest as the platform has it now: it is read first and sent back whole
    (lti.md AG-6).

    What it is and which link it belongs to never change. Nothing is sent when it has these values already. Raises as
    `create_line_item`.
    """
    changes = {
        "label": None if label is None else _label(label),
        "scoreMaximum": None if maximum is None else _maximum(maximum),
        "resourceId": resource_id,
        "tag": None if tag is None else _tag(tag),
    }
    present = load_line_item(api, registration_id, item.url, offered=(LINE_ITEM_SCOPE,))
    document = {**present.document, **{name: value for name, value in changes.items() if value is not None}}
    if document == present.document:
        return present

    def read(reply: Reply) -> LineItem:
        """Some platforms answer a change with an empty body: then it is as it was sent."""
        return _read_item(reply) if reply.body.strip() or not reply.is_ok else _item(document)

    return api.fetch(_sending(registration_id, "PUT", item.url, document), read)


def _reading(offered: Collection[str]) -> str:
    """The scope to read with: the smaller one, where it is offered or nothing is known."""
    return LINE_ITEM_SCOPE if LINE_ITEM_SCOPE in offered and READ_SCOPE not in offered else READ_SCOPE


def _sending(registration_id: int, method: str, url: str, document: Mapping[str, Any]) -> Question:
    return Question(
        registration_id,
        (LINE_ITEM_SCOPE,),
        url,
        "line_items",
        url,
        method,
        LINE_ITEM_TYPE,
        LINE_ITEM_TYPE,
        json.dumps(document).encode(),
    )


def _read_item(reply: Reply) -> LineItem:
    if reply.status in GONE:
        raise PlatformRefused(
            "line_item_gone", "This grade column is not on the platform any more.", answered=reply.status
        )
    return _read_new(reply)


def _read_new(reply: Reply) -> LineItem:
    with _answered(reply):
        return _item(read_object(reply))


def _answered(reply: Reply) -> AbstractContextManager[None]:
    return answered(
        reply,
        refused=PlatformRefused(
            "line_items_refused",
            "The platform does not let the tool read or make grade columns here.",
            answered=reply.status,
        ),
        unreadable=PlatformRefused(
            "line_items_unreadable",
            "The platform's grade columns are not as AGS 2.0 describes them.",
            answered=reply.status,
        ),
    )


def _item(document: Mapping[str, Any]) -> LineItem:
    return LineItem(
        url=read_id(document.get("id"), LONGEST_URL),
        label=read_optional_id(document.get("label"), LONGEST_TEXT) or "",
        maximum=read_number(document.get("scoreMaximum")),
        resource_link_id=read_optional_id(document.get("resourceLinkId"), LONGEST_TEXT),
        resource_id=read_optional_id(document.get("resourceId"), LONGEST_TEXT),
        tag=read_optional_id(document.get("tag"), LONGEST_TEXT),
        document=document,
    )


def _label(label: str) -> str:
    cut = clean(label)[:LONGEST_LABEL].strip()
    if not cut:
        raise _wrong("A grade column needs a label.")
    return cut


def _maximum(maximum: int | float) -> int | float:
    if isinstance(maximum, bool) or not isinstance(maximum, int | float) or not 0 < maximum <= LARGEST:
        raise _wrong("The maximum of a grade column must be a number above 0.")
    return maximum


def _tag(tag: str) -> str:
    if len(tag) > LONGEST_TAG:
        raise _wrong(f"The tag of a grade column may have {LONGEST_TAG} characters at most.")
    return tag


def _wrong(message: str) -> BadInput:
    return BadInput("line_item_wrong", message, "Change it in the programme.")


@dataclass(frozen=True, slots=True)
class Result:
    """One person's result; `given` None: no grade. The maximum is the platform's own, None where it does not say."""

    user_id: str
    given: float | None
    maximum: float | None
    comment: str | None


def fetch_result(api: PlatformApi, registration_id: int, line_item_url: str, user_id: str) -> Result | None:
    """The result of one person (their `sub`); None when the platform lists none.

    Asked in the form that the platform's profile names (`results_by`), and what it answers is filtered again: Open edX
    ignores the parameter and answers with everybody. Raises what `PlatformApi.fetch` and `paging.pages` do, and
    PlatformRefused `results_refused` or `results_unreadable`.
    """
    results_by = api.registration(registration_id).profile.results_by
    question = Question(
        registration_id,
        (RESULT_SCOPE,),
        results_url(line_item_url, user_id, results_by),
        "results",
        line_item_url,
        accept=RESULTS_TYPE,
    )
    for page in pages(api, question, _read_page):
        for result in page:
            if result.user_id == user_id:
                return result
    return None


def results_url(line_item_url: str, user_id: str, results_by: str) -> str:
    """Where one person's result is asked for: "path" adds the person to the path, "query" as `user_id`. Never with a
    `limit`, which Moodle cannot serve (moodle.md §5.22)."""
    if results_by == "path":
        return below(line_item_url, "results", user_id)
    return with_query(below(line_item_url, "results"), {"user_id": user_id})


def _read_page(reply: Reply) -> list[Result]:
    """A list of results; a platform that is asked for one person may answer with that one alone."""
    with answered(
        reply,
        refused=PlatformRefused(
            "results_refused", "The platform does not let the tool read grades here.", answered=reply.status
        ),
        unreadable=PlatformRefused(
            "results_unreadable", "The platform's grades are not as AGS 2.0 describes them.", answered=reply.status
        ),
    ):
        document = read_json(reply)
        return [_result(each) for each in read_list([document] if isinstance(document, dict) else document)]


def _result(entry: Mapping[str, Any]) -> Result:
    comment = entry.get("comment")
    given, maximum = read_number(entry.get("resultScore")), read_number(entry.get("resultMaximum"))
    if abs(given or 0) > LARGEST or (maximum and not 1 / LARGEST <= maximum <= LARGEST):
        raise UnreadableError
    return Result(
        user_id=read_id(entry.get("userId")),
        given=given,
        maximum=maximum,
        comment=comment if isinstance(comment, str) else None,
    )
