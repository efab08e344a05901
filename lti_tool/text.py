"""What people and platforms give as text: cleaned in one way, compared in one way, refused by the field's name.

PURE. Text that identifies something for a machine, such as a `sub` or the UUID of a meeting, is never cleaned.
"""

import re
import unicodedata

from lti_tool.errors import BadInput
from lti_tool.languages import gettext, translated

MAX_STATEMENT = 2000
MAX_EMAIL = 255

# Letters that join or are shaped by their neighbours: Arabic and its relatives, the scripts of India and South-East
# Asia, Mongolian, Adlam (The Unicode Standard, chapters 9, 12, 13, 16 and 19).
_SHAPED = (
    "\u0600-\u109f\u1700-\u18af\u1a00-\u1cff\ua800-\uabff\ufb50-\ufdff\ufe70-\ufefc"
    "\U00010a00-\U00011fff\U0001e900-\U0001e95f"
)
_EMOJI = "\u2190-\u2bff\ufe0f\U0001f000-\U0001faff"
_JOINERS = re.compile(
    f"(?P<kept>(?<=[{_SHAPED}])[\u200c\u200d](?=[{_SHAPED}])|(?<=[{_EMOJI}])\u200d(?=[{_EMOJI}]))|[\u200c\u200d]"
)
# They look like blanks, but Unicode counts them as letters or symbols.
_OTHER_BLANKS = dict.fromkeys(map(ord, "\u2800\u3164\uffa0"), " ")
_VISIBLE_FORMATS = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd]")
_NOT_IN_EMAIL = re.compile(r"[\s,;<>]")


def clean(text: str) -> str:
    """One line of text: every run of blanks is one blank, what cannot be seen is gone, in Unicode's form NFC.

    A soft hyphen, a zero-width space, a byte order mark, a control or half of a surrogate pair is dropped. A joiner
    (U+200C, U+200D) stays between letters or emoji that it joins.
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split())  # the usual case
    return " ".join(_visible(text).split())


def clean_lines(text: str) -> str:
    """The same for a text of several lines: it keeps its line breaks, tabs become blanks, and lines end without them.

    Blanks at the start of a line and in it keep their number.
    """
    broken = re.sub("\r\n?|[\x0b\x0c\x85\u2028\u2029]", "\n", text)
    lines = ("".join(" " if letter.isspace() else letter for letter in _visible(line)) for line in broken.split("\n"))
    return "\n".join(line.rstrip() for line in lines).strip()


def licence_words(kind: str) -> str:
    """A type of licence as people write it: "pre-licensed", not "pre_licensed"."""
    return kind.replace("_", "-")


def email_address(text: str) -> str | None:
    """An e-mail address in the one form in which addresses are kept and compared: cleaned, casefolded, in NFC.

    None for anything that is not one address, such as "a@example.org, b@example.org", and for one of more than
    MAX_EMAIL characters.
    """
    address = unicodedata.normalize("NFC", clean(text).casefold())
    local, at, domain = address.partition("@")
    is_one = bool(local and at and domain) and "@" not in domain and not _NOT_IN_EMAIL.search(address)
    return address if is_one and len(address) <= MAX_EMAIL else None


def meeting_number(text: str) -> str:
    """The digits of a meeting number as people copy it: without its blanks and dashes. Other letters stay."""
    kept = (each for each in clean(text) if each not in " \u2212" and unicodedata.category(each) != "Pd")
    return "".join(kept)


def read_line(text: str, code: str, field: str, longest: int) -> str:
    """A text of one line that must be there. Raises BadInput with this code, naming the field."""
    return _within(clean(text), code, field, longest)


def read_lines(text: str, code: str, field: str, longest: int) -> str:
    """A text of one or more lines that must be there. Raises BadInput with this code, naming the field."""
    return _within(clean_lines(text), code, field, longest)


def reason_given(text: str, next_step: str = "Say in a sentence or two how you know.") -> str:
    """A reason. Raises BadInput "reason_missing"."""
    reason = clean_lines(text)
    if not reason:
        raise BadInput("reason_missing", "A reason is missing.", next_step)
    if len(reason) > MAX_STATEMENT:
        raise BadInput(
            "reason_missing",
            gettext("The reason is longer than %(longest)s characters.", longest=MAX_STATEMENT),
            "Say it more briefly.",
        )
    return reason


def _within(text: str, code: str, field: str, longest: int) -> str:
    if text and len(text) <= longest:
        return text
    limit = gettext("Give 1 to %(longest)s characters.", longest=longest)
    if not text:
        raise BadInput(code, gettext("%(field)s is missing.", field=translated(field)), limit)
    too_long = gettext("%(field)s is longer than %(longest)s characters.", field=translated(field), longest=longest)
    raise BadInput(code, too_long, limit)


def _visible(text: str) -> str:
    """The text in NFC without what cannot be seen; blanks and joiners that join stay as they are."""
    spaced = text.translate(_OTHER_BLANKS)
    seen = "".join(letter for letter in spaced if letter in "\u200c\u200d" or not _is_invisible(letter))
    return unicodedata.normalize("NFC", _JOINERS.sub(lambda found: found["kept"] or "", seen))


def _is_invisible(letter: str) -> bool:
    """Whether it is a control, half of a surrogate pair, or a format character that shows nothing."""
    kind = unicodedata.category(letter)
    if kind == "Cc":
        return not letter.isspace()
    return kind == "Cs" or (kind == "Cf" and not _VISIBLE_FORMATS.match(letter))
