"""What a programme says of itself: descriptions, biographies, prices, questions, contacts and links."""

from decimal import Decimal
from typing import Any

import pytest

from lti_tool.programme.model import PrintedText
from lti_tool.programme.values import MAX_LINK, MAX_PASSAGE
from tests.unit.programme.documents import SMALL, changed, problems, programme

FAQ = "faq: [{question: Is it live?, answer: Yes., topic: modules, source: P:5}]\n"
BAD_LINKS = (
    "http://example.org/a",
    "javascript:alert(1)",
    "data:text/html,x",
    "//example.org/a",
    "https://",
    "https://localhost",
    "https://user@example.org/",
    "https://example.org:0/",
    "https://example.org:x/",
    "https://example.org/a b",
    "https://example.org/\\u202e",
    "https://[::1",
    "https://exаmple.org/".replace("а", "\\u0430"),
    f"https://example.org/{'a' * MAX_LINK}",
)


MAILTO = ("mailto:a@example.org", "a@example.org?bcc=b@example.org", "a@example.org?subject=x", "a%0a@example.org")


def with_module(text: str) -> str:
    return changed("    title: The second\n", f"    title: The second\n    {text}\n")


def with_section(text: str) -> str:
    return SMALL + text


@pytest.mark.parametrize("link", BAD_LINKS)
def test_a_link_is_https_with_a_host_and_no_one_in_it(link: str) -> None:
    found = problems(with_module(f'promotion: "{link}"'))["wrong_value"]
    assert (found.path, "https address" in found.message) == ("modules.B.promotion", True)


@pytest.mark.parametrize(
    "address", [*BAD_LINKS, "a@b@example.org", "a@example.org, b@example.org", "@", "nowhere", *MAILTO]
)
def test_a_contact_is_an_e_mail_address_or_an_https_page(address: str) -> None:
    document = changed("address: training@example.org", f'address: "{address}"')
    assert problems(document)["wrong_value"].path == "contacts.training.address"


def test_a_page_that_is_printed_without_its_scheme_is_an_https_page() -> None:
    pages = "contacts:\n  groups: {purpose: groups, address: example.org/groups}\n"
    contacts = programme(changed("contacts:\n", pages)).contacts
    assert contacts["groups"].address == "https://example.org/groups"
    assert contacts["training"].address == "training@example.org"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (f"about: {'long ' * MAX_PASSAGE}", "modules.B.about"),
        ('about: "\\u200b\\u200b"', "modules.B.about"),
        ("about: [a, b]", "modules.B.about"),
        ("about: 12", "modules.B.about"),
        ("price: {tuition: -1}", "modules.B.price.tuition"),
        ("price: {tuition: 1, total: all}", "modules.B.price.total"),
    ],
)
def test_a_text_for_people_has_an_end_and_something_to_see(text: str, path: str) -> None:
    assert problems(with_module(text))["wrong_value"].path == path


def test_what_cannot_be_seen_is_not_kept() -> None:
    about = programme(with_module('about: "One\\u202e\\u0007\\n  two"')).modules["B"].about
    assert about == "One two"


def test_markup_stays_a_text() -> None:
    about = programme(with_module("about: <script>alert(1)</script>")).modules["B"].about
    assert about == "<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("section", "code", "path"),
    [
        (FAQ.replace(", topic: modules", ""), "missing", "faq[0]"),
        (FAQ.replace("topic: modules", "topic: money"), "wrong_value", "faq[0].topic"),
        (FAQ.replace("answer: Yes.", "answer: UNSET"), "not_set", "faq[0].answer"),
        (FAQ.replace("answer: Yes.", "answer: Yes., link: x"), "unknown_key", "faq[0].link"),
        ("ce_policy: [{text: A license.}]\n", "missing", "ce_policy[0]"),
        ("ce_policy: [A license.]\n", "wrong_value", "ce_policy[0]"),
        ("ce_policy: {text: A license., source: P:5}\n", "wrong_value", "ce_policy"),
    ],
)
def test_questions_and_printed_texts_are_whole_and_have_their_source(section: str, code: str, path: str) -> None:
    assert problems(with_section(section))[code].path == path


def test_printed_texts_keep_their_lines() -> None:
    read = programme(with_section("ce_policy: [{text: A license., source: [P:5, P:6]}]\n"))
    assert read.ce_policy == (PrintedText("A license.", ("P:5", "P:6")),)


@pytest.mark.parametrize(("total", "told"), [("350", False), ("351", True)])
def test_a_printed_total_that_is_not_the_sum_is_a_warning(total: str, told: bool) -> None:
    found = problems(with_module(f"price: {{tuition: 325, admin_fee: 25, total: {total}}}"))
    assert ("price_total_differs" in found) is told


def test_a_total_is_never_computed() -> None:
    price: Any = programme(with_module("price: {tuition: 325, admin_fee: 25}")).modules["B"].price
    assert (price.tuition, price.total) == (Decimal(325), None)
