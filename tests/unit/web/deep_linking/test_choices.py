"""What can be picked follows the published programme, and a link says twice what it opens."""

from dataclasses import replace

import pytest

from lti_tool.programme.versions import Published
from lti_tool.web import deep_linking

pytestmark = pytest.mark.databases("sqlite")


def ids(published: Published) -> list[str]:
    return [choice.id for group in deep_linking.groups(published.programme) for choice in group.choices]


def test_modules_come_in_their_series_then_retreats_then_pages(published: Published) -> None:
    groups = deep_linking.groups(published.programme)
    assert [group.id for group in groups] == [*(each.id for each in published.programme.series), "retreats", "pages"]
    assert ids(published)[:3] == ["module:F1", "module:F2", "module:F3"]
    assert ids(published)[-3:] == ["page:dashboard", "page:retreats", "page:calendar"]


def test_what_is_not_offered_cannot_be_picked(published: Published) -> None:
    programme = published.programme
    assert "retreat:RT_EXP" in ids(published)
    assert "retreat:RT_DIA" not in ids(published)
    hidden = {**programme.modules, "F2": replace(programme.modules["F2"], publish=False)}
    with pytest.raises(KeyError):
        deep_linking.find(replace(programme, modules=hidden), ["module:F2"])


def test_a_module_of_no_series_is_listed_all_the_same(published: Published) -> None:
    programme = replace(published.programme, series=())
    groups = deep_linking.groups(programme)
    assert [group.id for group in groups] == ["modules", "retreats", "pages"]
    assert len(groups[0].choices) == len(programme.modules)


def test_picks_come_once_and_in_the_order_of_the_page(published: Published) -> None:
    found = deep_linking.find(published.programme, ["page:calendar", "module:F2", "module:F2", "module:F1"])
    assert [each.id for each in found] == ["module:F1", "module:F2", "page:calendar"]


@pytest.mark.parametrize("forged", ["module:none", "module:", "page:desk", "retreat:RT_DIA", "F1", "", "module:F1 "])
def test_a_forged_id_finds_nothing(forged: str, published: Published) -> None:
    with pytest.raises(KeyError):
        deep_linking.find(published.programme, [forged])


def test_address_and_custom_name_the_same(published: Published) -> None:
    found = deep_linking.find(published.programme, ["module:F1", "retreat:RT_EXP", "page:dashboard"])
    assert [(each.path, dict(each.custom)) for each in found] == [
        ("/modules/F1", {"module_id": "F1"}),
        ("/retreats/RT_EXP", {"retreat_id": "RT_EXP"}),
        ("/", {"page": "dashboard"}),
    ]


def test_what_the_grade_means_is_said_only_where_there_are_two_meanings(published: Published) -> None:
    first, calendar = deep_linking.find(published.programme, ["module:F1", "page:calendar"])
    assert first.earns_credit
    assert deep_linking.custom_of(first, "ce") == {"module_id": "F1", "score": "ce"}
    assert deep_linking.custom_of(first, None) == {"module_id": "F1"}
    without = replace(first, earns_credit=False)
    assert deep_linking.custom_of(without, "ce") == {"module_id": "F1"}
    assert (deep_linking.meaning_of(first, "ce"), deep_linking.meaning_of(without, "ce")) == ("ce", "completion")
    assert deep_linking.custom_of(calendar, "ce") == {"page": "calendar"}
