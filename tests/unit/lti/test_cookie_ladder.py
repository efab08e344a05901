"""The cookie ladder, whole: every situation and its step."""

from itertools import product

import pytest

from lti_tool.lti.login import Cookie, Step, Stored, next_step

EVERY = set(product(Cookie, (False, True), (False, True), Stored))

# cookie, other cookies of ours, storage offered, what it gave (None: whatever) → step
TABLE: list[tuple[Cookie, bool | None, bool | None, Stored | None, Step]] = [
    (Cookie.RIGHT, None, None, None, Step.ENTER),
    (Cookie.WRONG, None, None, None, Step.REFUSE_FOREIGN),
    (Cookie.ABSENT, True, None, None, Step.REFUSE_FOREIGN),
    (Cookie.ABSENT, False, False, None, Step.OFFER_TAB),
    (Cookie.ABSENT, False, True, Stored.UNASKED, Step.ASK_PLATFORM),
    (Cookie.ABSENT, False, True, Stored.SILENT, Step.OFFER_TAB_SILENT),
    (Cookie.ABSENT, False, True, Stored.WRONG, Step.REFUSE_STORED),
    (Cookie.ABSENT, False, True, Stored.RIGHT, Step.ENTER_WITHOUT_COOKIES),
]

Situation = tuple[Cookie, bool, bool, Stored]


def covered(row: tuple[object, ...]) -> set[Situation]:
    return {each for each in EVERY if all(want is None or want == have for want, have in zip(row, each, strict=True))}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[4].name.lower()} {row[0].value}")
def test_each_situation_has_its_step(row: tuple[Cookie, bool | None, bool | None, Stored | None, Step]) -> None:
    for cookie, others, offered, stored in covered(row[:4]):
        assert next_step(cookie, others=others, offered=offered, stored=stored) is row[4]


def test_the_table_names_every_situation_once() -> None:
    rows = [covered(row[:4]) for row in TABLE]
    assert set().union(*rows) == EVERY
    assert sum(len(each) for each in rows) == len(EVERY) == 48


def test_every_step_is_reached() -> None:
    assert {row[4] for row in TABLE} == set(Step)
