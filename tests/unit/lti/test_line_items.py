"""Gradebook columns over the wire: found, read, made, changed; and what a platform must not get away with."""

import json
from typing import Any

import pytest
import responses

from lti_tool.errors import AddressRefused, BadInput, PlatformRefused
from lti_tool.lti.line_items import (
    LINE_ITEM_SCOPE,
    READ_SCOPE,
    LineItem,
    NewLineItem,
    change_line_item,
    create_line_item,
    find_line_items,
    load_line_item,
)
from lti_tool.lti.platform_api import PlatformApi
from tests.platform import Platform

pytestmark = pytest.mark.databases("sqlite")

ANY_LIST = "https://lms.example.org/lineitems"  # whatever the query
LIST = f"{ANY_LIST}?type_id=1"
ITEM = "https://lms.example.org/lineitems/7/lineitem?type_id=1"
LINK = "block-v1:Demo+LTI+2026+type@lti_consumer+block@1"
DOCUMENT = {
    "id": ITEM,
    "label": "Module F1",
    "scoreMaximum": 100.0,
    "resourceLinkId": LINK,
    "resourceId": "F1",
    "tag": "completion",
    "ltiLinkId": LINK,
    "gradesReleased": True,
}
NEW = NewLineItem("Module F1", 100, "F1", "completion", LINK)
ONE = "application/vnd.ims.lis.v2.lineitem+json"
MANY = "application/vnd.ims.lis.v2.lineitemcontainer+json"
HOSTILE: list[Any] = [
    [],
    ["text"],
    7,
    None,
    {},
    {**DOCUMENT, "id": None},
    {**DOCUMENT, "id": ""},
    {**DOCUMENT, "id": ["a"]},
    {**DOCUMENT, "id": "x" * 3000},
    {**DOCUMENT, "label": {"a": 1}},
    {**DOCUMENT, "label": "a\x00b"},
    {**DOCUMENT, "label": "x" * 3000},
    {**DOCUMENT, "scoreMaximum": "100"},
    {**DOCUMENT, "scoreMaximum": True},
    {**DOCUMENT, "resourceLinkId": True},
    {**DOCUMENT, "resourceId": [1]},
    {**DOCUMENT, "tag": 1.5},
]
UNREADABLE_TEXTS = [
    "",
    "<html>",
    "{",
    "[" * 100_000,
    '{"id": "https://lms.example.org/1", "scoreMaximum": NaN}',
    '{"id": "https://lms.example.org/1", "scoreMaximum": 1e999}',
    '{"id": "https://lms.example.org/1", "scoreMaximum": 1' + "0" * 400 + "}",
    '{"id": "https://lms.example.org/1", "scoreMaximum": ' + "1" * 5000 + "}",
    '{"id": "https://lms.example.org/1", "label": "\\ud800"}',
]


def refused_code(wanted: Any) -> str:
    with pytest.raises(PlatformRefused) as refused:
        wanted()
    return refused.value.code


def sent_to(wire: responses.RequestsMock, number: int) -> Any:
    return wire.calls[number].request


