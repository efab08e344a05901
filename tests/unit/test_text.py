"""Text from people and platforms: one cleaner, one comparison of e-mail addresses, refusals that name the field."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti_tool.errors import BadInput
from lti_tool.text import clean, clean_lines, email_address, meeting_number, read_line, reason_given

NBSP, THIN, WIDE, SOFT, ZERO, BOM, GLUE = "\u00a0", "\u2009", "\u3000", "\u00ad", "\u200b", "\ufeff", "\u2060"
ZWNJ, ZWJ = "\u200c", "\u200d"


@pytest.mark.parametrize(
    ("given_text", "cleaned"),
    [
        (f"Marie{NBSP}Lefevre", "Marie Lefevre"),
        (f"佐藤{WIDE}花子", "佐藤 花子"),
        ("Marie\tLefevre", "Marie Lefevre"),
        (f" Intro{THIN}to{NBSP}{NBSP}KAP\u2028", "Intro to KAP"),
        (f"{BOM}Psy{SOFT}cho{ZERO}ther{GLUE}apy", "Psychotherapy"),
        ("Ada\x00\x07 Example\x7f", "Ada Example"),
        ("\u202eAda\u200f", "Ada"),
        ("Jose\u0301", "José"),
        (f"e{ZERO}\u0301", "é"),
        ("half \ud83d a pair", "half a pair"),
        ("blank\u3164\u2800letters", "blank letters"),
        (f"می{ZWNJ}خواهم", f"می{ZWNJ}خواهم"),
        (f"ශ්{ZWJ}රී ලංකා", f"ශ්{ZWJ}රී ලංකා"),
        (f"क्{ZWNJ}ष", f"क्{ZWNJ}ष"),
        (f"👩{ZWJ}⚕️ 👨{ZWJ}👩{ZWJ}👧", f"👩{ZWJ}⚕️ 👨{ZWJ}👩{ZWJ}👧"),
        (f"Ma{ZWJ}rie {ZWNJ}Le{ZWNJ}fevre{ZWJ}", "Marie Lefevre"),
        (f"می{ZWNJ}{ZWNJ}خ", "میخ"),
        (f"{NBSP}{ZERO}{ZWJ}", ""),
    ],
)
def test_a_line_has_plain_blanks_and_nothing_invisible(given_text: str, cleaned: str) -> None:
    assert clean(given_text) == cleaned


def test_a_text_of_several_lines_keeps_them() -> None:
    assert clean_lines(f"\r\nOne{NBSP}two \r\n\tthree\rfour\u2028five{ZERO}\n\n") == "One two\n three\nfour\nfive"


@given(st.text())
def test_cleaning_twice_changes_nothing_and_every_database_takes_it(text: str) -> None:
    for cleaned in (clean(text), clean_lines(text)):
        assert clean(cleaned) == clean(text)
        assert clean_lines(cleaned) == cleaned
        assert unicodedata.is_normalized("NFC", cleaned)
        assert "\0" not in cleaned
        cleaned.encode()


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("Ada@Example.org ", "ada@example.org"),
        ("jose\u0301@example.org", "josé@example.org"),
        ("JOSÉ@example.org", "josé@example.org"),
        (f"ada@example.org{ZERO}", "ada@example.org"),
        (f"{BOM}ada@exam{SOFT}ple.org{NBSP}", "ada@example.org"),
        ("a@example.org, b@example.org", None),
        ("a@example.org;b@example.org", None),
        ("a@example.org b@example.org", None),
        ("Ada <ada@example.org>", None),
        ("ada@", None),
        ("ada", None),
        ("", None),
        ("a@" + "x" * 254, None),
    ],
)
def test_an_address_has_one_form_and_two_addresses_are_none(written: str, compared: str | None) -> None:
    assert email_address(written) == compared


@pytest.mark.parametrize(
    "pasted",
    [
        "853 0000 1234",
        f"853{NBSP}0000{NBSP}1234",
        f"853{THIN}0000{THIN}1234",
        f"853{GLUE}0000{GLUE}1234{ZERO}",
        "853-0000-1234",
        "853\u20110000\u20131234",
        "853\u22120000\u22121234",
    ],
)
def test_a_meeting_number_is_its_digits(pasted: str) -> None:
    assert meeting_number(pasted) == "85300001234"


def test_a_refusal_names_the_field() -> None:
    with pytest.raises(BadInput, match=r"^licence_incomplete: The number is missing\.$"):
        read_line(f"{NBSP}{ZERO}", "licence_incomplete", "The number", 64)
    with pytest.raises(BadInput, match=r"The number is longer than 64 characters"):
        read_line("1" * 65, "licence_incomplete", "The number", 64)
    with pytest.raises(BadInput, match=r"^reason_missing: The reason is longer than 2000 characters"):
        reason_given("x" * 2001)
