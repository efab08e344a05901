"""Addresses of services, made from the ones a platform gave."""

import pytest

from lti_tool.errors import AddressRefused
from lti_tool.lti.platform_api import below, with_query


@pytest.mark.parametrize(
    ("url", "steps", "expected"),
    [
        ("https://lms.example.org/items/2", ["scores"], "https://lms.example.org/items/2/scores"),
        ("https://lms.example.org/items/2/", ["scores"], "https://lms.example.org/items/2/scores"),
        ("https://lms.example.org/2?type_id=1", ["results"], "https://lms.example.org/2/results?type_id=1"),
        ("https://lms.example.org/A%2Bb", ["results", "a/b?c#d e"], "https://lms.example.org/A%2Bb/results/a%2Fb%3Fc%23d%20e"),
        ("https://lms.example.org/2", ["results", ".."], "https://lms.example.org/2/results/.."),
    ],
)  # fmt: skip
def test_steps_are_added_before_the_query(url: str, steps: list[str], expected: str) -> None:
    assert below(url, *steps) == expected


@pytest.mark.parametrize(
    ("url", "wanted", "expected"),
    [
        ("https://lms.example.org/l", {}, "https://lms.example.org/l"),
        ("https://lms.example.org/l", {"tag": None}, "https://lms.example.org/l"),
        ("https://lms.example.org/l", {"tag": "a+b c&d=é@"}, "https://lms.example.org/l?tag=a%2Bb%20c%26d%3D%C3%A9%40"),
        ("https://lms.example.org/l?type_id=1", {"limit": "9"}, "https://lms.example.org/l?type_id=1&limit=9"),
        ("https://lms.example.org/l?Limit=1&x=%2b&flag", {"limit": "9"}, "https://lms.example.org/l?Limit=1&x=%2b&flag&limit=9"),
        ("https://lms.example.org/l?limit=5&a=1&limit=6", {"limit": "9"}, "https://lms.example.org/l?a=1&limit=9"),
        ("https://lms.example.org/l?user%5Fid=1", {"user_id": "2"}, "https://lms.example.org/l?user_id=2"),
    ],
)  # fmt: skip
def test_parameters_are_encoded_and_the_others_stay(url: str, wanted: dict[str, str | None], expected: str) -> None:
    assert with_query(url, wanted) == expected


def test_what_is_no_address_is_refused() -> None:
    for make in (lambda: below("https://[::1", "scores"), lambda: with_query("https://[::1", {})):
        with pytest.raises(AddressRefused):
            make()
