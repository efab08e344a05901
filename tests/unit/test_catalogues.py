"""Every message that trainees read is in every catalogue, with the same placeholders and tags; none is left over."""

import re
from collections import Counter
from collections.abc import Iterator
from gettext import GNUTranslations

import pytest
from babel import Locale
from babel.messages import Message

from lti_tool import languages, times
from lti_tool.languages import ENGLISH, LANGUAGES
from tests.catalogue import TEMPLATE, compiled, extracted, load, source_of, updated, written

OTHERS = sorted(LANGUAGES.keys() - {ENGLISH})
PLACEHOLDER = re.compile(r"%\(\w+\)s|\{\w+\}|%%")
TAG = re.compile(r"</?\w[^>]*>")
# Languages of the United States: other countries write dates and hours otherwise.
CLDR = {"es": "es_US"}

pytestmark = pytest.mark.parametrize("language", OTHERS)


def pairs(language: str) -> Iterator[tuple[Message, str, str]]:
    """Each message with every form of its translation beside the form of the original."""
    for message in load(language):
        if message.id:
            originals = (message.id,) if isinstance(message.id, str) else message.id
            given = (message.string,) if isinstance(message.string, str) else message.string
            yield from ((message, original, each) for original, each in zip(originals, given, strict=True))


def test_the_catalogue_holds_the_messages_of_the_source_and_no_others(language: str) -> None:
    assert TEMPLATE.read_bytes() == written(extracted(for_trainees=False)), "run `make words`"
    assert source_of(language).read_bytes() == written(updated(language)), "run `make words`"


def test_every_message_is_translated_and_none_is_doubtful(language: str) -> None:
    assert [message.id for message, _, given in pairs(language) if not given or message.fuzzy] == []


def test_a_translation_keeps_placeholders_and_tags(language: str) -> None:
    for _, original, given in pairs(language):
        # A plural may leave its number to the words.
        assert set(PLACEHOLDER.findall(given)) == set(PLACEHOLDER.findall(original)), original
        assert Counter(TAG.findall(given)) == Counter(TAG.findall(original)), original


def test_a_translation_holds_no_markup_of_its_own(language: str) -> None:
    """Messages stand in attributes too, and are not escaped."""
    for _, original, given in pairs(language):
        assert not set('<>"&') & set(TAG.sub("", given)), original


def test_the_compiled_catalogue_is_that_of_its_source(language: str) -> None:
    compiled_file = source_of(language).with_suffix(".mo")
    assert compiled_file.read_bytes() == compiled(load(language)), "run `make words`"
    with compiled_file.open("rb") as file:
        assert GNUTranslations(file).gettext("Home") != "Home"


def test_weekdays_months_and_halves_of_the_day_are_those_of_the_cldr(language: str) -> None:
    known = Locale.parse(CLDR[language])
    with languages.written_in(language):
        days = [languages.translated(each) for each in times._WEEKDAYS]
        months = [languages.translated(each) for each in times._MONTHS]
        halves = [languages.gettext("am").replace(" ", ""), languages.gettext("pm").replace(" ", "")]
    assert days == [known.days["format"]["abbreviated"][each] for each in range(7)]
    assert months == [known.months["format"]["abbreviated"][each] for each in range(1, 13)]
    assert halves == [known.day_periods["format"]["abbreviated"][each] for each in ("am", "pm")]
