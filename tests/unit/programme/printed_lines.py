"""The programme's own pages, line by line, as far as the tests may hold them: printed.yaml.

The pages are not in the repository. For each line that is not empty, printed.yaml has a fingerprint, the dates, prices
and numbers that it prints, the texts that must stand word for word, where its facts are held in words of our own, and
what is left out on purpose, with the reason. Whoever has the pages checks that no line was dropped or changed:

    python -m tests.unit.programme.printed_lines S0=page.txt S2=retreats.txt S3=older.txt
"""

import re
import sys
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

PRINTED: Mapping[str, Mapping[int, Mapping[str, Any]]] = yaml.safe_load(
    Path(__file__).with_name("printed.yaml").read_text(encoding="utf-8")
)
ASCII = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "\u00a0": " "})
MARKER = re.compile(r"^(?:[•*-]|\d+\.) ")
MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
DATE = re.compile(rf"\b(?:{MONTHS}) \d+(?:st|nd|rd|th)?(?:-\d+)?(?:, \d{{4}})?")
CLOCK = re.compile(r"(?i)\b(\d{1,2}) ?(am|pm)\b")
NUMBER = re.compile(r"\d\d:\d\d|\d+(?:\.\d+)?")
WORDS = {"three": "3", "four": "4", "five": "5", "six": "6"}


def plain(text: str) -> str:
    """The text with typographic quotes and dashes as ASCII, and single blanks."""
    return " ".join(text.translate(ASCII).split())


def fingerprint(line: str) -> str:
    return sha256(plain(line).encode()).hexdigest()[:12]


def numbers(text: str) -> set[str]:
    """Every number of a text: prices without their sign, times of day as 09:00, and numbers in words up to six."""
    text = MARKER.sub("", plain(text))
    clocks = {f"{int(hour) % 12 + (12 if half.lower() == 'pm' else 0):02}:00" for hour, half in CLOCK.findall(text)}
    words = {WORDS[each] for each in re.findall(r"[a-z]+", text.lower()) if each in WORDS}
    return clocks | words | set(NUMBER.findall(re.sub(r"(?<=\d),(?=\d{3})", "", CLOCK.sub("", text))))


def changed_lines(page: str, text: str) -> Iterator[str]:
    """Every line of the page that printed.yaml lacks, has otherwise, or has in vain."""
    found = {number: fingerprint(line) for number, line in enumerate(text.split("\n"), start=1) if plain(line)}
    for number in sorted(found.keys() | PRINTED[page].keys()):
        known = PRINTED[page].get(number, {}).get("sha")
        if found.get(number) != known:
            yield f"{page}:{number}: {known or 'not known'} -> {found.get(number, 'not there')}"


if __name__ == "__main__":
    pages = (each.partition("=") for each in sys.argv[1:])
    told = [line for page, _, file in pages for line in changed_lines(page, Path(file).read_text(encoding="utf-8"))]
    sys.exit("\n".join(told) or 0)
