"""Results of AGS 2.0: what the platform itself holds for one person in one line item (facts: lti.md §8)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lti_tool.errors import PlatformRefused
from lti_tool.http import Reply
from lti_tool.lti.answer_bodies import UnreadableError, read_id, read_json, read_list, read_number
from lti_tool.lti.paging import pages
from lti_tool.lti.platform_api import PlatformApi, Question
from lti_tool.lti.service_urls import below, with_query

RESULT_SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope/result.readonly"
# What no gradebook shows; shares of such numbers are none.
LARGEST = 1e9
RESULTS_TYPE = "application/vnd.ims.lis.v2.resultcontainer+json"


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
    if not reply.is_ok:
        raise PlatformRefused(
            "results_refused",
            "The platform does not let the tool read grades here.",
            answered=reply.status,
        )
    try:
        document = read_json(reply)
        return [_result(each) for each in read_list([document] if isinstance(document, dict) else document)]
    except UnreadableError as error:
        raise PlatformRefused(
            "results_unreadable", "The platform's grades are not as AGS 2.0 describes them.", answered=reply.status
        ) from error


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
