"""The two programmes against the programme's own pages, line by line (printed.yaml): what must stand word for word
does, in an entry that names the line; every date, price and number is held; and the rest is left out for a reason."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import time
from decimal import Decimal
from typing import Any

import pytest

from lti_tool.gates.publication import check_document, publishable
from lti_tool.programme.model import Programme
from tests.unit.programme.documents import shipped
from tests.unit.programme.printed_lines import PRINTED, changed_lines, fingerprint, numbers, plain

CURRENT = publishable(check_document(shipped("polaris-2024.yaml"), ""))
OLDER = publishable(check_document(shipped("polaris-legacy.yaml"), ""))
HELD_BY = {"S0": CURRENT, "S2": CURRENT, "S3": OLDER}
LINES = [(page, number) for page, lines in PRINTED.items() for number in lines]
# All others are held, in words or as facts.
LEFT_OUT = 27


def line_of(page: str, number: int) -> Mapping[str, Any]:
    return PRINTED[page][number]


def inner(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every value in this one, with its path; single values as text."""
    if is_dataclass(value):
        yield path, value
        for each in fields(value):
            yield from inner(getattr(value, each.name), f"{path}.{each.name}")
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from inner(each, f"{path}.{key}")
    elif isinstance(value, tuple | list):
        for index, each in enumerate(value):
            yield from inner(each, f"{path}.{getattr(each, 'id', None) or index}")
    elif isinstance(value, time):
        yield path, f"{value:%H:%M}"
    elif isinstance(value, Decimal):
        yield path, format(value.normalize(), "f")
    elif value is not None:
        yield path, str(value)


ALL = {id(programme): dict(inner(programme, "")) for programme in (CURRENT, OLDER)}


def cites(entry: Any, page: str, number: int) -> bool:
    """Whether the entry, or its price, names this line as a source: "S0:13", "S0:22-29", "S2:34,46,59"."""
    refs = (*getattr(entry, "refs", ()), *getattr(getattr(entry, "price", None), "refs", ()))
    for ref in refs:
        of, _, spans = ref.partition(":")
        for span in spans.split(",") if of == page else ():
            first, _, last = span.partition("-")
            if int(first) <= number <= int(last or first):
                return True
    return False


def texts_of(programme: Programme, page: str, number: int) -> dict[str, str]:
    """The single values of every entry that cites the line, and of the places that hold its facts, by path."""
    every = ALL[id(programme)]
    own = [f".{each}" for each in line_of(page, number).get("own", ())]
    roots = [path for path, value in every.items() if is_dataclass(value) and cites(value, page, number)]
    return {
        path: value
        for path, value in every.items()
        if isinstance(value, str)
        and not path.rpartition(".refs")[0]
        and any(path == root or path.startswith(f"{root}.") for root in (*roots, *own))
    }


@pytest.mark.parametrize(("page", "number"), LINES)
def test_every_line_is_held_or_left_out_for_a_reason(page: str, number: int) -> None:
    line = line_of(page, number)
    assert line.keys() & {"dates", "prices", "numbers", "words", "own", "left_out"}
    assert re.fullmatch("[0-9a-f]{12}", line["sha"])


@pytest.mark.parametrize(("page", "number"), [each for each in LINES if "words" in line_of(*each)])
def test_what_has_legal_weight_stands_word_for_word_with_its_line(page: str, number: int) -> None:
    held = [plain(text) for text in texts_of(HELD_BY[page], page, number).values()]
    assert [words for words in line_of(page, number)["words"] if not any(words in text for text in held)] == []


@pytest.mark.parametrize(("page", "number"), [each for each in LINES if "own" in line_of(*each)])
def test_what_is_in_our_own_words_is_somewhere(page: str, number: int) -> None:
    every = ALL[id(HELD_BY[page])]
    places = line_of(page, number)["own"]
    assert [
        each for each in places if not any(f"{path}.".startswith(f".{each}.") and every[path] for path in every)
    ] == []


@pytest.mark.parametrize(
    ("page", "number"), [each for each in LINES if {"dates", "prices", "numbers"} & line_of(*each).keys()]
)
def test_every_date_price_and_number_is_held(page: str, number: int) -> None:
    line, held = line_of(page, number), texts_of(HELD_BY[page], page, number)
    known = {token for path, text in held.items() for token in numbers(text) | numbers(path)}
    wanted = {*line.get("numbers", ()), *(each.removeprefix("$") for each in line.get("prices", ()))}
    assert wanted - known == set()
    assert set(line.get("dates", ())) - set(held.values()) == set()


def test_a_price_is_a_number_of_the_programme_and_not_of_a_text() -> None:
    amounts = {
        value
        for each in (*OLDER.modules.values(), *OLDER.packages)
        if each.price
        for value in (each.price.tuition, each.price.admin_fee, each.price.total)
    } | set(OLDER.lengths["full_day"].fees.values())
    printed = {Decimal(price[1:]) for line in PRINTED["S3"].values() for price in line.get("prices", ())}
    assert printed - amounts == {Decimal(39)}, "the page does not say which body asks for it"
    assert OLDER.modules["L_MUS"].credits_as_printed == "$39 for 4 CE credits"


def test_every_teacher_is_there_with_letters_and_modules() -> None:
    teachers = {name: each for each in OLDER.teachers.values() for name in (each.name, *each.also_spelt)}
    printed = PRINTED["S3"][12]["teaches"]
    assert len(printed) == len(OLDER.teachers)
    for name, credentials, modules in printed:
        assert (teachers[name].credentials, list(teachers[name].teaches)) == (credentials, modules)


def test_what_is_left_out_altogether_is_headings_testimonials_and_the_cart() -> None:
    lines = [line for page in PRINTED.values() for line in page.values()]
    left_out = [line["left_out"] for line in lines if line.keys() == {"sha", "left_out"}]
    assert len(left_out) == LEFT_OUT
    assert {reason.split(":")[0].split(",")[0] for reason in left_out} == {
        "a heading",
        "a testimonial",
        "the name of the person of a testimonial",
        "the shop's cart",
    }


def test_no_testimonial_and_no_name_of_its_writer_is_in_a_programme() -> None:
    held = " ".join(text for every in ALL.values() for text in every.values() if isinstance(text, str))
    assert not re.search(r"exquisite experience|miracle-working|PMHNP|DNP", held)


def test_a_dropped_and_a_changed_line_show() -> None:
    assert list(changed_lines("S0", "")) != []
    (first,) = [line for line in changed_lines("S0", "Another title") if line.startswith("S0:1:")]
    assert first == f"S0:1: {PRINTED['S0'][1]['sha']} -> {fingerprint('Another title')}"