class TestFinding:
    def test_the_list_is_asked_for_with_filters_and_the_exact_type(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.get(ANY_LIST, json=[DOCUMENT], content_type=MANY)
        found = find_line_items(
            api, platform.registration_id, LIST, resource_link_id=LINK, resource_id="F1", tag="completion"
        )
        assert found == [LineItem(ITEM, "Module F1", 100.0, LINK, "F1", "completion", DOCUMENT)]
        asked = sent_to(generous, 1)
        assert asked.headers["Accept"] == MANY
        assert asked.url == (
            f"{LIST}&resource_link_id=block-v1%3ADemo%2BLTI%2B2026%2Btype%40lti_consumer%2Bblock%401"
            "&resource_id=F1&tag=completion"
        )

    def test_a_platform_that_ignores_filters_is_filtered_again(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        others = [{**DOCUMENT, "resourceId": "F2"}, {**DOCUMENT, "tag": None}, {**DOCUMENT, "resourceLinkId": "other"}]
        generous.get(ANY_LIST, json=[*others, DOCUMENT])
        wanted = {"resource_link_id": LINK, "resource_id": "F1", "tag": "completion"}
        found = find_line_items(api, platform.registration_id, LIST, **wanted)
        assert [item.document for item in found] == [DOCUMENT]

    def test_every_page_is_read(self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock) -> None:
        following = f"{LIST}&from=1"
        generous.get(LIST, json=[{**DOCUMENT, "tag": "ce"}], headers={"Link": f"<{following}>; rel=“next”"})
        generous.get(following, json=[DOCUMENT])
        assert [each.tag for each in find_line_items(api, platform.registration_id, LIST)] == ["ce", "completion"]

    def test_missing_fields_are_none(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        bare = {"id": ITEM, "resourceLinkId": 5, "resourceId": "", "tag": None}
        generous.get(LIST, json=[bare])
        assert find_line_items(api, platform.registration_id, LIST) == [LineItem(ITEM, "", None, "5", None, None, bare)]

    @pytest.mark.parametrize(
        ("offered", "asked"),
        [
            ([], READ_SCOPE),
            ([READ_SCOPE], READ_SCOPE),
            ([READ_SCOPE, LINE_ITEM_SCOPE], READ_SCOPE),
            ([LINE_ITEM_SCOPE], LINE_ITEM_SCOPE),
        ],
    )
    def test_the_smallest_scope_that_was_offered_is_asked_for(
        self,
        offered: list[str],
        asked: str,
        api: PlatformApi,
        platform: Platform,
        generous: responses.RequestsMock,
    ) -> None:
        generous.get(LIST, json=[])
        find_line_items(api, platform.registration_id, LIST, offered=offered)
        assert asked.rpartition("/")[2] in sent_to(generous, 0).body.rpartition("%2F")[2]

    @pytest.mark.parametrize("status", [400, 403, 404, 406, 500])
    def test_a_refusal_is_told(
        self, status: int, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.get(LIST, status=status)
        assert refused_code(lambda: find_line_items(api, platform.registration_id, LIST)) == "line_items_refused"

    @pytest.mark.parametrize("answer", [{"items": []}, None, "text"])
    def test_what_is_no_list_of_line_items_is_unreadable(
        self, answer: Any, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.get(LIST, body=json.dumps(answer))
        assert refused_code(lambda: find_line_items(api, platform.registration_id, LIST)) == "line_items_unreadable"

    @pytest.mark.parametrize("odd", HOSTILE)
    def test_an_item_that_cannot_be_read_is_skipped(
        self, odd: Any, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.get(LIST, body=json.dumps([odd, {"id": f"{ANY_LIST}/9", "label": "Ours"}]))
        assert [each.url for each in find_line_items(api, platform.registration_id, LIST)] == [f"{ANY_LIST}/9"]


class TestReading:
    def test_one_line_item_is_read(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.get(ITEM, json=DOCUMENT)
        assert load_line_item(api, platform.registration_id, ITEM).label == "Module F1"
        assert (sent_to(generous, 1).url, sent_to(generous, 1).headers["Accept"]) == (ITEM, ONE)

    @pytest.mark.parametrize(
        ("status", "code"), [(404, "line_item_gone"), (410, "line_item_gone"), (403, "line_items_refused")]
    )
    def test_one_that_is_gone_is_told_from_one_that_is_refused(
        self, status: int, code: str, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.get(ITEM, json={"status": status}, status=status)
        assert refused_code(lambda: load_line_item(api, platform.registration_id, ITEM)) == code

    @pytest.mark.parametrize("body", [*map(json.dumps, HOSTILE), *UNREADABLE_TEXTS])
    def test_what_is_no_line_item_is_unreadable(
        self, body: str, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.get(ITEM, body=body)
        assert refused_code(lambda: load_line_item(api, platform.registration_id, ITEM)) == "line_items_unreadable"


class TestMaking:
    def test_a_line_item_is_made_with_all_four_fields(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.post(LIST, json=DOCUMENT, status=201)
        assert create_line_item(api, platform.registration_id, LIST, NEW).url == ITEM
        sent = sent_to(generous, 1)
        assert (sent.url, sent.headers["Accept"], sent.headers["Content-Type"]) == (LIST, ONE, ONE)
        assert json.loads(sent.body) == {
            "label": "Module F1",
            "scoreMaximum": 100,
            "resourceId": "F1",
            "tag": "completion",
            "resourceLinkId": LINK,
        }

    def test_one_for_no_link_names_none(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.post(LIST, json=DOCUMENT)
        create_line_item(api, platform.registration_id, LIST, NewLineItem("F1", 1, "F1", "ce"))
        assert "resourceLinkId" not in json.loads(sent_to(generous, 1).body)

    def test_a_long_label_is_cut(self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock) -> None:
        generous.post(LIST, json=DOCUMENT)
        create_line_item(api, platform.registration_id, LIST, NewLineItem(f" {'a' * 99} bc", 1, "F1", "ce"))
        assert json.loads(sent_to(generous, 1).body)["label"] == "a" * 99

    @pytest.mark.parametrize(
        "new",
        [
            NewLineItem(" ", 1, "F1", "ce"),
            NewLineItem("F1", 0, "F1", "ce"),
            NewLineItem("F1", -1, "F1", "ce"),
            NewLineItem("F1", float("inf"), "F1", "ce"),
            NewLineItem("F1", float("nan"), "F1", "ce"),
            NewLineItem("F1", True, "F1", "ce"),
            NewLineItem("F1", 1, "F1", "c" * 51),
        ],
    )
    def test_what_platforms_refuse_is_not_sent(
        self, new: NewLineItem, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        with pytest.raises(BadInput) as refused:
            create_line_item(api, platform.registration_id, LIST, new)
        assert (refused.value.code, len(generous.calls)) == ("line_item_wrong", 0)

    def test_nothing_is_made_on_another_host(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        with pytest.raises(AddressRefused):
            create_line_item(api, platform.registration_id, "https://evil.example/lineitems", NEW)
        assert len(generous.calls) == 0

    @pytest.mark.parametrize("status", [400, 404, 415])
    def test_a_refusal_is_told(
        self, status: int, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.post(LIST, status=status)
        assert refused_code(lambda: create_line_item(api, platform.registration_id, LIST, NEW)) == "line_items_refused"


class TestChanging:
    item = LineItem(ITEM, "stale", 1, "stale", "stale", "stale", {"id": "stale"})

    def test_the_present_item_is_read_and_sent_back_whole(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.get(ITEM, json=DOCUMENT)
        put = generous.put(ITEM, json={**DOCUMENT, "label": "New", "scoreMaximum": 10})
        changed = change_line_item(api, platform.registration_id, self.item, label="New", maximum=10)
        assert (changed.label, changed.maximum, put.call_count) == ("New", 10, 1)
        sent = sent_to(generous, -1)
        assert json.loads(sent.body) == {**DOCUMENT, "label": "New", "scoreMaximum": 10}
        assert (sent.headers["Accept"], sent.headers["Content-Type"]) == (ONE, ONE)

    def test_what_it_is_and_where_it_belongs_cannot_be_changed(self, api: PlatformApi) -> None:
        for name in ("id", "url", "resource_link_id", "resourceLinkId"):
            with pytest.raises(TypeError):
                change_line_item(api, 1, self.item, **{name: "other"})  # type: ignore[arg-type]

    def test_nothing_is_sent_when_nothing_changes(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.get(ITEM, json=DOCUMENT)
        put = generous.put(ITEM, json={})
        same = change_line_item(
            api, platform.registration_id, self.item, label="Module F1", maximum=100, tag="completion"
        )
        assert (same.document, put.call_count) == (DOCUMENT, 0)

    def test_an_empty_answer_means_that_it_is_as_sent(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.get(ITEM, json=DOCUMENT)
        generous.put(ITEM, status=204)
        assert change_line_item(api, platform.registration_id, self.item, tag="ce").tag == "ce"

    def test_one_that_is_gone_is_not_changed(
        self, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
    ) -> None:
        generous.get(ITEM, status=404)
        put = generous.put(ITEM, json={})
        assert (
            refused_code(lambda: change_line_item(api, platform.registration_id, self.item, tag="ce"))
            == "line_item_gone"
        )
        assert put.call_count == 0


@pytest.mark.parametrize("odd", [{"scoreMaximum": "10.00"}, {"id": None}, {"id": ""}, {"resourceId": {"a": 1}}])
def test_an_item_of_another_tool_that_cannot_be_read_hides_none_of_ours(odd, api, platform, generous) -> None:
    ours = {"id": "https://lms.example.org/lineitems/1", "label": "Ours", "scoreMaximum": 100}
    theirs = {"id": "https://lms.example.org/lineitems/2", "label": "Theirs", "scoreMaximum": 10} | odd
    generous.get("https://lms.example.org/lineitems", json=[theirs, ours, "not an item"])
    found = find_line_items(api, platform.registration_id, "https://lms.example.org/lineitems")
    assert [each.url for each in found] == [ours["id"]]
